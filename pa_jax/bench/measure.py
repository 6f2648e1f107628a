"""Times a phase's two sides in turns, and refuses figures of sides whose outputs differ."""

import dataclasses
import statistics
import time
from collections.abc import Mapping
from typing import Any

import jax

from pa_jax.bench import phases
from pa_jax.core import timing


@dataclasses.dataclass(frozen=True)
class Timed:
    """One side's figures: `seconds` is the median run, `compile_seconds` lie outside of it.

    `fill` is the share of the slots of all rows that hold tokens; `tflop` count those alone.
    """

    seconds: float
    runs: tuple[float, ...]
    compile_seconds: float
    first_seconds: float
    rows: int
    slots: int
    fill: float
    tflop: float
    gflop_a_second: float
    tokens_a_second: float


@dataclasses.dataclass(frozen=True)
class Figures:
    """A phase measured; `ratio` is flat seconds by the forest's, `difference` the largest seen."""

    name: str
    forest: Timed
    flat: Timed
    ratio: float
    flops_ratio: float
    difference: dict[str, float]
    tolerance: dict[str, float]


def measure(phase: phases.Comparison, tolerance: Mapping[str, float], *, reps: int) -> Figures:
    """Warm both sides up, then run them in turns; raises ValueError where outputs differ."""
    sides = {"forest": phase.forest, "flat": phase.flat}
    first = {name: _warm(side) for name, side in sides.items()}
    runs: dict[str, list[float]] = {name: [] for name in sides}
    worst: dict[str, float] = {}
    for rep in range(reps):
        outputs: dict[str, Any] = {}
        for name in sorted(sides, reverse=rep % 2 == 0):  # the forest first, then flat first, ...
            seconds, outputs[name] = _run(sides[name])
            runs[name].append(seconds)
        seen = phase.difference(outputs["forest"], outputs["flat"])
        check(phase.name, seen, tolerance)
        worst = {kind: max(value, worst.get(kind, 0.0)) for kind, value in seen.items()}
        del outputs
    timed = {
        name: _timed(side, phase.tokens, runs[name], first[name]) for name, side in sides.items()
    }
    return Figures(
        phase.name,
        **timed,
        ratio=timed["flat"].seconds / timed["forest"].seconds,
        flops_ratio=phase.flat.flops.total / phase.forest.flops.total,
        difference=worst,
        tolerance={kind: tolerance[kind] for kind in worst},
    )


def check(name: str, seen: Mapping[str, float], tolerance: Mapping[str, float]) -> None:
    """Raise ValueError if any difference is over its tolerance, or is not a number."""
    for kind, value in seen.items():
        if not value <= tolerance[kind]:
            raise ValueError(
                f"{name}: forest and flat differ by {value:.3g} ({kind}), at most "
                f"{tolerance[kind]:.3g} is allowed; their times do not compare. In low precision "
                f"raise tolerance.{kind}, else one of the two is wrong."
            )


def _warm(side: phases.Side) -> tuple[float, float]:
    start = jax.block_until_ready(side.prepare())
    with timing.CompileCounter() as compiles:
        began = time.perf_counter()
        jax.block_until_ready(side.warm(start))
        seconds = time.perf_counter() - began
    return sum((s for _, s in compiles.compiled), 0.0), seconds


def _run(side: phases.Side) -> tuple[float, Any]:
    start = jax.block_until_ready(side.prepare())
    began = time.perf_counter()
    output = jax.block_until_ready(side.run(start))
    return time.perf_counter() - began, output


def _timed(side: phases.Side, tokens: int, runs: list[float], first: tuple[float, float]) -> Timed:
    seconds = statistics.median(runs)
    return Timed(
        seconds=seconds,
        runs=tuple(runs),
        compile_seconds=first[0],
        first_seconds=first[1],
        rows=side.rows,
        slots=side.slots,
        fill=side.size.tokens / side.slots,
        tflop=side.flops.total / 1e12,
        gflop_a_second=side.flops.total / seconds / 1e9,
        tokens_a_second=tokens / seconds,
    )
