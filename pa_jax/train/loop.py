"""The step loop of every training job: metrics, checkpoints, samples, stop signals, progress.

A step is a batch, what the job does with it (Hooks.step), and then, in this order,

    its row in metrics.jsonl -> its samples -> an evaluation where one is due -> a checkpoint

A run may be killed between any two of them, or within one, and goes on as if it never had been.
What makes that true is the order: a checkpoint vouches for all that stands before it, so that all
of that must be on file first. On restart the newest intact checkpoint says where the run stands;
rows and samples of that step and later ones are cut away, and so are evaluations that it does not
know of, and those steps are done again. They come out the same, to the bit on a CPU, because
nothing in a step hangs on what happened to the process: draws are keyed by the step's number
(core/keys.py), the place in the data and the best figure so far lie in the checkpoint. Were the
checkpoint first, a kill behind it would lose the row of its step for good.

A signal to stop is read between two steps alone, so that there is no half step to save. Several
processes must agree on it, and on the checkpoints that a clock calls for: to save is a collective,
and a process that came alone would wait there for the others.
"""

import contextlib
import dataclasses
import resource
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import tqdm
from absl import logging

from pa_jax.core import checkpoint, chips, distributed, metrics, timing, together
from pa_jax.train import evaluation
from pa_jax.train.step import TrainState


class Diverged(RuntimeError):
    """Too many updates in a row were not finite."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """steps        updates, those of a warm start not among them
    save_every   steps between checkpoints (the last step is always saved)
    save_minutes  minutes after which a checkpoint comes in any case
    keep         checkpoints that stay
    max_skipped  non-finite updates in a row that stop the run
    stall        seconds without the end of a step after which all stacks are shown
    trace        steps (from, to before) whose profile goes to trace/; (): none
    """

    steps: int
    save_every: int
    save_minutes: int
    keep: int
    max_skipped: int
    stall: int
    trace: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.trace and not (len(self.trace) == 2 and 0 <= self.trace[0] < self.trace[1]):
            raise ValueError(
                f"train.trace={self.trace}: allowed are () and two steps, (10, 12) for 10 and 11."
            )
        for name in ("steps", "save_every", "save_minutes", "keep", "max_skipped", "stall"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name}={getattr(self, name)}: must be at least 1.")


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What a job adds to the loop.

    step    (state, batch, step number) -> (state, metrics, samples)
    show    metrics row -> the short text beside the progress bar
    after   (step number, samples, metrics row), once the row is on file
    begin   (state) before the first of these steps, in each start of the run
    """

    step: Callable[[Any, Any, int], tuple[Any, dict[str, Any], Any]]
    show: Callable[[dict[str, float]], str]
    after: Callable[[int, Any, dict[str, float]], None]
    begin: Callable[[TrainState], None] = lambda state: None


@dataclasses.dataclass(frozen=True)
class Span:
    """Steps `first` to `until` (not among them), and what they are called in rows."""

    name: str
    first: int
    until: int


@runtime_checkable
class Endless(Protocol):
    """Batches without end, which say where they stand."""

    def __next__(self) -> Any: ...

    def get_state(self) -> dict[str, Any]: ...


class StopSignal:
    """Turns SIGTERM and SIGINT into a number that the loop reads between steps; 0 is none."""

    def __init__(self) -> None:
        self._heard = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def agreed(self) -> int:
        """What any process has heard; all must ask, and all are told the same."""
        number = distributed.largest(self._heard)
        if number and jax.process_count() > 1:
            self._before.clear()  # not restored: the others' signals may still come
            together.deaf()
        return number

    def _hear(self, number: int, _frame: Any) -> None:
        if self._heard:  # a second one means now
            raise KeyboardInterrupt
        self._heard = number
        logging.warning(
            "%s: finishing this step, then saving and leaving", signal.Signals(number).name
        )


