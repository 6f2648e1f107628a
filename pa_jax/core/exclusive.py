"""One job at a time in a folder: the second is told who is there, and a kill lets go.

A lock of the system's (fcntl, which NFS and Lustre pass on) decides between processes that see
each other's locks. Some mounts keep locks to one machine (gcsfuse, NFS with nolock) or have none:
there the holder's file, written anew every few seconds, says that somebody is alive elsewhere.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from absl import logging

from pa_jax.core import files

LOCK, HOLDER = ".in-use.lock", "in-use.json"
BEAT_SECONDS = 5.0
SILENT_SECONDS = 20.0  # without a beat, after which a holder on another machine counts as gone
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
    """Inside, no other job works in the folder; a ValueError says who does already."""
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        locks = _lock(file, folder)
        before = _holder(folder)
        if before is not None and _lives(before, folder, locks=locks):
            raise _in_use(folder, before)
        ended = threading.Event()
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot()}
        mine["since"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        beats = threading.Thread(target=_beat, args=(folder, mine, ended), daemon=True)
        _write(folder, mine)
        beats.start()
        try:
            yield
        finally:
            ended.set()
            beats.join()
            (folder / HOLDER).unlink(missing_ok=True)
    finally:
        os.close(file)


def _lock(file: int, folder: pathlib.Path) -> bool:
    """Takes the system's lock; False where the file system has none."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise _in_use(folder, _holder(folder) or {}) from error
        if error.errno not in _NO_LOCKS:
            raise
        logging.warning("%s has no locks (%s); other jobs are known by their beats", folder, error)
        return False
    return True


def _lives(before: dict[str, Any], folder: pathlib.Path, *, locks: bool) -> bool:
    """Whether the process that said so still holds the folder, though its lock is not seen."""
    if locks and (before.get("host"), before.get("boot")) == (socket.gethostname(), _boot()):
        return False  # it would have the lock
    logging.info("%s was held by a job on %s; listening for it", folder, before.get("host"))
    until = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < until:
        time.sleep(min(BEAT_SECONDS, SILENT_SECONDS) / 10)
        now = _holder(folder)
        if now != before:
            return now is not None
    return False


def _beat(folder: pathlib.Path, mine: dict[str, Any], ended: threading.Event) -> None:
    """Writes that the job is alive; ends it where another has the folder by now.

    That is one that began in the same moment, or thought this one dead while it was stopped.
    """
    beats = 0
    while not ended.wait(BEAT_SECONDS):
        beats += 1
        now = _holder(folder)
        if now is not None and not mine.items() <= now.items():
            logging.error("%s It has taken over; this job ends.", _in_use(folder, now))
            logging.flush()
            os._exit(1)
        with contextlib.suppress(OSError):  # a full disk must not end the job from here
            _write(folder, mine | {"beats": beats})


def _write(folder: pathlib.Path, mine: dict[str, Any]) -> None:
    files.atomic_write(folder / HOLDER, json.dumps(mine) + "\n")


def _holder(folder: pathlib.Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / HOLDER).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _boot() -> str:
    """Tells machines with the same name apart."""
    try:
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _in_use(folder: pathlib.Path, who: dict[str, Any]) -> ValueError:
    return ValueError(
        f"{folder} is in use by process {who.get('pid', 'unknown')} on {who.get('host', 'unknown')}"
        f" since {who.get('since', 'a moment ago')}; wait for it, end it, or give another "
        "--workdir."
    )
