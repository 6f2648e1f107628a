"""Calls of many threads joined into batches of one function, list in, list out."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import logging

from pa_jax.english import memory


class MicroBatcher:
    """Calls `function` with what threads ask at the same time; each gets its own result.

    One batch runs at a time; while it does, the next one fills. When a batch fails, each of its
    calls runs alone, so that what is wrong with one does not reach the others, in words or deeds.
    """

    def __init__(
        self, function: Callable[[Sequence[Any]], Sequence[Any]], *, most: int, wait_seconds: float
    ) -> None:
        """A batch has at most `most` calls; its first waits `wait_seconds` for others to join."""
        if most < 1 or wait_seconds < 0:
            raise ValueError(
                f"MicroBatcher got most={most}, wait_seconds={wait_seconds}; give 1 or more calls, "
                "and 0 or more seconds."
            )
        self._function, self._most, self._wait = function, most, wait_seconds
        self._changed = threading.Condition()
        self._filling: _Batch | None = None
        self._closed = False
        self._worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="batches")

    def __call__(self, item: Any) -> Any:
        """The function's result for `item`; raises what it raises."""
        with self._changed:
            if self._closed:
                raise RuntimeError("closed: no call is taken any more.")
            batch = self._filling
            if batch is None:
                batch = self._filling = _Batch(time.monotonic() + self._wait)
                batch.done = self._worker.submit(self._run, batch)
            place = len(batch.items)
            batch.items.append(item)
            if len(batch.items) >= self._most:
                self._filling = None
            self._changed.notify_all()
        error = batch.done.exception()
        if error is None or len(batch.items) == 1:
            return batch.done.result()[place]
        kind = type(error).__name__  # its words may be those of another caller
        logging.warning("a batch of %d calls failed (%s); each runs alone", len(batch.items), kind)
        return self._worker.submit(self._answers, [item]).result()[0]

    def close(self) -> None:
        """Takes no more calls; those under way get their results. Twice does no harm."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._worker.shutdown()

    def _run(self, batch: "_Batch") -> Sequence[Any]:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._filling is not batch,
                timeout=max(batch.until - time.monotonic(), 0.0),
            )
            if self._filling is batch:
                self._filling = None
        return self._answers(batch.items)

    def _answers(self, items: Sequence[Any]) -> Sequence[Any]:
        with memory.apart():
            answers = self._function(items)
        if len(answers) != len(items):
            raise ValueError(f"{len(items)} calls got {len(answers)} results; return one for each.")
        return answers


class _Batch:
    """Calls that run together, in the order in which they came."""

    def __init__(self, until: float) -> None:
        self.items: list[Any] = []
        self.until = until
        self.done: concurrent.futures.Future
