"""A job started as several processes, which share eight devices, as on the workers of a slice."""

import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Sequence

from pa_jax.core import distributed

DEVICES = 8


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(
    root: pathlib.Path, command: Sequence[str], workdir: pathlib.Path, *, processes: int
) -> None:
    """`python -m pa_jax.main` with these options in so many processes; all must end well.

    The log of process N is beside the work directory, WORKDIR-N.log.
    """
    shared = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES // processes}",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "0",
    }
    port, children = free_port(), []
    for number in range(processes):
        mine = dict(shared)
        if processes > 1:
            values = (f"127.0.0.1:{port}", str(processes), str(number))
            mine |= dict(zip(distributed.ENVIRONMENT, values, strict=True))
        with (workdir.parent / f"{workdir.name}-{number}.log").open("a") as log:
            children.append(
                subprocess.Popen(
                    [sys.executable, "-m", "pa_jax.main", *command, f"--workdir={workdir}"],
                    cwd=root,
                    env=os.environ | mine,
                    stdout=log,
                    stderr=log,
                )
            )
    codes = [child.wait(timeout=800) for child in children]
    assert codes == [0] * processes, (workdir.parent / f"{workdir.name}-0.log").read_text()[-3000:]
