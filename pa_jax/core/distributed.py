"""Several processes as one run: start together, meet at named barriers, tell where one is stuck."""

import faulthandler
import glob
import math
import os
import sys
import threading
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from orbax.checkpoint import multihost

START_SECONDS = 60
SILENT_SECONDS = 40  # without a heartbeat, after which a process counts as dead and all end
ENVIRONMENT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def start(seconds: float = START_SECONDS) -> None:
    """Join this run's other processes, where the environment tells of any; call before any array.

    On a TPU slice JAX learns of them from the VM itself (or TPU_WORKER_HOSTNAMES on GKE). Anywhere
    else all of ENVIRONMENT tells: HOST:PORT of process 0, how many there are, which this is.
    When not all of them have come in `seconds`, says so and ends the process: JAX's own client
    aborts it at its time-out, without an exception that could be caught. The status is 1, not 2: a
    pod that came too early may try again.
    """
    given = [name for name in ENVIRONMENT if os.environ.get(name)]
    if given and len(given) < len(ENVIRONMENT):
        raise ValueError(
            f"{', '.join(given)} set without {', '.join(n for n in ENVIRONMENT if n not in given)}"
            "; set all three, or none to run as one process."
        )
    if not given and not on_tpu_slice():
        return
    address, count, number = (os.environ.get(name) for name in ENVIRONMENT)
    known: dict[str, Any] = {}
    if count and number:
        known = {"num_processes": int(count), "process_id": int(number)}
    who = f"process {number} of {count}" if given else "this worker"
    alone = threading.Timer(seconds, _leave, (who, seconds))
    alone.daemon = True
    alone.start()
    # Its handler of SIGTERM, in C++, would keep the signal from ours (train/loop, core/together).
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        address,
        **known,
        initialization_timeout=2 * math.ceil(seconds),
        heartbeat_timeout_seconds=SILENT_SECONDS,
    )
    meet("start", 2 * math.ceil(seconds))
    alone.cancel()
    logging.info(
        "process %d of %d, %d of %d devices here",
        jax.process_index(),
        jax.process_count(),
        jax.local_device_count(),
        jax.device_count(),
    )


def _leave(who: str, seconds: float) -> None:
    logging.error(
        "%s waited %.0f s in vain for the others of its run; start the same command on every "
        "worker (tpu/launch.sh, or gcloud ... ssh --worker=all).",
        who,
        seconds,
    )
    logging.flush()
    os._exit(1)


def on_tpu_slice() -> bool:
    """Whether this is a TPU VM that may be one of several (a Colab machine never is)."""
    hosts = os.environ.get("TPU_PROCESS_ADDRESSES") or os.environ.get("TPU_WORKER_HOSTNAMES")
    if hosts is not None:
        return "," in hosts
    chips = glob.glob("/dev/accel*") or glob.glob("/dev/vfio/[0-9]*")
    return bool(chips) and "COLAB_RELEASE_TAG" not in os.environ


def meet(name: str, seconds: int) -> None:
    """Wait until every process is here; JaxRuntimeError names the barrier after `seconds`."""
    if jax.process_count() > 1:
        everyone = set(range(jax.process_count()))
        multihost.sync_global_processes(name, timeout=seconds, processes=everyone)


def largest(value: int) -> int:
    """The largest of what the processes give, the same for all; each must call it."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.process_allgather(np.int32(value)).max())


class Watchdog:
    """Writes the stacks of all threads to standard error when no `beat` comes for `seconds`.

    The process goes on: a slow step is not an error, and a stuck one shows where it is stuck.
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __enter__(self) -> "Watchdog":
        self.beat()
        return self

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()

    def beat(self) -> None:
        """All is well; start counting anew."""
        faulthandler.dump_traceback_later(
            self.seconds, repeat=True, file=sys.__stderr__ or sys.stderr
        )