def run(
    state: TrainState,
    batches: Endless,
    hooks: Hooks,
    cfg: LoopConfig,
    span: Span,
    *,
    evaluated: evaluation.Evaluation,
    saver: checkpoint.Checkpointer,
    writer: metrics.MetricWriter,
    timer: timing.PhaseTimer,
) -> tuple[TrainState, int]:
    """Train from `state.step` to the span's end; the state reached, and the signal that stopped it.

    Raises Diverged after cfg.max_skipped non-finite updates in a row, with nothing of them kept.
    """
    start = int(state.step)
    skipped = stopped = 0
    if start < span.until and not evaluated.enough:
        hooks.begin(state)
    if evaluated.due(start):  # the run's first, or one that a stop left out
        evaluated.run(state, span.name)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopSignal())
        watchdog = stack.enter_context(distributed.Watchdog(cfg.stall))
        compiles = stack.enter_context(timing.CompileCounter())
        trace = stack.enter_context(timing.Trace(writer.path.parent / "trace", cfg.trace))
        bar = stack.enter_context(
            tqdm.tqdm(
                desc=span.name,
                total=span.until - span.first,
                initial=start - span.first,
                unit="step",
                dynamic_ncols=True,
            )
        )
        saved = time.monotonic()
        for number in range(start, span.until):
            if evaluated.enough:
                break
            trace.at(number)
            with timer.phase("data"):
                batch = next(batches)
            state, values, samples = hooks.step(state, batch, number)
            # Waits for the step: its row is on file before anything vouches for it.
            row = {name: _number(x) for name, x in jax.device_get(values).items()}
            seconds = timer.take()
            row |= seconds | _rates(row, seconds)
            row["process/compiles"] = compiles.count
            row["process/peak_rss_gb"] = peak_rss_gb()
            writer.write(number, row, phase=span.name)
            hooks.after(number, samples, row)
            bar.set_postfix_str(hooks.show(row), refresh=False)
            bar.update()
            watchdog.beat()
            # A non-finite update left the state as it was (train/step.py), so going on is safe;
            # many in a row are no accident.
            skipped = skipped + 1 if row["skipped"] else 0
            if skipped >= cfg.max_skipped:
                raise Diverged(
                    f"{skipped} updates in a row had a non-finite loss or gradient (steps "
                    f"{number - skipped + 1} to {number}); none was applied. Lower "
                    "optim.learning_rate (of a warm start, warm.learning_rate) or look at the data "
                    "of these steps; the last checkpoint "
                    f"is of step {max(saver.steps(), default='none')}."
                )
            done = number + 1
            # Whoever asked to stop shall not wait for an evaluation: the next start makes it up.
            stopped = stop.agreed()
            if evaluated.due(done) and not stopped:
                evaluated.run(state, span.name)
                watchdog.beat()
                stopped = stop.agreed()
            last = done == span.until or evaluated.enough
            # Clocks differ between processes: late is what it is for any, and so for all.
            late = distributed.largest(time.monotonic() - saved >= 60 * cfg.save_minutes)
            if last or stopped or late or done % cfg.save_every == 0:
                saved = time.monotonic()
                saver.save(done, state, _meta(span, batches, evaluated))
            if stopped:
                break
        saver.wait()
    return state, stopped


def _meta(span: Span, batches: Endless, evaluated: evaluation.Evaluation) -> dict[str, Any]:
    """What a checkpoint holds beside the train state."""
    best = evaluated.standing
    return {
        "phase": span.name,
        "data": batches.get_state(),
        "best": None if best is None else dataclasses.asdict(best),
    }


def _number(x: Any) -> float | int:
    return int(x) if isinstance(x, int | np.integer) else float(x)


def _rates(row: dict[str, float], seconds: dict[str, float]) -> dict[str, float]:
    """Completion tokens a second of the whole step and of each phase.

    And what a chip reached of FLOP/s (`tflops`, and `mfu` of its peak), and of bytes/s of its
    memory (`hbm_gbs`, `mbu`), where the step says what the phase needed at least ("flops/", of all
    chips, and "hbm/", of one).
    """
    tokens, total = row.get("rollout/tokens", row.get("tokens", 0)), sum(seconds.values())
    rates = {
        f"rate/{name.removeprefix('seconds/')}_tokens": tokens / max(s, 1e-9)
        for name, s in seconds.items()
        if name != "seconds/data"
    }
    chip = chips.of(jax.devices()[0].device_kind)
    flops, moved = (chip.flop_rate, chip.hbm_rate) if chip else (None, None)
    for name, taken in seconds.items():
        phase, s = name.removeprefix("seconds/"), max(taken, 1e-9)
        if f"flops/{phase}" in row:
            rate = row[f"flops/{phase}"] / s / jax.device_count()
            rates |= _of_peak(
                phase, "tflops", rate / 1e12, "mfu", rate / chip.flop_rate if chip else None
            )
        if f"hbm/{phase}" in row:
            rate = row[f"hbm/{phase}"] / s
            rates |= _of_peak(
                phase, "hbm_gbs", rate / 1e9, "mbu", rate / chip.hbm_rate if chip else None
            )
    return rates | {"rate/tokens": tokens / max(total, 1e-9), "seconds/step": total}


def _of_peak(phase: str, unit: str, rate: float, of: str, share: float | None) -> dict[str, float]:
    """A chip's rate, and its share of the peak where that is known."""
    made = {f"rate/{phase}_{unit}": rate}
    return made if share is None else made | {f"rate/{phase}_{of}": share}


def peak_rss_gb() -> float:
    """Largest resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
