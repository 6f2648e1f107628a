"""What a training run came to: what rose and what fell, wrong stances, a collapse at the end."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pa_jax.evaluate import heldout, metrics

LESS_IS_BETTER = frozenset({"copies", "wrong_stances"})
LEAST_STEPS = 8  # from which a run's end is compared with what came before
COLLAPSE = 0.2  # share of the best stretch that is lost at the end


@dataclasses.dataclass(frozen=True)
class MeasureChange:
    """How a measure of the same episodes changed: the mean difference with its 95 % interval."""

    name: str
    before: metrics.Interval
    after: metrics.Interval
    by: metrics.Interval

    @property
    def word(self) -> str:
        """rises or falls; "(within noise)" where the interval holds 0; "" where nothing moved."""
        if not self.by.mean:
            return ""
        direction = "rises" if self.by.mean > 0 else "falls"
        return direction if self.by.low > 0 or self.by.high < 0 else f"{direction} (within noise)"

    @property
    def better(self) -> bool | None:
        """Whether that is good; None where nothing moved."""
        if not self.by.mean:
            return None
        return (self.by.mean > 0) != (self.name in LESS_IS_BETTER)


def changes(
    before: Sequence[heldout.Record], after: Sequence[heldout.Record]
) -> dict[str, MeasureChange]:
    """Every measure of heldout.summary, before and after, each episode against itself."""
    one, two = heldout.summary(before), heldout.summary(after)
    first, second = heldout.values(before), heldout.values(after)
    ids = [record.id for record in before]
    made = {}
    for name in one:
        moved = [b - a for a, b in zip(first[name], second[name], strict=True)]
        by = metrics.interval(moved, clusters=ids)
        made[name] = MeasureChange(name, one[name], two[name], by)
    return made


def worst_first(
    before: Sequence[heldout.Record], after: Sequence[heldout.Record]
) -> list[tuple[heldout.Record, heldout.Record]]:
    """Episodes as (before, after): wrong stances first, then what agrees least with gold."""
    pairs = zip(before, after, strict=True)
    return sorted(pairs, key=lambda pair: (-min(pair[1].wrong_stances, 1), pair[1].f1))


def collapse(
    rows: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]], figure: str | None
) -> list[str]:
    """What fell apart in the last steps, a sentence each.

    Of the reward the mean of the last tenth of the steps is held against the best stretch of as
    many; of the evaluations the last against the best.
    """
    found = []
    steps = [
        (row["step"], row["reward/mean"]) for row in rows if row.get("reward/mean") is not None
    ]
    count = max(3, len(steps) // 10)
    if len(steps) >= LEAST_STEPS:
        values = np.array([value for _, value in steps])
        stretches = np.convolve(values, np.ones(count) / count, "valid")
        best = int(stretches.argmax())
        noise = np.std(np.diff(values)) / np.sqrt(count)
        lost = stretches[best] - stretches[-1]
        if lost > max(COLLAPSE * abs(stretches[best]), 2 * noise):
            found.append(
                f"the reward falls from {stretches[best]:.3f} (steps {steps[best][0]} to "
                f"{steps[best + count - 1][0]}) to {stretches[-1]:.3f} in the last {count} steps"
            )
    judged = [row for row in evaluations if figure and row.get(figure) is not None]
    if figure and len(judged) > 1:
        best_row = max(judged, key=lambda row: row[figure])
        top, last = best_row[figure], judged[-1][figure]
        if top - last > COLLAPSE * abs(top):
            found.append(
                f"{figure} of the evaluations falls from {top:.3f} (step {best_row['step']}) to "
                f"{last:.3f} at the end"
            )
    return found
