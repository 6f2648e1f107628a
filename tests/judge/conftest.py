"""Remote judges that are closed at the end, and the key that they ask with."""

import pytest

from pa_jax import judge
from pa_jax.judge import remote


@pytest.fixture(autouse=True)
def local(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TEST_JUDGE_KEY", "sesame")


@pytest.fixture
def opened(tmp_path):
    """Judges by URL and changed settings; their files are closed at the end."""
    made = []

    def open_(url, **changed):
        settings = {
            "url": url,
            "model": "m",
            "key_env": "TEST_JUDGE_KEY",
            "format": "json_object",
            "max_tokens": 50,
            "limit": "max_tokens",
            "temperature": 0.0,
            "reasoning": "",
            "concurrency": 4,
            "timeout": 5.0,
            "retries": 2,
            "requests": 1000,
            "cost": 0.0,
            "price_in": 1.0,
            "price_out": 10.0,
            "cache": str(tmp_path / "answers.sqlite"),
        }
        made.append(judge.Judge("remote", model=remote.Endpoint(**settings | changed)))
        return made[-1]

    yield open_
    for one in made:
        one.close()
