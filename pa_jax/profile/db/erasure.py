"""Deleting a user for good. What that takes depends on this user's rows alone.

The database's files are cleaned of what the rows leave behind by cleaning.py, afterwards and for
all erasures together: looking for a user's words in them would tell of others' words.
"""

import dataclasses

import sqlalchemy as sa

from pa_jax.profile.db import cleaning, tables

# A value in a statement would stay in SQLAlchemy's memory of it.
_USER: sa.BindParameter[str] = sa.bindparam("user")
_HELD = sa.select(tables.USERS).where(tables.USERS.c.user_id == _USER).with_for_update()
_FACTS = sa.select(sa.func.count(sa.distinct(tables.FACTS.c.fact_id))).where(
    tables.FACTS.c.user_id == _USER
)
_DELETED = tuple(
    table.delete().where(table.c.user_id == _USER)
    for table in (tables.FACTS, tables.TURNS, tables.LABELS, tables.JOURNAL)
)
_USER_DELETED = tables.USERS.delete().where(tables.USERS.c.user_id == _USER)
_LEFT = tuple(
    sa.select(sa.func.count()).select_from(table).where(table.c.user_id == _USER)
    for table in tables.metadata.sorted_tables
)
_NOTES = {
    "sqlite": "What the rows left in the database's files is overwritten in the background. Copies "
    "and backups of the database file are not reached.",
    "postgresql": "PostgreSQL reuses the space of deleted rows over time; its write-ahead log, "
    "replicas and backups keep them for as long as they are kept.",
}


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What an erasure removed.

    facts, versions, turns, labels, journal  counts of what was deleted; `turns` are those that
              were applied, `journal` those of sessions, with what was said in them
    verified  no row of the user is left
    note      what this erasure cannot reach
    """

    user: str
    facts: int
    versions: int
    turns: int
    labels: int
    journal: int
    verified: bool
    note: str


def erase(connection: sa.Connection, user: str) -> Receipt:
    """Deletes a user's rows, inside a transaction, and asks for the files to be cleaned."""
    whom = {"user": user}
    connection.execute(_HELD, whom)
    facts = connection.execute(_FACTS, whom).scalar_one()
    versions, turns, labels, journal = (
        connection.execute(delete, whom).rowcount for delete in _DELETED
    )
    connection.execute(_USER_DELETED, whom)
    left = sum(connection.execute(count, whom).scalar_one() for count in _LEFT)
    cleaning.want(connection)
    note = _NOTES[connection.dialect.name]
    return Receipt(user, facts, versions, turns, labels, journal, left == 0, note)
