"""Work directories, bad command lines: one clear message, and nothing written is lost."""

import importlib
import os

import pytest

from pa_jax.evaluate import heldout
from pa_jax.jobs import setup, warm
from pa_jax.rl import advantage
from tests import devices

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


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (warm.WarmConfig, {"steps": -1}, "warm.steps=-1.*0 steps or more"),
        (warm.WarmConfig, {"batch": 0}, "warm.batch=0"),
        (warm.WarmConfig, {"learning_rate": float("inf")}, "learning_rate=inf"),
        (heldout.EvalConfig, {"every": -1}, "eval.every=-1: must be at least 0"),
        (heldout.EvalConfig, {"part": 0}, "eval.part=0: must be at least 1"),
        (heldout.EvalConfig, {"best": "copies"}, "eval.best='copies': choose one of"),
        (heldout.EvalConfig, {"every": 0, "patience": 3}, "eval.patience=3 with eval.every=0"),
    ],
)
def test_bad_values_of_a_warm_start_and_of_evaluations_are_named(kind, values, message):
    section = {warm.WarmConfig: config().warm, heldout.EvalConfig: config().eval}[kind]
    section.update(values)
    with pytest.raises(ValueError, match=message):
        setup.section(kind, section)


def test_held_out_records_of_another_config_are_not_taken(tmp_path):
    setup.open_workdir(config(), tmp_path)
    (tmp_path / "heldout-before.json").write_text("[]")
    other = config()
    other.seed = 3
    with pytest.raises(ValueError, match="seed: 0 there, 3 now"):
        setup.open_workdir(other, tmp_path)


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
        (["--config=configs/grpo.py:tiny", "--config.eval.best=reward"], "choose one of ['token"),
        (["--config=configs/export.py", "--config.run=nowhere"], "config.json is not there"),
    ],
)  # fmt: skip
def test_bad_command_lines_are_one_message_and_status_2(flags, said, started, tmp_path):
    one_device = os.environ | {"XLA_FLAGS": devices.flags(1)}
    done = started([*flags, f"--workdir={tmp_path / 'run'}"], one_device)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
