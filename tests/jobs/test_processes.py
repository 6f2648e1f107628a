"""GRPO over several processes is GRPO in one: the same parameters, whoever holds the devices."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import distributed, files, metrics
from pa_jax.jobs import policy
from tests.jobs import processes as several

COMMAND = (
    "--config=configs/grpo.py:tiny", "--config.data.users=1",
    "--config.mesh.fsdp=4", "--config.mesh.tp=2", "--config.warm.steps=1",
    "--config.rollout.group=2",
    "--config.rollout.prompt_tokens=512", "--config.eval.episodes=4", "--config.eval.rows=4",
    "--config.optim.learning_rate=1e-3", "--config.train.save_every=100",
    # Where a gradient is all but zero, Adam with 1e-8 divides one rounding by another: sums over
    # processes are taken in another order, and a single element then ends 5e-5 away.
    "--config.optim.eps=1e-5",
)  # fmt: skip


def run(root: pathlib.Path, workdir: pathlib.Path, *, processes: int, steps: int) -> None:
    """Up to so many steps, one of them of the warm start; all must end well."""
    command = (*COMMAND, f"--config.train.steps={steps - 1}")
    several.run(root, command, workdir, processes=processes)


def arrays(workdir: pathlib.Path, step: int) -> dict[tuple, np.ndarray]:
    """The trained parameters, read by this one process."""
    model, number = policy.trained(workdir, "newest")
    assert number == step
    return {path: np.asarray(x[...]) for path, x in nnx.to_flat_state(nnx.state(model.module))}


def same(one: pathlib.Path, other: pathlib.Path, step: int) -> None:
    """Equal to 1e-5, and the same episodes in the same order."""
    first, second = arrays(one, step), arrays(other, step)
    assert list(first) == list(second) and len(first) > 8
    for name in first:
        np.testing.assert_allclose(
            first[name], second[name], rtol=1e-5, atol=1e-5, err_msg=str(name)
        )
    assert [r["episode"] for r in files.read_rows(one / "samples.jsonl")] == [
        r["episode"] for r in files.read_rows(other / "samples.jsonl")
    ]


@pytest.fixture(scope="module")
def alone(root, tmp_path_factory):
    """Five steps in one process with eight devices."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    run(root, workdir, processes=1, steps=5)
    start = nnx.to_flat_state(nnx.state(models.load("random:tiny", dtype="float32").module))
    end = arrays(workdir, 5)
    assert max(np.abs(end[path] - x[...]).max() for path, x in start) > 1e-3  # it trained
    return workdir


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_reach_the_parameters_of_one(alone, root, tmp_path, processes):
    run(root, tmp_path / "run", processes=processes, steps=5)
    same(alone, tmp_path / "run", 5)
    rows = [metrics.without_timing(r) for r in files.read_rows(tmp_path / "run" / "metrics.jsonl")]
    assert [row["step"] for row in rows] == list(range(5))  # only one process writes


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_checkpoint_of_four_processes_goes_on_with_two_and_then_with_one(alone, root, tmp_path):
    for processes, steps in ((4, 2), (2, 4), (1, 5)):
        run(root, tmp_path / "run", processes=processes, steps=steps)
    same(alone, tmp_path / "run", 5)
    rows = files.read_rows(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(5))


def test_one_of_two_says_that_it_is_alone(root):
    values = (f"127.0.0.1:{several.free_port()}", "2", "0")
    environment = os.environ | dict(zip(distributed.ENVIRONMENT, values, strict=True))
    start = "from pa_jax.core import distributed; distributed.start(3)"
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=root, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1  # not 2, at which a JobSet gives up
    assert "process 0 of 2 waited 3 s in vain" in done.stderr


def test_a_partial_environment_is_named(monkeypatch):
    for name in distributed.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match="without JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID"):
        distributed.start()
