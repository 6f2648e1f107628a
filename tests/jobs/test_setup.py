"""Work directories, bad command lines: one clear message, and nothing written is lost."""

import importlib
import os
import subprocess
import sys

import pytest

from pa_jax.jobs import setup
from pa_jax.rl import advantage

MESSAGES = ("--config.data.source=messages", "--config.data.path=nowhere.jsonl")


def config():
    return importlib.import_module("configs.grpo").get_config("tiny")


def test_a_work_directory_with_steps_of_another_config_is_refused(tmp_path):
    setup.open_workdir(config(), tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n')
    setup.open_workdir(config(), tmp_path)  # the same again: goes on
    longer = config()
    longer.train.steps = 50
    setup.open_workdir(longer, tmp_path)  # only longer: goes on
    other = config()
    other.rollout.group = 6
    with pytest.raises(ValueError, match=r"rollout.group: 4 there, 6 now.*new --workdir"):
        setup.open_workdir(other, tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 0}\n'


def test_a_failed_first_try_does_not_lock_the_work_directory(tmp_path):
    setup.open_workdir(config(), tmp_path)
    fixed = config()
    fixed.model.source = "random:qwen3-0.6b"
    setup.open_workdir(fixed, tmp_path)
    assert setup.read_json(tmp_path / "config.json")["model"]["source"] == "random:qwen3-0.6b"


def test_missing_keys_are_named():
    with pytest.raises(ValueError, match="weights"):
        values = config().reward
        del values["weights"]
        setup.section(advantage.RewardConfig, values)


def test_spread_covers_all_items_evenly():
    assert setup.spread(range(10), 5) == [0, 2, 4, 6, 8]
    assert setup.spread([1, 2], 5) == [1, 2]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--config=configs/grpo.py:tinny"], "this config has qwen2.5-0.5b, smollm2"),
        (["--config=configs/grpo.py:tiny", "--config.rollout.grup=3"], "grup"),
        (["--config=configs/nope.py"], "configs/nope.py"),
        (["--config=configs/grpo.py:tiny", "--config.model.source=foo:bar"], "allowed: pypi:"),
        (["--config=configs/grpo.py:tiny", *MESSAGES], "nowhere.jsonl"),
        (["--config=configs/grpo.py:tiny", "--config.reward.aggregate=max"], "per_criterion"),
    ],
)  # fmt: skip
def test_bad_command_lines_are_one_message_and_status_2(flags, said, root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pa_jax.main", *flags, f"--workdir={tmp_path / 'run'}"],
        cwd=root,
        env=os.environ | {"XLA_FLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
