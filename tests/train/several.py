"""A run of several processes with a small model, for tests that stop it: the loop is the real one.

python -m tests.train.several WORKDIR STEPS [FAILS AT]: process FAILS raises in the step AT.
"""

import pathlib
import sys
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from pa_jax.core import checkpoint, distributed, metrics, sharding, timing, together
from pa_jax.core import mesh as meshes
from pa_jax.train import evaluation, loop, step

WIDTH = 1 << 20  # 4 MB a matrix: a save takes long enough to be met
SLOW = 0.1  # seconds that a judge, and an evaluation, take


class Weight(nnx.Module):
    def __init__(self) -> None:
        self.w = nnx.Param(jnp.zeros((8, WIDTH // 8)), axes=("embed", None))


class Numbers:
    """Batches 1, 2, 3, ...: a step done twice, or left out, shows in the parameters."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        self.at += 1
        return np.full((1, 1), self.at, np.float32)

    def get_state(self) -> dict[str, int]:
        return {"at": self.at}


def main(workdir: pathlib.Path, steps: int, fails: int, at: int) -> None:
    """Trains to the last step, or raises together.Stopped."""
    mesh = meshes.make(meshes.MeshConfig(fsdp=-1, tp=1, ep=1))
    tx, batches = optax.adam(0.1), Numbers()
    with meshes.using(mesh):
        graph, params = nnx.split(Weight())
        state = step.create(params, tx, mesh=mesh)
        where = step.layout(state, mesh)
        update = step.make_update(
            graph,
            lambda model, x: (jnp.mean((model.w[...] - 0.1 * jnp.mean(x)) ** 2), {}),
            tx,
            compute="float32",
            where=where,
        )
        saver = checkpoint.Checkpointer(workdir / "checkpoints", keep=1)
        known = saver.restore(state)
        if known is not None:
            state, batches.at = known.state, known.meta["data"]["at"]
        start = int(state.step)

        def one(state, batch, number):
            mark(workdir, f"judge-{number}")
            time.sleep(SLOW)
            if jax.process_index() == fails and number == at:
                raise ValueError(f"no batch {number} on process {fails}")
            made = sharding.put(np.repeat(batch, 8, 1), mesh, None, "rows")
            return *update(state, made, jnp.int32(1)), None

        def measure(state: step.TrainState) -> dict[str, float]:
            mark(workdir, f"evaluation-{int(state.step)}")
            time.sleep(SLOW)
            return {"w": float(jax.jit(jnp.mean)(state.params["w"][...]))}

        writer = metrics.MetricWriter(workdir, tensorboard=False, resume_step=start)
        standing = known and known.meta["best"] and evaluation.Standing(**known.meta["best"])
        evaluated = evaluation.Evaluation(
            evaluation.EvaluationPlan(5, "w", 0, (steps,), 0), measure,
            folder=workdir / "best", writer=writer, standing=standing,
        )  # fmt: skip
        state, stopped = loop.run(
            state, batches, loop.Hooks(one, lambda row: "", lambda *_: None),
            loop.LoopConfig(steps, 3, save_minutes=9, keep=1, max_skipped=1, stall=600, trace=()),
            loop.Span("adam", 0, steps), evaluated=evaluated, saver=saver, writer=writer,
            timer=timing.PhaseTimer(),
        )  # fmt: skip
        saver.close(), evaluated.close(), writer.close()
    if stopped and int(state.step) < steps:
        raise together.Stopped(stopped, f"stopped at step {int(state.step)}")


def mark(workdir: pathlib.Path, name: str) -> None:
    """Tells the test where the run is."""
    if jax.process_index() == 0:
        (workdir / f"{name}.mark").touch()


if __name__ == "__main__":
    with together.Together((ValueError,)) as processes:
        distributed.start()
        processes.watch()
        numbers = [int(x) for x in sys.argv[2:]]
        main(pathlib.Path(sys.argv[1]), *numbers, *[-1] * (3 - len(numbers)))
