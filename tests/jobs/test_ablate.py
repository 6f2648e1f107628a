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
    made.rollout.prompts, made.rollout.group = 8, 2  # devices of the tests
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
    made = ablate.arm_config(asked, ((0.0, 0.0, 1.0, 0.0), "per_criterion"), 3)
    assert made.seed == 3 and set(made) == set(
        importlib.import_module("configs.grpo").get_config("tiny")
    )
    assert made.job == "grpo" and made.rollout == asked.rollout
    assert made.reward.weights == (0.0, 0.0, 1.0, 0.0) and asked.reward.weights == (1.0,) * 4
    assert made.reward.aggregate == "per_criterion"


@pytest.mark.parametrize("seeds", [(), (0, 1, 0)])
def test_seeds_are_given_once_each(tmp_path, seeds):
    asked = config("inform")
    asked.seeds = seeds
    with pytest.raises(ValueError, match="at least one, each once"):
        ablate.run(asked, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_arms_and_seeds_end_in_one_table_and_finished_runs_are_passed_over(tmp_path):
    ablate.run(config("inform"), tmp_path)
    first = tmp_path / "inform" / "seed-0"
    assert not (first / "checkpoints").exists()
    written = json.loads((first / "config.json").read_text())
    assert written["reward"]["weights"] == [0, 0, 1, 0] and written["seed"] == 0
    stamp = (first / "report.json").stat().st_mtime_ns
    both = config("all", "inform")
    both.seeds = (0, 1)
    ablate.run(both, tmp_path)
    assert (first / "report.json").stat().st_mtime_ns == stamp
    runs = {(arm, s): tmp_path / arm / f"seed-{s}" for arm in ("all", "inform") for s in (0, 1)}
    assert len({(folder / ablate.BEFORE).read_bytes() for folder in runs.values()}) == 1
    seen = {
        run: [row["episode"]["id"] for row in files.read_rows(folder / "samples.jsonl")]
        for run, folder in runs.items()
    }
    assert seen["all", 0] == seen["inform", 0] != seen["all", 1]  # a seed's data, whatever the arm
    report = json.loads((tmp_path / "report.json").read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert list(rows) == ["untrained", "all", "inform"] and report["effects"] == []
    f1 = {
        run: {r["id"]: r["f1"] for r in json.loads((folder / LAST).read_text())}
        for run, folder in runs.items()
    }
    for seed in (0, 1):
        mean = sum(f1["inform", seed].values()) / 2
        assert rows["inform"]["seeds"][str(seed)]["token_f1"] == pytest.approx(mean)
    want = [f1["inform", s][k] - f1["all", s][k] for s in (0, 1) for k in f1["all", s]]
    assert rows["inform"]["differences"]["token_f1"]["mean"] == pytest.approx(sum(want) / 4)
    assert rows["inform"]["n"] == 2 and not rows["all"]["differences"]
    assert (tmp_path / "report.md").read_text().count("\n| ") == 5  # head, rule, three rows
    assert (tmp_path / "ablation.png").read_bytes().startswith(b"\x89PNG")
    other = config("all", "inform")
    other.optim.learning_rate = 0.5
    with pytest.raises(ValueError, match="another config"):
        ablate.run(other, tmp_path)
