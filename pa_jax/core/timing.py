"""Seconds per phase of a step, a count of compiled programs, and profiles of some steps."""

import collections
import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator

import jax
from absl import logging

# Recorded once a program by jax 0.7 to 0.10, with its name; a hit of the on-disk cache counts too.
_COMPILED = "/jax/core/compile/backend_compile_duration"
_LONG = 1.0


class PhaseTimer:
    """Adds up wall seconds by phase.

    JAX returns before the device is done: a phase is charged with its own work only if it ends by
    waiting for its result (jax.block_until_ready), else the next one that waits pays.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: collections.defaultdict[str, float] = collections.defaultdict(float)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge the time inside the block to `name`, also when it raises."""
        start = self._clock()
        try:
            yield
        finally:
            self._seconds[name] += self._clock() - start

    def take(self) -> dict[str, float]:
        """The seconds since the last take, as metrics {"seconds/NAME": s}; starts over."""
        taken = {f"seconds/{name}": float(s) for name, s in self._seconds.items()}
        self._seconds.clear()
        return taken


class CompileCounter:
    """Counts the programs that XLA compiles inside its `with` block.

    Small ones made by jnp calls outside jit count as well. One that took over a second is logged
    at INFO, the others at DEBUG.
    """

    def __init__(self) -> None:
        self.compiled: list[tuple[str, float]] = []

    @property
    def count(self) -> int:
        return len(self.compiled)

    @property
    def seconds(self) -> float:
        return float(sum(s for _, s in self.compiled))

    def __enter__(self) -> "CompileCounter":
        jax.monitoring.register_event_duration_secs_listener(self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._heard)

    def _heard(self, event: str, duration_secs: float, **details: str | int) -> None:
        if event != _COMPILED:
            return
        name = str(details.get("fun_name", "?"))
        self.compiled.append((name, duration_secs))
        level = logging.INFO if duration_secs >= _LONG else logging.DEBUG
        logging.log(level, "compiled %s in %.2f s (program %d)", name, duration_secs, self.count)


class Trace:
    """Inside its `with` block, a profile of the steps from one to before another, as files.

    Every process writes its own devices' (TensorBoard's profile plugin and xprof open them).
    """

    def __init__(self, folder: pathlib.Path, steps: tuple[int, ...]) -> None:
        """`steps` are two, or none for no profile."""
        self._folder, self._steps, self._on = folder, steps, False

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def at(self, step: int) -> None:
        """Call before each step."""
        if not self._steps:
            return
        first, end = self._steps
        if step >= end:
            self._end()
        elif step >= first and not self._on:
            self._on = True
            jax.profiler.start_trace(str(self._folder))

    def _end(self) -> None:
        if self._on:
            self._on = False
            jax.profiler.stop_trace()
            logging.info("the profile of steps %d to %d is in %s", *self._steps, self._folder)
