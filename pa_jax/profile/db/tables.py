"""The tables of a profile store, the same on SQLite and PostgreSQL.

A fact is a row a version: a version is current until `known_to`, when a newer one takes its
place. Times are whole microseconds since 1970 in UTC, so that both databases keep and compare
them exactly. `migrations` builds these tables; a test holds the two together.
"""

import datetime
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from pa_jax.profile import facts, portable, promote, turns

metadata = sa.MetaData()

VERSION_TABLE = "profile_schema"

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_STAGES = tuple(enumerate(turns.STAGES))


def _owner() -> sa.Column:
    owner = sa.ForeignKey("profile_users.user_id", ondelete="CASCADE")
    return sa.Column("user_id", sa.Text, owner, primary_key=True)


USERS = sa.Table(
    "profile_users",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
)

TURNS = sa.Table(  # turns that were applied, so that none is applied twice
    "profile_turns",
    metadata,
    _owner(),
    sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("applied_at", sa.BigInteger, nullable=False),
    sa.Column("receipts", sa.Text, nullable=False),
)

FACTS = sa.Table(
    "profile_facts",
    metadata,
    _owner(),
    sa.Column("fact_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("subcategory", sa.Text, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("polarity", sa.Text, nullable=False),
    sa.Column("authority", sa.Text, nullable=False),
    sa.Column("confidence", sa.Double, nullable=False),
    sa.Column("valid_from", sa.BigInteger, nullable=False),
    sa.Column("valid_to", sa.BigInteger),
    sa.Column("recorded_at", sa.BigInteger, nullable=False),
    sa.Column("session", sa.Integer, nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("quote", sa.Text, nullable=False),
    sa.Column("superseded_by", sa.Text),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("by_session", sa.Integer, nullable=False),
    sa.Column("by_turn", sa.Integer, nullable=False),
    sa.Column("known_from", sa.BigInteger, nullable=False),
    sa.Column("known_to", sa.BigInteger),
)
sa.Index(
    "profile_facts_current",
    FACTS.c.user_id,
    FACTS.c.valid_to,
    sqlite_where=FACTS.c.known_to.is_(None),
    postgresql_where=FACTS.c.known_to.is_(None),
)

LABELS = sa.Table(  # proposed labels under `other`
    "profile_labels",
    metadata,
    _owner(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sightings", sa.Integer, nullable=False),
    sa.Column("first_seen", sa.BigInteger, nullable=False),
    sa.Column("last_seen", sa.BigInteger, nullable=False),
    sa.Column("promoted_at", sa.BigInteger),
)

JOURNAL = sa.Table(  # turns of sessions, by the stages that they reached
    "profile_journal",
    metadata,
    _owner(),
    sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("turn", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("declined", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("snippet", sa.Text),
    sa.Column("ops", sa.Text),
    sa.Column("dropped", sa.Text),
    sa.Column("needs", sa.Text),
    sa.Column("asked", sa.Text),
    sa.Column("question", sa.Text),
    sa.Column("why", sa.Text),
    sa.Column("answer", sa.Text),
    *(sa.Column(f"{stage}_at", sa.BigInteger, nullable=n > 0) for n, stage in _STAGES),
)
sa.Index(
    "profile_journal_unfinished",
    JOURNAL.c.user_id,
    JOURNAL.c.session,
    JOURNAL.c.turn,
    sqlite_where=JOURNAL.c.replied_at.is_(None),
    postgresql_where=JOURNAL.c.replied_at.is_(None),
)

FACT_COLUMNS = tuple(
    FACTS.c[name]
    for name in (
        "fact_id user_id category subcategory statement polarity authority confidence valid_from "
        "valid_to recorded_at session turn quote superseded_by"
    ).split()
)

_FACT_FIELDS = "id user category subcategory statement polarity authority confidence".split()
_PLAIN = len(_FACT_FIELDS)
_WHOLE = len(FACT_COLUMNS)


def micros(time: datetime.datetime) -> int:
    """A time as the tables keep it."""
    return (time - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime.datetime:
    """The time that the tables keep as `micros`."""
    return _EPOCH + datetime.timedelta(microseconds=micros)


def _moment(micros: int | None) -> datetime.datetime | None:
    return None if micros is None else moment(micros)


def fact(row: Any) -> facts.Fact:
    """The fact of a row whose first columns are FACT_COLUMNS."""
    fields = dict(zip(_FACT_FIELDS, row[:_PLAIN], strict=True))
    valid_from, valid_to, recorded_at, session, turn, quote, superseded_by = row[_PLAIN:_WHOLE]
    fields["valid_from"] = moment(valid_from)
    fields["valid_to"] = None if valid_to is None else moment(valid_to)
    fields["recorded_at"] = moment(recorded_at)
    fields["source"] = facts.Source(session, turn, quote)
    fields["superseded_by"] = superseded_by
    return facts.Fact.unchecked(fields)


def fact_row(fact: facts.Fact) -> dict[str, Any]:
    """The columns that a fact decides."""
    return {
        "user_id": fact.user,
        "fact_id": fact.id,
        "category": fact.category,
        "subcategory": fact.subcategory,
        "statement": fact.statement,
        "polarity": fact.polarity,
        "authority": fact.authority,
        "confidence": fact.confidence,
        "valid_from": micros(fact.valid_from),
        "valid_to": None if fact.valid_to is None else micros(fact.valid_to),
        "recorded_at": micros(fact.recorded_at),
        "session": fact.source.session,
        "turn": fact.source.turn,
        "quote": fact.source.quote,
        "superseded_by": fact.superseded_by,
    }


def record(row: Any) -> portable.Record:
    """The version in a row that has FACT_COLUMNS first and the other columns of FACTS."""
    by = (row.by_session, row.by_turn)
    known_to = _moment(row.known_to)
    return portable.Record(fact(row), row.version, row.event, by, moment(row.known_from), known_to)


def record_row(record: portable.Record) -> dict[str, Any]:
    """The row of FACTS for a version."""
    return fact_row(record.fact) | {
        "version": record.version,
        "event": record.event,
        "by_session": record.by[0],
        "by_turn": record.by[1],
        "known_from": micros(record.known_from),
        "known_to": None if record.known_to is None else micros(record.known_to),
    }


def turn(row: Any) -> portable.AppliedTurn:
    """The turn of a row of TURNS."""
    receipts = portable.receipts(json.loads(row.receipts))
    return portable.AppliedTurn(row.session, row.turn, moment(row.applied_at), receipts)


def turn_row(user: str, turn: portable.AppliedTurn) -> dict[str, Any]:
    """The row of TURNS for a turn."""
    return {
        "user_id": user,
        "session": turn.session,
        "turn": turn.turn,
        "applied_at": micros(turn.applied_at),
        "receipts": json.dumps(portable.receipts_data(turn.receipts)),
    }


def label(row: Any) -> promote.Label:
    """The label of a row of LABELS."""
    return promote.Label(
        row.name,
        row.sightings,
        moment(row.first_seen),
        moment(row.last_seen),
        _moment(row.promoted_at),
    )


def label_row(user: str, label: promote.Label) -> dict[str, Any]:
    """The row of a user's label."""
    return {
        "user_id": user,
        "name": label.name,
        "sightings": label.sightings,
        "first_seen": micros(label.first_seen),
        "last_seen": micros(label.last_seen),
        "promoted_at": None if label.promoted_at is None else micros(label.promoted_at),
    }


_PLAIN_OF_TURN = "session turn words declined failures snippet asked question why answer".split()
# How they are written as JSON, and read.
_LISTS_OF_TURN: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "ops": (portable.ops_data, lambda data: tuple(map(facts.FactOp.unchecked, data))),
    "dropped": (list, tuple),
    "needs": (portable.needs_data, lambda data: tuple((n["slot"], n["weight"]) for n in data)),
}


def journal_turn(row: Any) -> turns.Turn:
    """The turn of a row of JOURNAL."""
    fields = {name: getattr(row, name) for name in _PLAIN_OF_TURN}
    for name, (_, read) in _LISTS_OF_TURN.items():
        text = getattr(row, name)
        fields[name] = None if text is None else read(json.loads(text))
    stamps = [getattr(row, f"{stage}_at") for stage in turns.STAGES]
    times = tuple(moment(stamp) for stamp in stamps if stamp is not None)
    return turns.Turn(user=row.user_id, times=times, **fields)


def journal_row(turn: turns.Turn) -> dict[str, Any]:
    """The row of JOURNAL for a turn."""
    row = {"user_id": turn.user} | {name: getattr(turn, name) for name in _PLAIN_OF_TURN}
    for name, (write, _) in _LISTS_OF_TURN.items():
        made = getattr(turn, name)
        row[name] = None if made is None else json.dumps(write(made))
    stamps = [micros(time) for time in turn.times]
    later = [None] * (len(turns.STAGES) - len(stamps))
    return row | {
        f"{stage}_at": at for stage, at in zip(turns.STAGES, [*stamps, *later], strict=True)
    }
