"""Deleting a user for good. What that takes depends on this user's rows alone.

The database's files are cleaned of what the rows leave behind by cleaning.py, afterwards and for
all erasures together: looking for a user's words in them would tell of others' words.
"""

import dataclasses

import sqlalchemy as sa

from pa_jax.profile import cleaning, tables

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
    users = tables.USERS.c.user_id == user
    connection.execute(sa.select(tables.USERS).where(users).with_for_update())
    ids = sa.select(sa.func.count(sa.distinct(tables.FACTS.c.fact_id)))
    facts = connection.execute(ids.where(tables.FACTS.c.user_id == user)).scalar_one()
    counts = [
        connection.execute(table.delete().where(table.c.user_id == user)).rowcount
        for table in (tables.FACTS, tables.TURNS, tables.LABELS, tables.JOURNAL)
    ]
    connection.execute(tables.USERS.delete().where(users))
    left = sum(
        connection.execute(
            sa.select(sa.func.count()).select_from(table).where(table.c.user_id == user)
        ).scalar_one()
        for table in tables.metadata.sorted_tables
    )
    cleaning.want(connection)
    return Receipt(user, facts, *counts, left == 0, _NOTES[connection.dialect.name])
