"""Taking back what turns did to a profile: each fact is again as it was before them.

An undo is a turn of its own and adds versions as every turn does, so history keeps both, and an
undo can itself be undone. A fact that was changed again since is not touched: what came later
counts.
"""

import dataclasses
import datetime
from collections.abc import Collection, Iterable, Sequence

from pa_jax.profile import facts, portable, update


class CannotUndo(ValueError):
    """Why nothing was taken back."""


def changes(
    records: Sequence[portable.Record],
    places: Collection[facts.Place],
    *,
    now: datetime.datetime,
    partly: bool,
) -> tuple[update.Change, ...]:
    """What takes back the turns at `places`, given every version of every fact.

    With `partly` facts that cannot be put back are left as they are; without, a CannotUndo says
    why nothing is done at all.
    """
    chains: dict[str, list[portable.Record]] = {}
    for record in sorted(records, key=lambda record: record.version):
        chains.setdefault(record.id, []).append(record)
    held = {
        name: chain[-1].fact for name, chain in chains.items() if chain[-1].fact.valid_to is None
    }
    made: list[update.Change] = []
    for name, chain in chains.items():
        if all(record.by not in places for record in chain):
            continue
        change = _change(chain, places, now)
        problem: str | None = (
            "what this turn changed was changed again since; undo that first, or edit the fact."
        )
        if change is not None:
            problem = _crowded(change.fact, held.values())
        if change is not None and problem is None:
            made.append(change)
            held.pop(name, None)
            if change.fact.valid_to is None:
                held[name] = change.fact
        elif problem is not None and not partly:
            raise CannotUndo(problem)
    if not made and not partly:
        raise CannotUndo("this turn changed nothing in the profile; there is nothing to undo.")
    return tuple(made)


def _change(
    chain: Sequence[portable.Record], places: Collection[facts.Place], now: datetime.datetime
) -> update.Change | None:
    """A fact as it was before, None where another turn changed it last."""
    before = list(chain)
    while before and before[-1].by in places:
        before.pop()
    if len(before) == len(chain):
        return None
    if before:
        return update.Change(before[-1].fact, update.RESTORED)
    fact = chain[-1].fact
    return update.Change(dataclasses.replace(fact, valid_to=fact.valid_to or now), update.UNDONE)


def _crowded(fact: facts.Fact, held: Iterable[facts.Fact]) -> str | None:
    """Why a fact has no room among those held, None where it has; the bounds are update's."""
    if fact.valid_to is not None:
        return None
    other = fact.category == facts.OTHER
    beside = [
        one
        for one in held
        if one.id != fact.id and (one.category == facts.OTHER if other else one.slot == fact.slot)
    ]
    stated = sum(one.authority == "stated" for one in (*beside, fact))
    most = min(max(update.MAX_OTHER if other else update.MAX_PER_SLOT, stated), update.MAX_STATED)
    if len(beside) < most:
        return None
    return (
        f"its place in the profile holds {len(beside)} facts, at most {most} are kept; forget one."
    )
