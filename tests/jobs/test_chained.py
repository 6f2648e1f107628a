"""GRPO on chained turns: the profile is the policy's own, and a run in two parts ends as in one."""

import importlib
import os
import subprocess
import sys

import pytest

from pa_jax.core import files, metrics
from pa_jax.jobs import grpo, sft
from tests import devices

COMMAND = (
    "-m", "pa_jax.main", "--config=configs/grpo.py:tiny", "--config.data.state_source=mixed",
    "--config.data.state_share=0.7", "--config.data.users=4", "--config.rollout.prompts=4",
    "--config.rollout.group=2", "--config.rollout.prompt_tokens=768",
    "--config.eval.episodes=2", "--config.eval.rows=2", "--config.warm.steps=0",
    "--config.optim.learning_rate=1e-3", "--config.train.save_every=2",
)  # fmt: skip


def train(root, workdir, steps):
    """One start on one device; programs are compiled once for all starts of a test."""
    environment = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": devices.flags(1),
        "JAX_COMPILATION_CACHE_DIR": str(workdir.parent / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    subprocess.run(
        [sys.executable, *COMMAND, f"--config.train.steps={steps}", f"--workdir={workdir}"],
        cwd=root,
        env=os.environ | environment,
        check=True,
    )


def rows(workdir, name="metrics.jsonl"):
    return [metrics.without_timing(row) for row in files.read_rows(workdir / name)]


@pytest.mark.slow
def test_a_run_in_two_parts_is_the_run_in_one(root, tmp_path):
    train(root, tmp_path / "whole", 4)
    train(root, tmp_path / "parts", 2)
    train(root, tmp_path / "parts", 4)
    samples = rows(tmp_path / "whole", "samples.jsonl")
    assert [row["step"] for row in samples] == [0, 1, 2, 3]
    assert samples == rows(tmp_path / "parts", "samples.jsonl")
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")
    assert any(row["kl"] > 0 for row in rows(tmp_path / "whole"))  # something was learnt
    users = [row["episode"]["user_id"] for row in samples]
    turns = [int(row["episode"]["id"].rpartition("/")[2]) for row in samples]
    assert len(set(users)) == 1 and turns == sorted(set(turns))  # one lane, turn by turn


def config(job, **data):
    made = importlib.import_module(f"configs.{job}").get_config("tiny")
    made.data.update(data)
    made.mesh.tp, made.micro = 2, 4  # devices of the tests
    return made


@pytest.mark.parametrize(
    ("job", "data", "message"),
    [
        (grpo, {"state_source": "own"}, "state_source='own': choose one of"),
        (grpo, {"state_source": "policy", "source": "tfds:messages"}, "whole dialogues are needed"),
        (sft, {"state_source": "mixed"}, "only grpo writes snippets of its own"),
    ],
)
def test_what_cannot_be_chained_says_so(job, data, message, tmp_path):
    name = job.__name__.rpartition(".")[2]
    with pytest.raises(ValueError, match=message):
        job.run(config(name, **data), tmp_path)
