"""What an import may hold: what a store could itself have written, so that the user can go on.

portable.py reads the fields; here they are held against each other. An import that were only of
the right form could name a fact as a turn to come will name one of its own, stand so far in the
future that no turn may follow, or hand the agent thousands of turns to answer.
"""

import datetime
import re
from collections.abc import Iterator

from pa_jax.profile import portable, turns
from pa_jax.profile.db import database

MAX_NUMBER = 2**31 - 2**20  # of sessions, turns, versions: a million are left to count on
MAX_UNFINISHED = 8  # turns; a session finishes one before it begins the next
MAX_HELD = 4096  # facts; with every slot full there are fewer
MAX_OPS = 1024  # of a turn
EARLIEST = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_FACT_ID = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)


def require_own(profile: portable.Profile, *, now: datetime.datetime) -> None:
    """Raises a ValueError unless a store could have written the profile until `now`."""
    _require_times(profile, now + database.CLOCK_SLACK)
    _require_numbers(profile)
    applied = {(turn.session, turn.turn) for turn in profile.turns}
    _require_origins(profile, applied)
    _require_few(profile)
    for turn in profile.journal:
        place = (turn.session, turn.turn)
        if turn.reached(turns.APPLIED) and not turn.reached(turns.REPLIED) and place not in applied:
            raise _wrong(
                f"turn {turn.session}.{turn.turn} of the journal is {turn.stage}, and is not among "
                "the turns that were applied"
            )


def last_time(profile: portable.Profile) -> datetime.datetime:
    """The latest of all times in it, EARLIEST where it has none."""
    return max((time for _, time in _times(profile)), default=EARLIEST)


def _times(profile: portable.Profile) -> Iterator[tuple[str, datetime.datetime]]:
    for record in profile.records:
        fact, where = record.fact, f"fact {record.fact.id:.40}"
        ends = (fact.valid_to, record.known_to)
        for time in (fact.valid_from, fact.recorded_at, record.known_from, *ends):
            if time is not None:
                yield where, time
    for turn in profile.turns:
        yield f"applied turn {turn.session}.{turn.turn}", turn.applied_at
    for label in profile.labels:
        for time in (label.first_seen, label.last_seen, label.promoted_at):
            if time is not None:
                yield f"label {label.name!r:.40}", time
    for said in profile.journal:
        for time in said.times:
            yield f"turn {said.session}.{said.turn} of the journal", time


def _require_times(profile: portable.Profile, latest: datetime.datetime) -> None:
    for where, time in _times(profile):
        if not EARLIEST <= time <= latest:
            raise _wrong(f"{where} has the time {time}; allowed is {EARLIEST:%Y} until now")


def _require_numbers(profile: portable.Profile) -> None:
    numbers = [(turn.session, turn.turn) for turn in profile.turns]
    numbers += [(turn.session, turn.turn) for turn in profile.journal]
    numbers += [(r.fact.source.session, r.fact.source.turn) for r in profile.records]
    numbers += [record.by for record in profile.records]
    numbers += [(label.sightings, 0) for label in profile.labels]
    numbers += [(turn.failures, 0) for turn in profile.journal]
    largest = max((max(pair) for pair in numbers), default=0)
    if largest > MAX_NUMBER:
        raise _wrong(f"it counts to {largest}; allowed is {MAX_NUMBER}, so that it can go on")


def _require_origins(profile: portable.Profile, applied: set[tuple[int, int]]) -> None:
    """Every version is of a turn that was applied, and a fact's id says which one added it."""
    for record in profile.records:
        name = record.fact.id
        if record.by not in applied:
            raise _wrong(
                f"fact {name!r:.40} is of turn {record.by[0]}.{record.by[1]}, which is not among "
                "the turns that were applied"
            )
        numbers = _FACT_ID.fullmatch(name)
        place = numbers and (int(numbers[1]), int(numbers[2]))
        if place is None or (record.version == 0 and place != record.by):
            raise _wrong(
                f"fact {name!r:.40} was added by turn {record.by[0]}.{record.by[1]}; its id must "
                "be SESSION.TURN.NUMBER of the turn that added it"
            )


def _require_few(profile: portable.Profile) -> None:
    unfinished = sum(not turn.reached(turns.REPLIED) for turn in profile.journal)
    held = sum(r.known_to is None and r.fact.valid_to is None for r in profile.records)
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
