"""What an import may hold: what a store could itself have written, so that the user can go on.

portable.py reads the fields; here they are held against each other. An import that were only of
the right form could name a fact as a turn to come will name one of its own, stand so far in the
future that no turn may follow, or hand the agent thousands of turns to answer.
"""

import datetime
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pa_jax.profile import facts, portable, turns
from pa_jax.profile.db import database

MAX_NUMBER = 2**31 - 2**20  # of sessions, turns, versions: a million are left to count on
MAX_UNFINISHED = 8  # turns; a session finishes one before it begins the next
MAX_HELD = 4096  # facts; with every slot full there are fewer
MAX_OPS = 1024  # of a turn
EARLIEST = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_FACT_ID = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)


def require_own(profile: portable.Profile, *, now: datetime.datetime) -> datetime.datetime:
    """The latest time in a profile; a ValueError unless a store could have written it by `now`."""
    last = _require_bounds(profile, now + database.CLOCK_SLACK)
    applied = {facts.Place(turn.session, turn.turn) for turn in profile.turns}
    _require_origins(profile, applied)
    _require_few(profile)
    for turn in profile.journal:
        place = facts.Place(turn.session, turn.turn)
        if turn.reached(turns.APPLIED) and not turn.reached(turns.REPLIED) and place not in applied:
            raise _wrong(
                f"turn {turn.session}.{turn.turn} of the journal is {turn.stage}, and is not among "
                "the turns that were applied"
            )
    return last


def _parts(profile: portable.Profile) -> Iterator[tuple[str, Any]]:
    """All that a profile is made of, and what to call it."""
    yield from ((f"fact {record.id:.40}", record) for record in profile.records)
    yield from ((f"applied turn {t.session}.{t.turn}", t) for t in profile.turns)
    yield from ((f"label {label.name!r:.40}", label) for label in profile.labels)
    yield from ((f"turn {t.session}.{t.turn} of the journal", t) for t in profile.journal)


def _values(items: Iterable[Any]) -> Iterator[datetime.datetime | int]:
    """Every time and number among the items, and in the fields of those that have fields."""
    for item in items:
        if isinstance(item, datetime.datetime | int):
            yield item
        elif isinstance(item, tuple):
            yield from _values(item)
        elif hasattr(item, "__dict__"):
            yield from _values(vars(item).values())


def _require_bounds(profile: portable.Profile, latest: datetime.datetime) -> datetime.datetime:
    """The latest of all times, EARLIEST where there is none."""
    last = EARLIEST
    for where, part in _parts(profile):
        for value in _values((part,)):
            if isinstance(value, int):
                if value > MAX_NUMBER:
                    raise _wrong(
                        f"{where} counts to {value}; allowed is {MAX_NUMBER}, so that it can go on"
                    )
            elif EARLIEST <= value <= latest:
                last = max(last, value)
            else:
                raise _wrong(f"{where} has the time {value}; allowed is {EARLIEST:%Y} until now")
    return last


def _require_origins(profile: portable.Profile, applied: set[facts.Place]) -> None:
    """Every version is of a turn that was applied, and a fact's id says which one added it."""
    for record in profile.records:
        name, by = record.id, record.by
        if by not in applied:
            raise _wrong(
                f"fact {name!r:.40} is of turn {by.session}.{by.turn}, which is not among the "
                "turns that were applied"
            )
        numbers = _FACT_ID.fullmatch(name)
        place = numbers and facts.Place(int(numbers[1]), int(numbers[2]))
        if place is None or (record.version == 0 and place != by):
            raise _wrong(
                f"fact {name!r:.40} was added by turn {by.session}.{by.turn}; its id must be "
                "SESSION.TURN.NUMBER of the turn that added it"
            )


def _require_few(profile: portable.Profile) -> None:
    unfinished = sum(not turn.reached(turns.REPLIED) for turn in profile.journal)
    held = sum(r.known_to is None and r.valid_to is None for r in profile.records)
    ops = max((len(turn.ops or ()) for turn in profile.journal), default=0)
    for what, count, most in (
        ("turns without a reply", unfinished, MAX_UNFINISHED),
        ("facts that hold", held, MAX_HELD),
        ("operations in one turn", ops, MAX_OPS),
    ):
        if count > most:
            raise _wrong(f"it has {count} {what}; allowed are {most}")


def _wrong(what: str) -> ValueError:
    return ValueError(f"profile import: {what}; no store has written that. Export it again.")
