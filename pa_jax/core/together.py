"""One run, many processes: what ends one of them ends all, each with the reason of the first.

Every process that leaves for a reason of its own writes it into the key-value store of JAX's
coordination service, and every process looks there each second. So a process that waits in a
collective for one that will not come ends too. One that is killed without a word is missed by its
heartbeats (`distributed.SILENT_SECONDS`); then JAX ends the others itself.
"""

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any

import jax
import jax._src.distributed  # no public name for the store of its service
from absl import logging

LOOK_SECONDS = 1.0
LAST_SECONDS = 10.0  # that process 0, which holds the store, waits for the others to have read it
WRONG = 2  # the status of what a person must change: the config, the data, a full disk
_ROOM = "pa_jax/left/"


class Stopped(KeyboardInterrupt):
    """The run was asked to stop, saved, and is not at its end; `signal` says how it was asked."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.signal = signal.Signals(number)


class Together:
    """Around a job: one line and status 2 for what is expected; ends all processes if one fails.

    Of a single process only the line and the status are left. An unexpected error is shown whole
    and has status 1, a stop by a signal 128 and its number, as a shell counts them.
    """

    def __init__(self, expected: tuple[type[BaseException], ...]) -> None:
        self._expected = expected
        self._left = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True, name="together")

    def __enter__(self) -> "Together":
        return self

    def watch(self) -> None:
        """Call once the processes are one run (`distributed.start`)."""
        if jax.process_count() > 1:
            signal.signal(signal.SIGTERM, _interrupt)
            self._watch.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        several = self._watch.ident is not None
        self._left.set()
        if several:
            deaf()  # from here on a signal would only leave the others waiting
        if error is None:
            return
        if isinstance(error, Stopped):
            logging.info("%s", error)
            sys.exit(128 + error.signal)
        expected = isinstance(error, self._expected)
        if expected and logging.get_verbosity() < logging.DEBUG:
            logging.error("%s (--verbosity=1 shows where)", error)
        elif several:
            traceback.print_exception(error)
        else:
            return  # as Python shows it
        if not several:
            sys.exit(WRONG)
        self._end_if_another_left()  # then this error is only what came of it
        said = str(error) if expected else f"{type(error).__name__}: {error}"
        status = WRONG if expected else _status(error)
        self._leave(status, f"process {jax.process_index()} ended: {said}")

    def _look(self) -> None:
        """Ends this process once another has said that it left."""
        while not self._left.wait(LOOK_SECONDS):
            self._end_if_another_left()

    def _end_if_another_left(self) -> None:
        said = _said()
        if said:
            status, text = said[min(said)].split("\n", 1)
            logging.error("%s; this one ends with it", text)
            self._leave(int(status), text)

    @staticmethod
    def _leave(status: int, text: str) -> None:
        """Says why, waits until the others know where this process holds the store, and is gone.

        Not through JAX's own exit, which waits for those that will not come.
        """
        store, number = jax._src.distributed.global_state.client, jax.process_index()
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # no store any more: no one to tell
            assert store is not None  # of several processes
            store.key_value_set(f"{_ROOM}{number}", f"{status}\n{text}", allow_overwrite=True)
            until = time.monotonic() + LAST_SECONDS
            while number == 0 and time.monotonic() < until and len(_said()) < jax.process_count():
                time.sleep(0.1)
        logging.flush()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def deaf() -> None:
    """Signals that ask to stop do nothing any more: it is being left already."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


def _said() -> dict[int, str]:
    """What processes that left have said, by their number."""
    store = jax._src.distributed.global_state.client
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        assert store is not None  # of several processes
        return {int(k.removeprefix(_ROOM)): v for k, v in store.key_value_dir_get(_ROOM)}
    return {}


def _interrupt(number: int, _frame: Any) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _status(error: BaseException) -> int:
    return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
