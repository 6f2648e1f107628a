"""Two real jobs in one work directory: one runs, the other says whose it is; a kill lets go."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from pa_jax.core import distributed, exclusive, files
from tests import devices

COMMAND = (
    "-m", "pa_jax.main", "--config=configs/grpo.py:tiny", "--config.data.users=1",
    "--config.mesh.fsdp=2", "--config.warm.steps=1", "--config.train.steps=2",
    "--config.rollout.group=2", "--config.rollout.prompt_tokens=512", "--config.eval.episodes=2",
    "--config.eval.rows=2",
)  # fmt: skip


def started(root, workdir, hosts):
    """A job of so many processes, as many as it had hosts, each with its own log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": devices.flags(2 // hosts)}
    job = []
    for number in range(hosts):
        values = (f"127.0.0.1:{port}", str(hosts), str(number))
        mine = dict(zip(distributed.ENVIRONMENT, values, strict=True)) if hosts > 1 else {}
        command = [sys.executable, *COMMAND, f"--workdir={workdir}"]
        said = workdir.parent / f"{port}-{number}.log"
        with said.open("w") as log:
            process = subprocess.Popen(
                command, cwd=root, env=environment | mine, stdout=log, stderr=log
            )
        process.said = said
        job.append(process)
    return job


def held_by(workdir):
    """The process that holds the folder, once one does."""
    until = time.monotonic() + 300
    while not (workdir / exclusive.HOLDER).exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    return json.loads((workdir / exclusive.HOLDER).read_text())["pid"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("hosts", [1, 2])
def test_one_of_two_jobs_runs_and_the_other_says_who_does(root, tmp_path, hosts):
    workdir = tmp_path / "run"
    first = started(root, workdir, hosts)
    holder = held_by(workdir)
    assert holder == first[0].pid
    second = started(root, workdir, hosts)
    codes = [process.wait(600) for process in second]
    assert all(codes), [process.said.read_text()[-2000:] for process in second]
    said = [process.said.read_text() for process in second]
    assert f"in use by process {holder} on {socket.gethostname()} since" in said[0]
    assert all("in use by" in text and "Traceback" not in text for text in said)
    assert first[0].poll() is None  # nobody was disturbed
    for process in first:
        process.send_signal(signal.SIGKILL)
        process.wait()
    third = started(root, workdir, hosts)
    assert [process.wait(600) for process in third] == [0] * hosts, third[0].said.read_text()
    steps = [row["step"] for row in files.read_rows(pathlib.Path(workdir) / "metrics.jsonl")]
    assert steps == sorted(set(steps)) and steps[-1] == 2
    assert not (workdir / exclusive.HOLDER).exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_two_jobs_that_start_in_one_moment_one_runs(root, tmp_path):
    both = [started(root, tmp_path / "run", 1)[0] for _ in range(2)]
    codes = sorted(process.wait(600) for process in both)
    assert codes[0] == 0 and codes[1] != 0
    steps = [row["step"] for row in files.read_rows(tmp_path / "run" / "metrics.jsonl")]
    assert steps == [0, 1, 2]
