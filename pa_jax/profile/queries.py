"""What a store asks its tables about one user, inside a transaction that the caller holds."""

from collections.abc import Sequence

import sqlalchemy as sa

from pa_jax.profile import facts, portable, promote, tables, update

FACTS = tables.FACTS.c
TURNS = tables.TURNS.c
CURRENT = FACTS.known_to.is_(None)

_VERSION_COLUMNS = (
    FACTS.version,
    FACTS.event,
    FACTS.by_session,
    FACTS.by_turn,
    FACTS.known_from,
    FACTS.known_to,
)


def held(
    connection: sa.Connection, user: str, known: sa.ColumnElement, valid_at: int
) -> tuple[facts.Fact, ...]:
    """The facts that the versions `known` hold for valid at a time, oldest first."""
    rows = connection.execute(
        sa.select(*tables.FACT_COLUMNS).where(
            FACTS.user_id == user,
            known,
            FACTS.valid_from <= valid_at,
            FACTS.valid_to.is_(None) | (FACTS.valid_to > valid_at),
        )
    )
    return tuple(sorted(map(tables.fact, rows), key=update.order))


def known_at(time: int) -> sa.ColumnElement:
    """The versions that were current at a time."""
    return (FACTS.known_from <= time) & (CURRENT | (FACTS.known_to > time))


def reached(
    connection: sa.Connection, user: str, reach: update.Reach
) -> tuple[dict[str, int], list[facts.Fact]]:
    """Version by id, and the held facts that operations can touch."""
    touched = FACTS.topic.in_(reach.topics) | FACTS.subcategory.in_(reach.subcategories)
    if reach.other:
        touched |= FACTS.category == facts.OTHER
    rows = connection.execute(
        sa.select(*tables.FACT_COLUMNS, FACTS.version).where(
            FACTS.user_id == user, CURRENT, FACTS.valid_to.is_(None), touched
        )
    ).all()
    return {row.fact_id: row.version for row in rows}, [tables.fact(row) for row in rows]


def forgotten(connection: sa.Connection, user: str, reach: update.Reach) -> frozenset[str]:
    """The topics among `reach` whose fact the user had retracted."""
    return frozenset(
        connection.execute(
            sa.select(FACTS.topic).where(
                FACTS.user_id == user,
                CURRENT,
                FACTS.valid_to.is_not(None),
                FACTS.event == update.RETRACTED,
                FACTS.topic.in_(reach.topics),
            )
        ).scalars()
    )


def records(
    connection: sa.Connection, user: str, fact_id: str | None
) -> tuple[portable.Record, ...]:
    """Every version of every fact, or of one."""
    query = sa.select(*tables.FACT_COLUMNS, *_VERSION_COLUMNS).where(FACTS.user_id == user)
    if fact_id is not None:
        query = query.where(FACTS.fact_id == fact_id)
    found = [tables.record(row) for row in connection.execute(query)]
    return tuple(sorted(found, key=portable.order))


def changes_by(
    connection: sa.Connection, user: str, source: facts.Source
) -> tuple[update.Change, ...]:
    """What a turn changed, when it was applied."""
    made = (FACTS.by_session == source.session) & (FACTS.by_turn == source.turn)
    rows = connection.execute(
        sa.select(*tables.FACT_COLUMNS, FACTS.event).where(FACTS.user_id == user, made)
    )
    changes = [update.Change(tables.fact(row), row.event) for row in rows]
    return tuple(sorted(changes, key=lambda change: update.order(change.fact)))


def applied(
    connection: sa.Connection, user: str, source: facts.Source
) -> portable.AppliedTurn | None:
    """The turn as it was applied, None for one that was not."""
    row = connection.execute(
        sa.select(tables.TURNS).where(
            TURNS.user_id == user,
            TURNS.session == source.session,
            TURNS.turn == source.turn,
        )
    ).one_or_none()
    return None if row is None else tables.turn(row)


def turns(connection: sa.Connection, user: str) -> tuple[portable.AppliedTurn, ...]:
    """Every applied turn."""
    query = sa.select(tables.TURNS).where(TURNS.user_id == user)
    rows = connection.execute(query.order_by(TURNS.session, TURNS.turn))
    return tuple(tables.turn(row) for row in rows)


def labels(connection: sa.Connection, user: str) -> tuple[promote.Label, ...]:
    """The user's own labels, by name."""
    query = sa.select(tables.LABELS).where(tables.LABELS.c.user_id == user)
    found = [tables.label(row) for row in connection.execute(query)]
    return tuple(sorted(found, key=lambda label: label.name))


def replace_versions(
    connection: sa.Connection, user: str, added: Sequence[portable.Record], at: int
) -> None:
    """Ends the current versions of the facts in `added`, and puts those in their place."""
    known = [record.fact.id for record in added if record.version > 0]
    if known:
        connection.execute(
            tables.FACTS.update()
            .where(FACTS.user_id == user, FACTS.fact_id.in_(known), CURRENT)
            .values(known_to=at)
        )
    if added:
        connection.execute(tables.FACTS.insert(), [tables.record_row(r) for r in added])
