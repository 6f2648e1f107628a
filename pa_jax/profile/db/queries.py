"""What a store asks its tables about one user, inside a transaction that the caller holds.

Statements are built once: building one takes longer than SQLite needs to run it.
"""

import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from pa_jax.english import statements
from pa_jax.profile import facts, portable, promote, update
from pa_jax.profile.db import tables

FACTS = tables.FACTS.c
TURNS = tables.TURNS.c

_USER: sa.BindParameter[str] = sa.bindparam("user")
_OF_USER = FACTS.user_id == _USER
_CURRENT = FACTS.known_to.is_(None)
_BY_TURN: dict[str, sa.BindParameter[int]] = {
    "session": sa.bindparam("session"),
    "turn": sa.bindparam("turn"),
}

_VALID = (FACTS.valid_from <= sa.bindparam("valid_at")) & (
    FACTS.valid_to.is_(None) | (FACTS.valid_to > sa.bindparam("valid_at"))
)
_HELD = sa.select(*tables.OF_FACT).where(_OF_USER, _CURRENT, _VALID)
_HELD_AS_OF = sa.select(*tables.OF_FACT).where(
    _OF_USER,
    FACTS.known_from <= sa.bindparam("known_at"),
    _CURRENT | (FACTS.known_to > sa.bindparam("known_at")),
    _VALID,
)
_CURRENT_VERSIONS = sa.select(*tables.OF_FACT, FACTS.version).where(
    _OF_USER, _CURRENT, FACTS.valid_to.is_(None) | (FACTS.event == update.RETRACTED)
)
_RECORDS = sa.select(*tables.OF_RECORD).where(_OF_USER)
_RECORDS_OF_FACT = _RECORDS.where(FACTS.fact_id == sa.bindparam("fact"))
_CHANGES = sa.select(*tables.OF_FACT, FACTS.event).where(
    _OF_USER, FACTS.by_session == _BY_TURN["session"], FACTS.by_turn == _BY_TURN["turn"]
)
_TURNS = sa.select(*tables.OF_TURN).where(TURNS.user_id == _USER)
_TURN = _TURNS.where(TURNS.session == _BY_TURN["session"], TURNS.turn == _BY_TURN["turn"])
_LABELS = sa.select(*tables.OF_LABEL).where(tables.LABELS.c.user_id == _USER)
_END_VERSIONS = (
    tables.FACTS.update()
    .where(_OF_USER, _CURRENT, FACTS.fact_id.in_(sa.bindparam("ids", expanding=True)))
    .values(known_to=sa.bindparam("at"))
)
_ADD_VERSIONS = tables.FACTS.insert()
_ADD_TURN = tables.TURNS.insert()


def held(
    connection: sa.Connection,
    user: str,
    *,
    valid_at: datetime.datetime,
    known_at: datetime.datetime | None = None,
) -> tuple[facts.Fact, ...]:
    """The facts valid at a time, oldest first, as known now, or as was known at `known_at`."""
    where: dict[str, Any] = {"user": user, "valid_at": valid_at}
    if known_at is None:
        rows = connection.execute(_HELD, where)
    else:
        rows = connection.execute(_HELD_AS_OF, where | {"known_at": known_at})
    return tuple(sorted(map(tables.fact, rows.all()), key=update.order))


def before(
    connection: sa.Connection, user: str
) -> tuple[dict[str, int], list[facts.Fact], frozenset[str]]:
    """What operations depend on: versions by id, held facts, topics the user had retracted."""
    rows = connection.execute(_CURRENT_VERSIONS, {"user": user}).all()
    now_held = [row for row in rows if row.valid_to is None]
    versions = {row.fact_id: row.version for row in now_held}
    retracted = [row.statement for row in rows if row.valid_to is not None]
    held = sorted(map(tables.fact, now_held), key=update.order)
    return versions, held, frozenset(map(statements.topic, retracted))


def records(
    connection: sa.Connection, user: str, fact_id: str | None
) -> tuple[portable.Record, ...]:
    """Every version of every fact, or of one."""
    if fact_id is None:
        rows = connection.execute(_RECORDS, {"user": user})
    else:
        rows = connection.execute(_RECORDS_OF_FACT, {"user": user, "fact": fact_id})
    return tuple(sorted(map(tables.record, rows), key=portable.order))


def changes_by(
    connection: sa.Connection, user: str, source: facts.Source
) -> tuple[update.Change, ...]:
    """What a turn changed, when it was applied."""
    rows = connection.execute(_CHANGES, _key(user, source))
    changes = [update.Change(tables.fact(row), row.event) for row in rows]
    return tuple(sorted(changes, key=lambda change: update.order(change.fact)))


def applied(
    connection: sa.Connection, user: str, source: facts.Source
) -> portable.AppliedTurn | None:
    """The turn as it was applied, None for one that was not."""
    row = connection.execute(_TURN, _key(user, source)).one_or_none()
    return None if row is None else tables.turn(row)


def turns(connection: sa.Connection, user: str) -> tuple[portable.AppliedTurn, ...]:
    """Every applied turn, in order."""
    found = [tables.turn(row) for row in connection.execute(_TURNS, {"user": user})]
    return tuple(sorted(found, key=lambda turn: (turn.session, turn.turn)))


def labels(connection: sa.Connection, user: str) -> tuple[promote.Label, ...]:
    """The user's own labels, by name."""
    found = [tables.label(row) for row in connection.execute(_LABELS, {"user": user})]
    return tuple(sorted(found, key=lambda label: label.name))


def replace_versions(
    connection: sa.Connection, user: str, added: Sequence[portable.Record], at: datetime.datetime
) -> None:
    """Ends the current versions of the facts in `added`, and puts those in their place."""
    known = [record.id for record in added if record.version > 0]
    if known:
        connection.execute(_END_VERSIONS, {"user": user, "ids": known, "at": at})
    if added:
        connection.execute(_ADD_VERSIONS, [tables.record_row(record) for record in added])


def add_turn(connection: sa.Connection, user: str, turn: portable.AppliedTurn) -> None:
    """Notes that a turn was applied."""
    connection.execute(_ADD_TURN, tables.turn_row(user, turn))


def _key(user: str, source: facts.Source) -> dict[str, str | int]:
    return {"user": user, "session": source.session, "turn": source.turn}
