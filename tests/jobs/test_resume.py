"""A run killed at random moments and resumed ends bit-identical to one that was left alone."""

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

# Orbax is read without saying where arrays go: this one machine.
pytestmark = pytest.mark.filterwarnings("ignore:Sharding info not provided:UserWarning")
STEPS, KILLS = 12, 10
COMMAND = (
    "-m", "pa_jax.main", "--config=configs/grpo.py:tiny", f"--config.train.steps={STEPS}",
    "--config.data.users=1", "--config.eval.episodes=2", "--config.optim.learning_rate=1e-3",
)  # fmt: skip


def start(root, workdir):
    workdir = pathlib.Path(workdir)
    environment = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "",
        # Compiled once for all starts of this module.
        "JAX_COMPILATION_CACHE_DIR": str(workdir.parent.parent / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    with (workdir.parent / f"{workdir.name}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, *COMMAND, f"--workdir={workdir}"],
            cwd=root,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )


def rows(workdir, name="metrics.jsonl"):
    return [metrics.without_timing(row) for row in files.read_rows(pathlib.Path(workdir) / name)]


def arrays(workdir):
    """Every array of the last checkpoint, read through Orbax itself."""
    path = pathlib.Path(workdir) / "checkpoints" / str(STEPS) / "state"
    restored = ocp.PyTreeCheckpointer().restore(path.absolute())
    return {name: np.asarray(value) for name, value in sorted(restored.items())}


@pytest.fixture(scope="module")
def alone(root, tmp_path_factory):
    """Work directory of the run that nothing disturbed; it crosses an epoch edge."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    assert start(root, workdir).wait() == 0
    return workdir


def same(one, other):
    assert rows(one) == rows(other)
    assert rows(one, "samples.jsonl") == rows(other, "samples.jsonl")
    first, second = arrays(one), arrays(other)
    assert first.keys() == second.keys() and len(first) > 10
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_the_undisturbed_run_learns_something_over_more_than_an_epoch(alone):
    metrics_rows = rows(alone)
    assert [row["step"] for row in metrics_rows] == list(range(STEPS))
    assert any(row["kl"] > 0 for row in metrics_rows)
    seen = [row["episode"]["id"] for row in rows(alone, "samples.jsonl")]
    assert len(set(seen)) < len(seen)  # an episode came twice: a second epoch began


def test_sigterm_saves_and_leaves_cleanly_then_goes_on_the_same(root, alone, tmp_path):
    workdir = tmp_path / "run"
    process = start(root, workdir)
    while not (workdir / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert len(rows(workdir)) < STEPS
    assert start(root, workdir).wait() == 0
    same(alone, workdir)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(root, alone, tmp_path):
    workdir = tmp_path / "run"
    rng = random.Random(7)
    for _ in range(KILLS):
        process = start(root, workdir)
        seen = len(rows(workdir)) if (workdir / "metrics.jsonl").exists() else 0
        wait_for = min(seen + rng.randint(0, 2), STEPS - 1)
        while process.poll() is None:
            done = (workdir / "metrics.jsonl").exists() and len(rows(workdir)) > wait_for
            if done:
                break
            time.sleep(0.02)
        time.sleep(rng.random() * 0.3)
        process.kill()
        process.wait()
    assert start(root, workdir).wait() == 0
    same(alone, workdir)
