"""What today's rules would have kept of what a profile once ended.

Databases keep how a fact ended, and what took its place. A store that was filled under earlier
rules ended a peanut allergy when a shellfish allergy was told: such facts are listed here, for
whoever runs the store to ask about. Nothing comes back by itself.
"""

import dataclasses
from collections.abc import Sequence

from pa_jax.profile import facts, heard, portable, relation, update

ENDS = (relation.OPPOSITE, relation.REPLACES)


@dataclasses.dataclass(frozen=True)
class Lost:
    """A stated fact that ended though today's rules would have kept it.

    by   the statement that took its place, "" where it was crowded out
    why  what that statement is to the fact today (relation.KINDS), or how else it ended
    """

    fact: facts.Fact
    by: str
    why: str


def lost(records: Sequence[portable.Record]) -> tuple[Lost, ...]:
    """The stated facts of a user's history that would hold today, as they ended."""
    first: dict[str, portable.Record] = {}
    last: dict[str, portable.Record] = {}
    for record in sorted(records, key=lambda record: record.version):
        first.setdefault(record.fact.id, record)
        last[record.fact.id] = record
    held = [record.fact for record in last.values() if record.fact.valid_to is None]
    found = []
    for record in last.values():
        if record.fact.authority != "stated" or _is_told(record.fact, held):
            continue
        if record.event == update.CROWDED:
            found.append(Lost(record.fact, "", update.CROWDED))
        if record.event == update.SUPERSEDED:
            took = first.get(record.fact.superseded_by or "")
            found += _unduly(record.fact, took.fact) if took is not None else []
    return tuple(found)


def _unduly(old: facts.Fact, new: facts.Fact) -> list[Lost]:
    """The old fact, where the new one ended it and would not today."""
    if new.authority == "inferred":
        return [Lost(old, new.statement, "an inference ends no stated fact")]
    kind = _decided(new, old)
    return [] if kind in ENDS else [Lost(old, new.statement, kind)]


def _is_told(old: facts.Fact, held: Sequence[facts.Fact]) -> bool:
    """Whether what holds today says the same again, or took it back since."""
    return any(_decided(fact, old) in (relation.SAME, *ENDS) for fact in held)


def _decided(new: facts.Fact, old: facts.Fact) -> str:
    claim = heard.Claim(new.statement, new.slot, new.polarity, new.source)
    [decision] = relation.decide(claim, [dataclasses.replace(old, valid_to=None)])
    return decision.kind
