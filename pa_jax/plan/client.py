"""Starts the compiling process, hands it a request and follows its events."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pa_jax
from pa_jax.plan import compiling, request

# Asked for before JAX is imported: no metadata server, no other hosts, no TPU.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "JAX_PLATFORMS": "cpu",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # two plans may compile at once: neither opens a chip
}
UNWANTED = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")  # they change what is compiled


@dataclasses.dataclass(frozen=True)
class PlanAnswer:
    """Compiled phases by name, and messages of those that no chip can hold."""

    compiled: Mapping[str, compiling.Compiled]
    too_large: tuple[str, ...]


def check_libtpu() -> None:
    """ValueError where the TPU compiler is not installed."""
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(
            "plan compiles with libtpu, which is not installed; no TPU is needed, but its "
            "compiler is: pip install 'pa_jax[tpu]'."
        )


def ask(
    asked: request.PlanRequest,
    log: pathlib.Path,
    started: Callable[[str], None],
    *,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> PlanAnswer:
    """The answer; `started(phase)` is called as each phase starts, stderr goes to `log`.

    ValueError carries the process's message where the request cannot be met.
    """
    kept = {k: v for k, v in os.environ.items() if k not in UNWANTED}
    root = str(pathlib.Path(pa_jax.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH")]))
    compiled, too_large = {}, []
    with (
        open(log, "w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "pa_jax.plan"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=kept | {"PYTHONPATH": path} | dict(environment),
        ) as process,
    ):
        assert process.stdin and process.stdout  # both are pipes
        with contextlib.suppress(BrokenPipeError):  # it ended at once: its status says so below
            process.stdin.write(json.dumps(dataclasses.asdict(asked)))
            process.stdin.close()
        try:
            for line in process.stdout:
                event: dict[str, Any] = json.loads(line)
                if event["event"] == "start":
                    started(event["phase"])
                elif event["event"] == "done":
                    compiled[event["phase"]] = compiling.read(event["compiled"])
                elif event["event"] == "too_large":
                    too_large.append(event["message"])
                else:
                    raise ValueError(event["message"])
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = (log.read_text().strip().splitlines() or ["no message"])[-1]
        killed = process.returncode == -signal.SIGKILL
        why = " (killed, as a system does that is short of memory)" if killed else ""
        raise ValueError(
            f"the compiling process ended with status {process.returncode}{why}: {last} (all of "
            f"it: {log})."
        )
    return PlanAnswer(compiled, tuple(too_large))
