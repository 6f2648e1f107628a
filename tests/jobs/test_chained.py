"""GRPO on chained turns: the profile is the policy's own, and a run in two parts ends as in one."""

import importlib

import pytest

from pa_jax.core import files, metrics
from pa_jax.jobs import grpo, sft


def config(steps, source="policy"):
    made = importlib.import_module("configs.grpo").get_config("tiny")
    made.data.state_source, made.data.users = source, 4
    made.rollout.prompts, made.rollout.group, made.micro = 8, 2, 8  # devices of the tests
    made.eval.episodes, made.eval.rows = 2, 8
    made.judge.kind = "reference"
    made.optim.learning_rate = 1e-3
    made.train.steps, made.train.save_every = steps, 2
    return made


def rows(workdir, name="metrics.jsonl"):
    return [metrics.without_timing(row) for row in files.read_rows(workdir / name)]


def test_a_run_in_two_parts_is_the_run_in_one(tmp_path):
    grpo.run(config(4), tmp_path / "whole")
    for steps in (2, 4):
        grpo.run(config(steps), tmp_path / "parts")
    samples = rows(tmp_path / "whole", "samples.jsonl")
    assert [row["step"] for row in samples] == [0, 1, 2, 3]
    assert samples == rows(tmp_path / "parts", "samples.jsonl")
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")
    users = [row["episode"]["user_id"] for row in samples]
    turns = [int(row["episode"]["id"].rpartition("/")[2]) for row in samples]
    assert len(set(users)) == 1 and turns == sorted(set(turns))  # one lane, turn by turn


def test_what_cannot_be_chained_says_so(tmp_path):
    wrong = config(1, "own")
    with pytest.raises(ValueError, match="state_source='own': choose one of"):
        grpo.run(wrong, tmp_path / "a")
    stored = config(1)
    stored.data.source = "tfds:synthetic"
    with pytest.raises(ValueError, match="whole dialogues are needed"):
        grpo.run(stored, tmp_path / "b")
    supervised = importlib.import_module("configs.sft").get_config("tiny")
    supervised.data.state_source = "mixed"
    with pytest.raises(ValueError, match="only grpo writes snippets of its own"):
        sft.run(supervised, tmp_path / "c")
