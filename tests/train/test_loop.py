"""The step loop: a run whose updates stop being finite ends with the window of steps named."""

import dataclasses
import itertools
import os
import signal
import types

import jax.numpy as jnp
import optax
import pytest
from flax import nnx

from pa_jax.core import checkpoint, files, metrics, timing
from pa_jax.train import evaluation, loop, step


class Weight(nnx.Module):
    def __init__(self):
        self.w = nnx.Param(jnp.ones(()))


class Numbers:
    """Endless batches 0, 1, 2, ... with a position that can be saved."""

    def __init__(self, bad_from):
        self.at, self.bad_from = 0, bad_from

    def __iter__(self):
        return self

    def __next__(self):
        self.at += 1
        return jnp.full((1, 1), jnp.nan if self.at > self.bad_from else 1.0)

    def get_state(self):
        return {"at": self.at}


def run(tmp_path, bad_from, steps=8, every=0, patience=0, stop=None, save_every=2, trace=()):
    graph, params = nnx.split(Weight())
    tx = optax.sgd(0.1)
    update = step.make_update(
        graph,
        lambda model, x: (jnp.sum((model.w[...] * x - 2.0) ** 2), {}),
        tx,
        compute="float32",
    )
    seen = []
    hooks = loop.Hooks(
        lambda state, batch, number: (*update(state, batch, jnp.int32(1)), None),
        lambda row: "",
        lambda number, samples, row: seen.append(number) or number == stop and interrupt(),
    )
    saver = checkpoint.Checkpointer(tmp_path / "checkpoints", keep=2)
    state, start, known = step.create(params, tx), 0, None
    restored = saver.restore(state)
    if restored is not None:
        state, start, known = restored.state, restored.step, restored.meta["best"]
        known = evaluation.Standing(**known)
    writer = metrics.MetricWriter(
        tmp_path,
        tensorboard=False,
        resume_step=start,
        evaluated=-1 if known is None else known.seen,
    )
    cfg = loop.LoopConfig(
        steps, save_every, save_minutes=1, keep=2, max_skipped=3, stall=600, trace=trace
    )
    evaluated = evaluation.Evaluation(
        evaluation.EvaluationPlan(every, "w", patience, (steps,), 0),
        lambda state: {"w": -abs(float(state.params["w"][...]) - 1.5)},  # best on the way to 2
        folder=tmp_path / "best",
        writer=writer,
        standing=known,
    )
    try:
        return loop.run(
            state,
            Numbers(bad_from),
            hooks,
            cfg,
            loop.Span("sgd", 0, steps),
            evaluated=evaluated,
            saver=saver,
            writer=writer,
            timer=timing.PhaseTimer(),
        )
    finally:
        saver.close()
        evaluated.close()


def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)


def evaluations(tmp_path):
    rows = map(metrics.without_timing, files.read_rows(tmp_path / "evaluations.jsonl"))
    return [(row["step"], row["w"]) for row in rows]


def test_evaluations_come_between_steps_and_patience_ends_the_run(tmp_path):
    state, stopped = run(tmp_path, bad_from=100, steps=20, every=2, patience=3)
    # |w - 1.5| of w = 2 - 0.8**n: 0.5, 0.14, 0.09, 0.24, 0.33, ...: the third is the best
    assert [step for step, _ in evaluations(tmp_path)] == [0, 2, 4, 6, 8, 10]
    assert not stopped and int(state.step) == 10
    assert [p.name for p in (tmp_path / "best").iterdir()] == ["4"]
    again, _ = run(tmp_path, bad_from=100, steps=20, every=2, patience=3)
    assert int(again.step) == 10  # stays ended
    again, _ = run(tmp_path, bad_from=100, steps=20, every=2, patience=4)
    assert int(again.step) == 12  # goes on with more


def test_a_stop_signal_leaves_the_evaluation_to_the_next_start(tmp_path):
    run(tmp_path / "whole", bad_from=100, steps=6, every=2)
    _, stopped = run(tmp_path / "parts", bad_from=100, steps=6, every=2, stop=3)
    assert stopped and [step for step, _ in evaluations(tmp_path / "parts")] == [0, 2]
    _, stopped = run(tmp_path / "parts", bad_from=100, steps=6, every=2)
    assert not stopped and evaluations(tmp_path / "parts") == evaluations(tmp_path / "whole")


def test_a_checkpoint_comes_by_the_clock_where_steps_are_slow(tmp_path, monkeypatch):
    """25 seconds a look at the clock, and one look a step: after each third step a minute is up."""
    now = itertools.count(0, 25)
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(monotonic=lambda: float(next(now))))
    seen = []
    save = checkpoint.Checkpointer.save
    monkeypatch.setattr(
        checkpoint.Checkpointer,
        "save",
        lambda self, step, *a: (seen.append(step), save(self, step, *a)),
    )
    run(tmp_path, bad_from=100, steps=8, save_every=100)
    assert seen == [3, 6, 8]


def test_repeated_non_finite_updates_stop_the_run_and_name_the_steps(tmp_path):
    with pytest.raises(loop.Diverged, match=r"3 updates in a row.*steps 4 to 6.*step 6"):
        run(tmp_path, bad_from=4)
    rows = list(files.read_rows(tmp_path / "metrics.jsonl"))
    assert [row["skipped"] for row in rows] == [0, 0, 0, 0, 1, 1, 1]
    assert {row["phase"] for row in rows} == {"sgd"}
    assert rows[-1]["loss"] is None


def test_a_clean_run_reaches_its_last_step_and_leaves_a_checkpoint(tmp_path):
    state, stopped = run(tmp_path, bad_from=100, steps=5)
    assert not stopped and int(state.step) == 5
    want = 1.0
    for _ in range(5):
        want -= 0.1 * 2 * (want - 2.0)
    assert abs(float(state.params["w"][...]) - want) < 1e-5
    assert (tmp_path / "checkpoints" / "5").is_dir()


def test_a_profile_of_some_steps_is_written_once(tmp_path):
    run(tmp_path, bad_from=100, steps=6, trace=(2, 4))
    assert len(list((tmp_path / "trace").rglob("*.xplane.pb"))) == 1
    run(tmp_path / "cut", bad_from=100, steps=6, trace=(4, 9))  # it ends before
    assert len(list((tmp_path / "cut" / "trace").rglob("*.xplane.pb"))) == 1
    run(tmp_path / "none", bad_from=100, steps=3)
    assert not (tmp_path / "none" / "trace").exists()


@pytest.mark.parametrize("trace", [(1,), (3, 3), (4, 2), (-1, 2), (1, 2, 3)])
def test_a_trace_is_two_steps_in_order(trace):
    with pytest.raises(ValueError, match="train.trace="):
        loop.LoopConfig(1, 1, save_minutes=1, keep=1, max_skipped=1, stall=1, trace=trace)


NUMBERS = [f.name for f in dataclasses.fields(loop.LoopConfig) if f.name != "trace"]


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_below_one_are_refused(name):
    values = dict.fromkeys(NUMBERS, 1) | {name: 0, "trace": ()}
    with pytest.raises(ValueError, match=f"train.{name}=0"):
        loop.LoopConfig(**values)
