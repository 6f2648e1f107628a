"""Held-out figures of arms that differ in their reward, and what each criterion adds to one.

An arm is trained once for every seed. Its interval is drawn over held-out episodes, all seeds of an
episode together: it does not hold how far another training would have gone, which the means of the
seeds show. A criterion's interval is drawn over pairs of trainings, and does.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pa_jax.evaluate import heldout, metrics
from pa_jax.evaluate.reports import tables
from pa_jax.judge import rubric

UNTRAINED = "untrained"
DIFFERENCES = ("token_f1", "criteria_mean")

BySeed = Mapping[int, Sequence[heldout.Record]]  # one arm's held-out records


@dataclasses.dataclass(frozen=True)
class Arm:
    """One arm.

    n            held-out episodes
    measures     of its snippets of all seeds, as heldout.summary
    seeds        mean of each of DIFFERENCES, by seed; of the untrained model none
    differences  of DIFFERENCES from the base arm, paired by seed and episode; none for the base
    """

    name: str
    n: int
    measures: dict[str, metrics.Interval]
    seeds: dict[int, dict[str, float]]
    differences: dict[str, metrics.Interval | None]


def rows(before: Sequence[heldout.Record], found: Mapping[str, BySeed], *, base: str) -> list[Arm]:
    """The untrained model, then each arm in order; no differences where the base is not there."""
    of_base = found.get(base, {})
    made = []
    for name, by_seed in {UNTRAINED: {}, **found}.items():
        records = [record for of in by_seed.values() for record in of] or list(before)
        compared = by_seed or dict.fromkeys(of_base, before)
        apart = {}
        if of_base and name != base:
            apart = {key: _paired(compared, of_base, key) for key in DIFFERENCES}
        seeds = {
            seed: {key: float(np.mean([_value(r, key) for r in of])) for key in DIFFERENCES}
            for seed, of in by_seed.items()
        }
        measures = heldout.summary(records)
        made.append(Arm(name, len({r.id for r in records}), measures, seeds, apart))
    return made


@dataclasses.dataclass(frozen=True)
class Effect:
    """What a criterion adds to a sum of others.

    pairs     of trainings that differ in it alone; each is in one pair
    higher    pairs whose training with the criterion has the higher mean token-F1
    measures  of DIFFERENCES, with less without; drawn by pair
    """

    criterion: str
    pairs: int
    higher: int
    measures: dict[str, metrics.Interval]


def effects(made: Sequence[Arm], subsets: Mapping[str, frozenset[str]]) -> list[Effect]:
    """An effect for each criterion with two pairs or more; `subsets`: criteria summed in an arm."""
    arms = {subsets[row.name]: row.seeds for row in made if row.name in subsets}
    out = []
    for criterion in rubric.CRITERIA:
        pairs = [
            (of[seed], arms[subset - {criterion}][seed])
            for subset, of in arms.items()
            if criterion in subset and subset - {criterion} in arms
            for seed in of
        ]
        if len(pairs) >= 2:
            added = {key: [one[key] - other[key] for one, other in pairs] for key in DIFFERENCES}
            higher = sum(x > 0 for x in added["token_f1"])
            measures = {key: metrics.interval(of) for key, of in added.items()}
            out.append(Effect(criterion, len(pairs), higher, measures))
    return out


def _paired(ours: BySeed, theirs: BySeed, key: str) -> metrics.Interval | None:
    one, other = (
        {(seed, r.id): _value(r, key) for seed, of in arm.items() for r in of}
        for arm in (ours, theirs)
    )
    if one.keys() != other.keys():
        raise ValueError("two arms have other seeds or held-out episodes; give them the same.")
    return metrics.paired(one, other, clusters={name: name[1] for name in one})


def _value(record: heldout.Record, key: str) -> float:
    return record.f1 if key == "token_f1" else float(np.mean(record.scores))


def tabled(made: Sequence[Arm], added: Sequence[Effect], *, base: str) -> Iterator[tables.Table]:
    """A line an arm: n, every measure, the seeds and the differences; then a line a criterion."""
    names = ["token_f1", "criteria_mean", *(f"criteria/{c}" for c in rubric.CRITERIA), "finished"]
    head = ["run", "n", *(name.removeprefix("criteria/") for name in names)]
    head += ["token_f1 by seed", *(f"{key} against {base}" for key in DIFFERENCES)]
    lines = [
        (
            row.name,
            str(row.n),
            *(str(row.measures[name]) for name in names),
            ", ".join(f"{of['token_f1']:.3f}" for of in row.seeds.values()) or "-",
            *(tables.signed(row.differences.get(key)) for key in DIFFERENCES),
        )
        for row in made
    ]
    yield tables.Table("Subsets of the criteria as reward", tuple(head), tuple(lines))
    if added:
        of_effects = ("criterion", "pairs", "higher with it", *DIFFERENCES)
        effects = [
            (e.criterion, str(e.pairs), str(e.higher), *map(tables.signed, e.measures.values()))
            for e in added
        ]
        yield tables.Table("What a criterion adds to a sum of others", of_effects, tuple(effects))
