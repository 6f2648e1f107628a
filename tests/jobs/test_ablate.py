"""The ablation job with tiny random weights: arms differ in the reward alone, and go on."""

import importlib
import json

import pytest

from pa_jax.core import files
from pa_jax.jobs import ablate
from pa_jax.judge import rubric

LAST = "heldout-after-1.json"


def config(*arms):
    made = importlib.import_module("configs.ablate").get_config("tiny")
    made.arms = arms
    made.rollout.prompts, made.rollout.group, made.micro = 8, 2, 8  # devices of the tests
    made.data.users, made.eval.episodes, made.eval.rows = 2, 2, 8
    made.judge.kind = "reference"
    made.train.steps, made.train.save_every = 1, 1
    made.lock()  # as the command line does
    return made


def test_every_subset_of_the_criteria_is_an_arm_once():
    arms = ablate.chosen(())
    weights = [w for w, aggregate in arms.values() if aggregate == "sum"]
    assert len(set(weights)) == len(weights) == 2 ** len(rubric.CRITERIA) - 1
    assert arms["compl+consist"] == ((1.0, 0.0, 0.0, 1.0), "sum")
    assert arms["all-per_criterion"] == ((1.0,) * 4, "per_criterion")
    assert list(ablate.chosen(("inform", "all"))) == ["all", "inform"]
    with pytest.raises(ValueError, match="'informed': choose among"):
        ablate.chosen(("informed",))


def test_an_arm_is_a_grpo_config_with_its_own_reward():
    asked = config()  # locked, as the command line gives it
    made = ablate.arm_config(asked, ((0.0, 0.0, 1.0, 0.0), "per_criterion"))
    assert set(made) == set(importlib.import_module("configs.grpo").get_config("tiny"))
    assert made.job == "grpo" and made.rollout == asked.rollout
    assert made.reward.weights == (0.0, 0.0, 1.0, 0.0) and asked.reward.weights == (1.0,) * 4
    assert made.reward.aggregate == "per_criterion"


@pytest.mark.slow
def test_two_arms_end_in_one_table_and_finished_ones_are_passed_over(tmp_path):
    ablate.run(config("inform"), tmp_path)
    first = tmp_path / "inform"
    assert not (first / "checkpoints").exists()
    assert json.loads((first / "config.json").read_text())["reward"]["weights"] == [0, 0, 1, 0]
    stamp = (first / "report.json").stat().st_mtime_ns
    ablate.run(config("all", "inform"), tmp_path)
    assert (first / "report.json").stat().st_mtime_ns == stamp
    same = [(tmp_path / arm / ablate.BEFORE).read_bytes() for arm in ("all", "inform")]
    assert same[0] == same[1]
    seen = [
        [row["episode"]["id"] for row in files.read_rows(tmp_path / arm / "samples.jsonl")]
        for arm in ("all", "inform")
    ]
    assert seen[0] == seen[1]  # the same data and draws
    report = json.loads((tmp_path / "report.json").read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert list(rows) == ["untrained", "all", "inform"]
    ours, base = (
        {
            r["id"]: r["f1"]
            for r in json.loads((tmp_path / arm / "heldout-after-1.json").read_text())
        }
        for arm in ("inform", "all")
    )
    want = sum(ours[k] - base[k] for k in base) / len(base)
    assert rows["inform"]["differences"]["token_f1"]["mean"] == pytest.approx(want)
    assert rows["inform"]["n"] == 2 and not rows["all"]["differences"]
    assert (tmp_path / "report.md").read_text().count("\n| ") == 5  # head, rule, three runs
    assert (tmp_path / "ablation.png").read_bytes().startswith(b"\x89PNG")
    other = config("all", "inform")
    other.seed = 1
    with pytest.raises(ValueError, match="another config"):
        ablate.run(other, tmp_path)
