"""Evaluations between steps: when they come, what is kept as the best, and when they end a run."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.core import checkpoint, files, metrics
from pa_jax.train import evaluation, step


def state(number, weight):
    params = nnx.State({"w": nnx.Param(jnp.float32(weight))})
    return step.TrainState(params, (), jnp.int32(number))


class Opened:
    """An Evaluation over a folder, whose measure reads the state's one weight."""

    def __init__(self, folder, *, every=2, patience=0, ends=(6,), counted=0, standing=None):
        seen = -1 if standing is None else standing.seen
        self.writer = metrics.MetricWriter(folder, tensorboard=False, resume_step=0, evaluated=seen)
        self.measured = []
        self.run = evaluation.Evaluation(
            evaluation.EvaluationPlan(every, "f1", patience, ends, counted),
            self.measure,
            folder=folder / "best",
            writer=self.writer,
            standing=standing,
        )

    def measure(self, given):
        self.measured.append(int(given.step))
        return {"f1": float(given.params["w"][...]), "other": 1.0}

    def see(self, *values, first=0, by=2):
        for k, value in enumerate(values):
            self.run.run(state(first + by * k, value), "p")


@pytest.fixture
def opened(tmp_path):
    made = []

    def make(**kwargs):
        made.append(Opened(tmp_path, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.run.close()


def kept(folder):
    """Step, value and weight of the best checkpoint, as another process reads them."""
    saver = checkpoint.Checkpointer(folder / "best", keep=1)
    params = {"params": state(0, 0.0).params}
    got = saver.restore(params)
    steps = saver.steps()
    saver.close()
    assert steps == [got.step]  # one alone
    return got.step, got.meta["value"], float(got.state["params"]["w"][...])


def test_it_comes_every_so_many_steps_and_at_the_ends(opened):
    due = opened(every=4, ends=(3, 9)).run.due
    assert [n for n in range(12) if due(n)] == [0, 3, 4, 8, 9]
    assert not any(map(opened(every=0, ends=(3, 9)).run.due, range(12)))


def test_the_best_is_kept_and_equal_ones_are_no_better(opened, tmp_path):
    one = opened()
    one.see(0.5, 0.25, 0.75, 0.75)
    assert one.run.standing == evaluation.Standing(step=4, value=0.75, since=1, seen=6)
    assert kept(tmp_path) == (4, 0.75, 0.75)
    assert not one.run.due(6) and one.run.due(8)  # each step once
    best = one.run.best(state(0, 0.0).params)
    assert float(best["w"][...]) == 0.75
    rows = list(files.read_rows(tmp_path / "evaluations.jsonl"))
    assert [(r["step"], r["phase"], r["f1"], r["other"]) for r in rows] == [
        (0, "p", 0.5, 1.0), (2, "p", 0.25, 1.0), (4, "p", 0.75, 1.0), (6, "p", 0.75, 1.0),
    ]  # fmt: skip


def test_it_ends_a_run_that_is_better_no_more(opened):
    one = opened(patience=2)
    one.see(0.5, 0.5)
    assert not one.run.enough
    one.see(0.6, 0.1, 0.6, first=4)
    assert one.run.enough and one.run.standing.step == 4


def test_patience_does_not_count_a_warm_start(opened):
    one = opened(patience=2, counted=4)
    one.see(0.5, 0.4, 0.4, 0.4)  # steps 0, 2, 4 and 6: one of them behind the warm start
    assert one.run.standing.since == 1 and not one.run.enough
    one.see(0.4, first=8)
    assert one.run.enough


def test_what_a_restored_checkpoint_has_not_seen_is_done_again_to_the_same_end(opened, tmp_path):
    opened().see(0.5, 0.25, 0.75, 0.875)  # and killed; the checkpoint is that of step 2
    standing = evaluation.Standing(step=0, value=0.5, since=1, seen=2)
    again = opened(standing=standing)
    assert kept(tmp_path)[0] == 6  # of the abandoned future: as good as any until then
    assert [r["step"] for r in files.read_rows(tmp_path / "evaluations.jsonl")] == [0, 2]
    assert again.run.due(4)
    again.see(0.75, first=4)
    assert kept(tmp_path) == (4, 0.75, 0.75)
    again.see(0.875, first=6)
    assert kept(tmp_path) == (6, 0.875, 0.875)
    steps = [r["step"] for r in files.read_rows(tmp_path / "evaluations.jsonl")]
    assert steps == [0, 2, 4, 6]
    assert json.loads((tmp_path / "best" / "6" / "MANIFEST.json").read_text())


def test_the_best_that_is_there_is_not_written_again(opened, tmp_path):
    opened().see(0.5, 0.75)
    manifest = tmp_path / "best" / "2" / "MANIFEST.json"
    stamp = manifest.stat().st_mtime_ns
    again = opened(standing=evaluation.Standing(step=0, value=0.5, since=0, seen=0))
    again.see(0.75, first=2)
    assert manifest.stat().st_mtime_ns == stamp and again.run.standing.step == 2


def test_best_parameters_that_were_removed_are_named(opened, tmp_path):
    one = opened()
    one.see(0.5)
    saver = checkpoint.Checkpointer(tmp_path / "best", keep=1)
    saver.save(9, {"params": state(9, 1.0).params}, {})
    saver.close()
    with pytest.raises(FileNotFoundError, match="not the best parameters, of step 0"):
        one.run.best(state(0, 0.0).params)
    assert np.isfinite(one.run.standing.value)
