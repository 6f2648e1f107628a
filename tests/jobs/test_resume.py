"""A run killed anywhere and resumed ends bit-identical to one that was left alone.

Anywhere: in its warm start, in GRPO, in an evaluation between steps, and while the best checkpoint
is being kept.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import orbax.checkpoint as ocp
import pytest

from pa_jax.core import files, metrics
from tests import devices

# Orbax is read without saying where arrays go: this one machine.
pytestmark = pytest.mark.filterwarnings("ignore:Sharding info not provided:UserWarning")
WARM, GRPO, KILLS = 9, 3, 10
STEPS = WARM + GRPO
COMMAND = (
    "-m", "pa_jax.main", "--config=configs/grpo.py:tiny",
    f"--config.warm.steps={WARM}", f"--config.train.steps={GRPO}",
    "--config.data.users=1", "--config.eval.episodes=3", "--config.eval.part=2",
    "--config.eval.max_new_tokens=32", "--config.train.save_every=4",
    "--config.warm.learning_rate=1e-2", "--config.optim.learning_rate=1e-3",
)  # fmt: skip
EVERY = 3  # steps between evaluations; not all have a checkpoint behind them: some come twice


def start(root, workdir, every=EVERY):
    workdir = pathlib.Path(workdir)
    environment = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": devices.flags(1),
        # Compiled once for all starts of this module.
        "JAX_COMPILATION_CACHE_DIR": str(workdir.parent.parent / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    with (workdir.parent / f"{workdir.name}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, *COMMAND, f"--config.eval.every={every}", f"--workdir={workdir}"],
            cwd=root,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )


def rows(workdir, name="metrics.jsonl"):
    path = pathlib.Path(workdir) / name
    return [metrics.without_timing(row) for row in files.read_rows(path)] if path.exists() else []


def arrays(folder):
    """Every array of a checkpoint, read through Orbax itself."""
    restored = ocp.PyTreeCheckpointer().restore((folder / "state").absolute())
    return {name: np.asarray(value) for name, value in sorted(restored.items())}


def meta(folder):
    return json.loads((folder / "meta" / "metadata").read_text())


def only(folder):
    """The one checkpoint of a folder."""
    (found,) = (p for p in folder.iterdir() if p.name.isdecimal())
    return found


@pytest.fixture(scope="module")
def alone(root, tmp_path_factory):
    """Work directory of the run that nothing disturbed; it crosses an epoch edge."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    assert start(root, workdir).wait() == 0
    return workdir


def same_arrays(first, second):
    first, second = arrays(first), arrays(second)
    assert first.keys() == second.keys() and len(first) > 10
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def same(one, other):
    for name in ("metrics.jsonl", "samples.jsonl", "evaluations.jsonl"):
        assert rows(one, name) == rows(other, name)
    same_arrays(*(workdir / "checkpoints" / str(STEPS) for workdir in (one, other)))
    for kept in ("best", "warm"):
        first, second = only(one / kept), only(other / kept)
        assert first.name == second.name and meta(first) == meta(second)
        same_arrays(first, second)
    texts = [
        {p.name: p.read_text() for p in workdir.glob("heldout-*.json")} for workdir in (one, other)
    ]
    assert texts[0] == texts[1] and len(texts[0]) >= 2


def test_the_undisturbed_run_learns_in_both_phases_over_more_than_an_epoch(alone):
    metrics_rows = rows(alone)
    assert [row["step"] for row in metrics_rows] == list(range(STEPS))
    assert [row["phase"] for row in metrics_rows] == ["warm"] * WARM + ["grpo"] * GRPO
    warm, grpo = metrics_rows[:WARM], metrics_rows[WARM:]
    assert warm[-1]["loss"] < warm[0]["loss"]
    assert "kl" not in warm[0] and grpo[0]["kl"] < 1e-6  # kept near is what the warm start left
    assert any(row["kl"] > 1e-6 for row in grpo[1:])
    for name in ("rollout/copies", "rollout/wrong_stances"):
        assert all(0 <= row[name] <= 1 for row in grpo)
    samples = rows(alone, "samples.jsonl")
    assert [row["step"] for row in samples] == list(range(WARM, STEPS))
    data = meta(alone / "checkpoints" / str(STEPS))["meta"]["data"]
    assert data["stream"]["episodes"] < WARM * 4  # the warm start took each more than once


def test_evaluations_come_on_time_and_the_best_is_kept(alone):
    evaluations = rows(alone, "evaluations.jsonl")
    assert [row["step"] for row in evaluations] == list(range(0, STEPS + 1, EVERY))
    assert [row["phase"] for row in evaluations] == ["warm"] * 4 + ["grpo"]
    best = max(evaluations, key=lambda row: row["criteria_mean"])
    kept = only(alone / "best")
    assert int(kept.name) == best["step"]
    assert meta(kept)["meta"] == {"figure": "criteria_mean", "value": best["criteria_mean"]}
    report = json.loads((alone / "report.json").read_text())
    assert report["best"]["step"] == best["step"]
    assert (report["best"]["heldout"] is None) == (best["step"] == STEPS)
    page = (alone / "report.html").read_text()
    assert "While it trained" in page and f"{STEPS} of {STEPS}" in page


@pytest.mark.slow
def test_without_evaluations_it_trains_the_same(root, alone, tmp_path):
    workdir = tmp_path / "run"
    assert start(root, workdir, every=0).wait() == 0
    assert rows(workdir) == rows(alone)
    same_arrays(*(folder / "checkpoints" / str(STEPS) for folder in (alone, workdir)))
    assert not rows(workdir, "evaluations.jsonl") and not list((workdir / "best").glob("*"))


def test_sigterm_saves_and_leaves_cleanly_then_goes_on_the_same(root, alone, tmp_path):
    workdir = tmp_path / "run"
    process = start(root, workdir)
    while not rows(workdir):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM  # not 0: a pod that stopped is not done
    assert len(rows(workdir)) < STEPS
    assert start(root, workdir).wait() == 0
    same(alone, workdir)


def killed(root, workdir, when):
    """A start that is killed as soon as `when` holds; it must not end by itself."""
    process = start(root, workdir)
    while not when():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()


@pytest.mark.slow
def test_killed_in_warm_start_evaluation_and_best_keeping(root, alone, tmp_path):
    workdir = tmp_path / "run"
    evaluations, steps = workdir / "evaluations.jsonl", workdir / "metrics.jsonl"
    for moment in (
        lambda: any((workdir / "best").glob(".saving-*")),
        lambda: evaluations.exists() and '"step": 9' in evaluations.read_text(),  # checkpoint: 8
        lambda: '"step": 10' in steps.read_text(),  # evaluation 12 is next, the checkpoint is 8
    ):
        killed(root, workdir, moment)
    assert start(root, workdir).wait() == 0
    same(alone, workdir)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_kills_at_random_moments_change_nothing(root, alone, tmp_path):
    workdir = tmp_path / "run"
    rng = random.Random(7)
    for _ in range(KILLS):
        process = start(root, workdir)
        wait_for = min(len(rows(workdir)) + rng.randint(0, 2), STEPS - 1)
        while process.poll() is None and len(rows(workdir)) <= wait_for:
            time.sleep(0.02)
        time.sleep(rng.random() * 0.5)
        process.kill()
        process.wait()
    assert start(root, workdir).wait() == 0
    same(alone, workdir)
