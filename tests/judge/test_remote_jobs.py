"""The remote judge behind jobs and in several processes."""

import contextlib
import importlib
import json
import socket
import subprocess
import sys

import pytest

from pa_jax import models
from pa_jax.jobs import grpo
from pa_jax.jobs import judge as judge_job
from pa_jax.judge import rubric
from tests.judge import endpoint

pytest.importorskip("openai", reason="the extra `remote` is not installed")


@pytest.mark.slow
def test_the_judge_job_measures_a_remote_judge_beside_another(tmp_path):
    config = importlib.import_module("configs.judge").get_config("tiny")
    config.kinds, config.bias = ("remote", "reference"), 2
    config.remote.model, config.remote.key_env = "m", "TEST_JUDGE_KEY"
    with endpoint.serving(endpoint.rated) as (url, got):
        config.remote.url = url
        judge_job.run(config, tmp_path)
        first = len(got)
        judge_job.run(config, tmp_path)
        assert len(got) == first > 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["remote"]["remote"]["judge/answered"] == 0
    assert report["remote"]["remote"]["judge/requests_in_all"] == first
    assert report["remote"]["means"]["right"]["informativeness"] == 0.5
    assert report["remote"]["auc"] == dict.fromkeys(rubric.CRITERIA, 0.5)
    assert report["remote"]["bias"]["position"] == {"moved": 0.0, "flips": 0.0}
    assert report["between"]["remote and reference"]["n"] == 8 * 17


PROCESS = """
import json, sys
import jax
port, rank, settings = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{port}", 2, rank)
from pa_jax import judge, models
from pa_jax.dialogue import schema
from pa_jax.judge import remote, rubric
episode = schema.Episode("0/0", "0", (), "", "Trains.", "The user prefers trains.")
one = judge.Judge("remote", model=remote.Endpoint(**settings))
for texts in (["Rate 3.", "Nothing.", ""], ["Rate 4.", "Rate 5."]):
    try:
        scores = one.score([rubric.Group(episode, ((),) * len(texts), tuple(texts))])
        print(json.dumps([scores.values[0, :, 0].tolist(), scores.failed[0].tolist()]))
    except ValueError as error:
        print(json.dumps(str(error)))
"""


@pytest.mark.slow
def test_of_two_processes_one_asks_and_both_get_the_scores_or_the_end(opened, tmp_path, root):
    def by_note(request, seen):
        note = json.loads(request["messages"][1]["content"])["note_to_judge"]
        if "Rate" not in note:
            return endpoint.completion("No.")
        return endpoint.completion(json.dumps(endpoint.GOOD | {"completeness": int(note[-2])}))

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    with endpoint.serving(by_note) as (url, got):
        settings = json.dumps(opened(url, requests=3)._judge.endpoint.__dict__)
        both = [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, port, rank, settings],
                cwd=root,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in ("0", "1")
        ]
        said = [child.communicate(timeout=120)[0].splitlines()[-2:] for child in both]
    assert [child.returncode for child in both] == [0, 0]
    assert len(got) == 3
    for first, last in said:
        assert json.loads(first) == [[0.5, 0, 0], [False, True, False]]
        assert "budget is spent" in last or "process 0" in last


def test_training_keeps_a_remote_judges_answers_in_its_work_directory(tmp_path):
    config = importlib.import_module("configs.grpo").get_config("tiny")
    config.judge.kind, start = "remote", models.load("random:tiny", dtype="float32")
    config.judge.remote.model, config.judge.remote.key_env = "m", "TEST_JUDGE_KEY"
    with endpoint.serving(endpoint.rated) as (url, _):
        config.judge.remote.url = url
        with contextlib.closing(grpo.open_judge(config, start, None, tmp_path)) as one:
            assert one.score(endpoint.groups(["Tea."])).values[0, 0].tolist() == endpoint.WANT
            assert one.figures()["judge/answered"] == 1
    assert (tmp_path / "answers.sqlite").exists()
