"""The tables of a profile store, the same on SQLite and PostgreSQL, and what their rows are.

Columns follow from the dataclasses that are kept (codec.py); `migrations` builds the tables, and a
test holds the two together. A fact is a row a version: a version is current until `known_to`, when
a newer one takes its place.
"""

import itertools
from typing import Any

import sqlalchemy as sa

from pa_jax.profile import facts, portable, promote, turns
from pa_jax.profile.db import rows

metadata = sa.MetaData()

VERSION_TABLE = "profile_schema"

_FACT = rows.Layout(facts.Fact)
_RECORD = rows.Layout(portable.Record)
_APPLIED = rows.Layout(portable.AppliedTurn)
_LABEL = rows.Layout(promote.Label)
_TURN = rows.Layout(turns.Turn)
_STAGES = tuple(f"{stage}_at" for stage in turns.STAGES)  # columns of a turn's times


def _owner() -> sa.Column:
    owner = sa.ForeignKey("profile_users.user_id", ondelete="CASCADE")
    return sa.Column("user_id", sa.Text, owner, primary_key=True)


USERS = sa.Table(
    "profile_users",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("changed_at", rows.Time, nullable=False),
)

TURNS = sa.Table(  # turns that were applied, so that none is applied twice
    "profile_turns", metadata, _owner(), *_APPLIED.columns(key=("session", "turn"))
)

FACTS = sa.Table("profile_facts", metadata, _owner(), *_RECORD.columns(key=("fact_id", "version")))
sa.Index(
    "profile_facts_current",
    FACTS.c.user_id,
    FACTS.c.valid_to,
    sqlite_where=FACTS.c.known_to.is_(None),
    postgresql_where=FACTS.c.known_to.is_(None),
)

LABELS = sa.Table(  # proposed labels under `other`
    "profile_labels", metadata, _owner(), *_LABEL.columns(key=("name",))
)

JOURNAL = sa.Table(  # turns of sessions, by the stages that they reached
    "profile_journal",
    metadata,
    _owner(),
    *_TURN.columns(key=("session", "turn")),
    *(sa.Column(name, rows.Time, nullable=n > 0) for n, name in enumerate(_STAGES)),
)
sa.Index(
    "profile_journal_unfinished",
    JOURNAL.c.user_id,
    JOURNAL.c.session,
    JOURNAL.c.turn,
    sqlite_where=JOURNAL.c.replied_at.is_(None),
    postgresql_where=JOURNAL.c.replied_at.is_(None),
)

# What is selected for the functions below.
OF_FACT = tuple(FACTS.c[name] for name in _FACT.names)
OF_RECORD = tuple(FACTS.c[name] for name in _RECORD.names)
OF_TURN = tuple(TURNS.c[name] for name in _APPLIED.names)
OF_LABEL = tuple(LABELS.c[name] for name in _LABEL.names)
OF_JOURNAL = tuple(JOURNAL.c[name] for name in (*_TURN.names, *_STAGES))

fact, record, turn, label = _FACT.item, _RECORD.item, _APPLIED.item, _LABEL.item
record_row = _RECORD.row


def turn_row(user: str, turn: portable.AppliedTurn) -> dict[str, Any]:
    """The row of TURNS for a turn."""
    return {"user_id": user} | _APPLIED.row(turn)


def label_row(user: str, label: promote.Label) -> dict[str, Any]:
    """The row of a user's label."""
    return {"user_id": user} | _LABEL.row(label)


def journal_turn(row: Any) -> turns.Turn:
    """The turn of a row of OF_JOURNAL."""
    times = row[len(_TURN.names) : len(OF_JOURNAL)]
    return _TURN.item(row, times=tuple(time for time in times if time is not None))


def journal_row(turn: turns.Turn) -> dict[str, Any]:
    """The row of JOURNAL for a turn."""
    return _TURN.row(turn) | dict(itertools.zip_longest(_STAGES, turn.times))
