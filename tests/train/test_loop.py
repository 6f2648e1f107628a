"""The step loop: a run whose updates stop being finite ends with the window of steps named."""

import dataclasses

import jax.numpy as jnp
import optax
import pytest
from flax import nnx

from pa_jax.core import checkpoint, files, metrics, timing
from pa_jax.train import loop, step


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


def run(tmp_path, bad_from, steps=8):
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
        lambda number, samples, row: seen.append(number),
    )
    saver = checkpoint.Checkpointer(tmp_path / "checkpoints", keep=2)
    writer = metrics.MetricWriter(tmp_path, tensorboard=False, resume_step=0)
    cfg = loop.LoopConfig(steps=steps, save_every=2, keep=2, max_skipped=3, stall=600)
    try:
        return loop.run(
            step.create(params, tx),
            Numbers(bad_from),
            hooks,
            cfg,
            saver=saver,
            writer=writer,
            timer=timing.PhaseTimer(),
        )
    finally:
        saver.close()


def test_repeated_non_finite_updates_stop_the_run_and_name_the_steps(tmp_path):
    with pytest.raises(loop.Diverged, match=r"3 updates in a row.*steps 4 to 6.*step 6"):
        run(tmp_path, bad_from=4)
    rows = list(files.read_rows(tmp_path / "metrics.jsonl"))
    assert [row["skipped"] for row in rows] == [0, 0, 0, 0, 1, 1, 1]
    assert rows[-1]["loss"] is None


def test_a_clean_run_reaches_its_last_step_and_leaves_a_checkpoint(tmp_path):
    state, finished = run(tmp_path, bad_from=100, steps=5)
    assert finished and int(state.step) == 5
    want = 1.0
    for _ in range(5):
        want -= 0.1 * 2 * (want - 2.0)
    assert abs(float(state.params["w"][...]) - want) < 1e-5
    assert (tmp_path / "checkpoints" / "5").is_dir()


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(loop.LoopConfig)])
def test_numbers_below_one_are_refused(name):
    values = {"steps": 1, "save_every": 1, "keep": 1, "max_skipped": 1, "stall": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"train.{name}=0"):
        loop.LoopConfig(**values)
