"""The ten-line examples of the guide train the tiny model, as they stand on their pages."""

import importlib
import json
import shlex

import numpy as np
import pytest

from pa_jax.core import files
from pa_jax.jobs import grpo, judge
from pa_jax.judge import own
from tests.docs import markdown


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Writes a page's file where Python finds it; the flags of its commands, a list each."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(page):
        file, command = markdown.blocks(f"docs/guide/{page}.md")
        assert sum(map(bool, file.code.splitlines())) <= 10
        (tmp_path / file.file).write_text(file.code)
        lines = command.code.replace("\\\n", " ").splitlines()
        return [shlex.split(line.partition("pa_jax.main")[2]) for line in lines]

    return write


def config_of(flags):
    """The config that a command's flags make, small enough for tests."""
    (named,) = (flag for flag in flags if flag.startswith("--config="))
    name, _, preset = named.removeprefix("--config=").partition(":")
    made = importlib.import_module(f"configs.{name}").get_config(preset)
    for flag in flags:
        if flag.startswith("--config."):
            key, _, value = flag.removeprefix("--config.").partition("=")
            *sections, last = key.split(".")
            section = made
            for one in sections:
                section = section[one]
            old = section[last]
            section[last] = value if isinstance(old, str) else type(old)(json_like(value))
    made.eval.episodes = 2
    if name == "grpo":
        made.mesh.tp = 2  # devices of the tests
        made.warm.steps = made.eval.every = 0
    return made


def json_like(value):
    """A number or tuple as a flag writes it."""
    value = value.replace("(", "[").replace(")", "]").replace("'", '"')
    return json.loads(value.replace(",]", "]"))


def test_a_reward_of_ones_own_trains_and_is_named_in_metrics_and_report(example, tmp_path):
    (flags,) = example("own_reward")
    grpo.run(config_of(flags), tmp_path / "run")
    rows = list(files.read_rows(tmp_path / "run" / "metrics.jsonl"))
    assert [row["step"] for row in rows] == [0, 1]
    for row in rows:
        weighed = row["reward/grounded"] + 0.5 * row["reward/brief"]
        np.testing.assert_allclose(row["reward/mean"], weighed, rtol=1e-5)
        assert row["judge/failed_groups"] == 0 and "reward/completeness" not in row
    assert rows[0]["grad_norm"] > 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<dt>grounded</dt>" in page and "<dt>completeness</dt>" not in page
    sample = next(files.read_rows(tmp_path / "run" / "samples.jsonl"))
    assert np.shape(sample["scores"]) == (4, 2)


def test_a_judge_of_ones_own_trains_on_data_of_ones_own_and_is_measured(example, tmp_path):
    """Both pages' commands as one: the keys of the one, then those of the other."""
    train, measure = example("own_judge")
    (data,) = example("own_data")
    grpo.run(
        config_of([*data, *(flag for flag in train if "--config=" not in flag)]), tmp_path / "run"
    )
    rows = list(files.read_rows(tmp_path / "run" / "metrics.jsonl"))
    assert len(rows) == 2 and all(row["judge/failed_groups"] == 0 for row in rows)
    assert "reward/completeness" in rows[0] and rows[0]["judge/failed"] == 0
    assert rows[0]["grad_norm"] > 0
    samples = list(files.read_rows(tmp_path / "run" / "samples.jsonl"))
    assert len(samples) == 2
    assert all("for me, as always." in row["episode"]["user"] for row in samples)
    config = config_of(measure)
    config.bias = 0
    judge.run(config, tmp_path / "measured")
    report = json.loads((tmp_path / "measured" / "report.json").read_text())
    assert report["my_judge:Words"]["items"] == 8 and report["my_judge:Words"]["failed"] == 0


def test_a_reward_that_fails_now_and_then_does_not_end_the_run(tmp_path, monkeypatch):
    """One group a step is without a score; from the third step on all are, and the run stops."""
    (tmp_path / "moody_reward.py").write_text(
        "calls = 0\n"
        "def score(group):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    if calls % 4 == 1 or calls > 8:\n"
        "        raise RuntimeError('not today')\n"
        "    return {'size': [float(len(text)) for text in group.texts]}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = importlib.import_module("configs.grpo").get_config("tiny")
    config.reward.function, config.reward.names = "moody_reward:score", ("size",)
    config.reward.weights = (1.0,)
    config.mesh.tp, config.eval.episodes = 2, 2
    config.train.steps, config.warm.steps, config.eval.every = 4, 0, 0
    with pytest.raises(own.TooManyFailed, match=r"moody_reward:score': no score for 4 of 4 groups"):
        grpo.run(config, tmp_path / "run")
    rows = list(files.read_rows(tmp_path / "run" / "metrics.jsonl"))
    assert [row["judge/failed_groups"] for row in rows] == [1, 1]
    assert [row["rollout/masked"] for row in rows] == [4, 4]
