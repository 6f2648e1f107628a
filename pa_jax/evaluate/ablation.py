"""Held-out figures of runs that differ in one thing, and how far each lies from a base run."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pa_jax.evaluate import heldout, metrics, tables
from pa_jax.judge import rubric

UNTRAINED = "untrained"
DIFFERENCES = ("token_f1", "criteria_mean")


@dataclasses.dataclass(frozen=True)
class Row:
    """One run.

    measures     of its held-out snippets, as heldout.summary
    differences  of DIFFERENCES from the base run, paired by episode; none for the base itself
    """

    name: str
    n: int
    measures: dict[str, metrics.Interval]
    differences: dict[str, metrics.Interval]


def rows(
    before: Sequence[heldout.Record],
    found: Mapping[str, Sequence[heldout.Record]],
    *,
    base: str,
) -> list[Row]:
    """The untrained model, then each run in order; no differences where the base is not there."""
    of_base = found.get(base)
    made = []
    for name, records in {UNTRAINED: before, **found}.items():
        apart = {}
        if of_base is not None and name != base:
            apart = {key: _paired(records, of_base, key) for key in DIFFERENCES}
        made.append(Row(name, len(records), heldout.summary(records), apart))
    return made


def _paired(
    ours: Sequence[heldout.Record], theirs: Sequence[heldout.Record], key: str
) -> metrics.Interval:
    found = metrics.paired(*({r.id: _value(r, key) for r in of} for of in (ours, theirs)))
    if found is None:
        raise ValueError("two runs share no held-out episode; give them the same data and seed.")
    return found


def _value(record: heldout.Record, key: str) -> float:
    return record.f1 if key == "token_f1" else float(np.mean(record.scores))


def table(made: Sequence[Row], *, base: str) -> tables.Table:
    """A line a run: n, every measure with its interval, and the differences."""
    names = ["token_f1", "criteria_mean", *(f"criteria/{c}" for c in rubric.CRITERIA), "finished"]
    head = ["run", "n", *(name.removeprefix("criteria/") for name in names)]
    head += [f"{key} against {base}" for key in DIFFERENCES]
    lines = [
        (
            row.name,
            str(row.n),
            *(str(row.measures[name]) for name in names),
            *(tables.signed(row.differences.get(key)) for key in DIFFERENCES),
        )
        for row in made
    ]
    return tables.Table("Subsets of the criteria as reward", tuple(head), tuple(lines))
