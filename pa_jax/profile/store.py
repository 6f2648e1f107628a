"""Profiles that last: every user's facts, with their history, in SQLite or PostgreSQL."""

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pa_jax.profile import connect, erasure, facts, portable, promote, queries, tables, update

MAX_USER_CHARS = 256
CLOCK_SLACK = datetime.timedelta(minutes=5)  # between machines, and waiting for a lock

Facts = tuple[facts.Fact, ...]  # named here: inside ProfileStore, `facts` is a method
Ops = Sequence[facts.FactOp]
Source = facts.Source

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclasses.dataclass(frozen=True)
class Applied:
    """What a turn changed; `repeated` when it had been applied before and nothing was done."""

    receipts: tuple[update.Receipt, ...]
    changes: tuple[update.Change, ...]
    repeated: bool


class ProfileStore:
    """One structured profile a user, at a database URL (sqlite:///FILE, postgresql://...).

    Each method is one transaction and concerns one user; any number of processes and threads
    may share the database. A store that was open when the process forked connects anew in the
    child. All times are aware datetimes in UTC, and come from the caller.
    """

    def __init__(self, url: str) -> None:
        self._url = connect.parse(url)
        self._engine = connect.engine(self._url)
        self._pid = os.getpid()
        self._insert = _INSERT[self._engine.dialect.name]
        insert = self._insert(tables.USERS)
        old, new = tables.USERS.c.changed_at, insert.excluded.changed_at
        self._keep_latest = insert.on_conflict_do_update(
            index_elements=["user_id"], set_={"changed_at": sa.case((old > new, old), else_=new)}
        ).returning(old)
        with contextlib.ExitStack() as on_failure, connect.failures(self._url):
            on_failure.callback(self._engine.dispose)
            connect.bring_up_to_date(self._engine)
            on_failure.pop_all()

    def close(self) -> None:
        """Closes all connections; the next call opens new ones."""
        self._engine.dispose()

    def facts(self, user: str, *, now: datetime.datetime) -> Facts:
        """What holds at `now`, oldest first; nothing for a user who is not known."""
        _require_user(user)
        _require_utc("now", now)
        with self._failures(), connect.read(self._engine) as connection:
            return queries.held(connection, user, valid_at=tables.micros(now))

    def as_of(
        self, user: str, time: datetime.datetime, *, valid_at: datetime.datetime | None = None
    ) -> Facts:
        """What the store said at `time` about `valid_at`, which is `time` where it is None."""
        _require_user(user)
        _require_utc("time", time)
        _require_utc("valid_at", valid_at or time)
        known_at, valid = tables.micros(time), tables.micros(valid_at or time)
        with self._failures(), connect.read(self._engine) as connection:
            return queries.held(connection, user, valid_at=valid, known_at=known_at)

    def apply(
        self,
        user: str,
        ops: Ops,
        source: Source,
        *,
        now: datetime.datetime,
    ) -> Applied:
        """Applies the operations of one turn, all of them or none; the rules are `update`'s.

        A turn (source.session, source.turn) is applied once: a second call, after a crash say,
        changes nothing and answers as the first, whatever its operations. When this returns,
        the change outlives the process.
        """
        _require_user(user)
        _require_source(source)
        _require_utc("now", now)
        with self._failures(), connect.write(self._engine) as connection:
            latest = self._touch(connection, user, now)
            turn = queries.applied(connection, user, source)
            if turn is not None:
                return Applied(turn.receipts, queries.changes_by(connection, user, source), True)
            at = _not_before(latest, now)
            result = self._update(connection, user, ops, source, at)
            turn = portable.AppliedTurn(source.session, source.turn, at, result.receipts)
            queries.add_turn(connection, user, turn)
        return Applied(result.receipts, result.changes, False)

    def history(self, user: str, fact_id: str | None = None) -> tuple[portable.Record, ...]:
        """Every version of every fact (or of one), in the order in which they became known."""
        _require_user(user)
        with self._failures(), connect.read(self._engine) as connection:
            return queries.records(connection, user, fact_id)

    def schema(self, user: str) -> tuple[promote.Label, ...]:
        """The user's own labels under `other`, by name; those that recurred are promoted."""
        _require_user(user)
        with self._failures(), connect.read(self._engine) as connection:
            return queries.labels(connection, user)

    def users(self) -> tuple[str, ...]:
        """The ids of all users of whom anything is known, sorted."""
        with self._failures(), connect.read(self._engine) as connection:
            return tuple(sorted(connection.execute(sa.select(tables.USERS.c.user_id)).scalars()))

    def export(self, user: str) -> dict[str, Any]:
        """Everything about a user, ready for json.dump; portable.py says what is in it."""
        _require_user(user)
        with self._failures(), connect.snapshot(self._engine) as connection:
            known = sa.select(tables.USERS.c.user_id).where(tables.USERS.c.user_id == user)
            if connection.execute(known).one_or_none() is None:
                raise LookupError(
                    f"user {user!r} is not in this profile store; users() lists who is."
                )
            profile = portable.Profile(
                user,
                queries.records(connection, user, None),
                queries.turns(connection, user),
                queries.labels(connection, user),
            )
        return portable.dump(profile)

    def import_(self, data: Any) -> str:
        """Stores what `export` gave (the dict, or its JSON text); returns the user's id.

        Refuses a user who is already there: `erase` first.
        """
        profile = portable.load(data)
        user = profile.user
        _require_user(user)
        times = [record.known_from for record in profile.records]
        times += [turn.applied_at for turn in profile.turns]
        changed_at = tables.micros(max(times)) if times else 0
        insert = self._insert(tables.USERS).values(user_id=user, changed_at=changed_at)
        with self._failures(), connect.write(self._engine) as connection:
            added = insert.on_conflict_do_nothing().returning(tables.USERS.c.user_id)
            if connection.execute(added).one_or_none() is None:
                raise ValueError(
                    f"user {user!r} already has a profile here; erase it first, then import."
                )
            rows = {
                tables.FACTS: [tables.record_row(record) for record in profile.records],
                tables.TURNS: [tables.turn_row(user, turn) for turn in profile.turns],
                tables.LABELS: [tables.label_row(user, label) for label in profile.labels],
            }
            for table, table_rows in rows.items():
                if table_rows:
                    connection.execute(table.insert(), table_rows)
        return user

    def erase(self, user: str) -> erasure.Receipt:
        """Deletes all that is known about a user, and makes sure that it is gone.

        A second call is safe, and finishes what a crash interrupted.
        """
        _require_user(user)
        with self._failures():
            return erasure.erase(self._engine, user)

    # inside a transaction

    def _touch(
        self, connection: sa.Connection, user: str, now: datetime.datetime
    ) -> datetime.datetime:
        """Time of the user's latest change, `now` included; holds the user's row until commit."""
        row = {"user_id": user, "changed_at": tables.micros(now)}
        latest = connection.execute(self._keep_latest, row).scalar_one()
        return tables.moment(latest)

    def _update(
        self,
        connection: sa.Connection,
        user: str,
        ops: Ops,
        source: Source,
        now: datetime.datetime,
    ) -> update.Update:
        if not ops:
            return update.Update((), (), ())
        reach = update.reach(ops)
        versions, held, forgotten = queries.reached(connection, user, reach)
        result = update.apply(held, ops, user=user, source=source, now=now, forgotten=forgotten)
        by = (source.session, source.turn)
        added = [
            portable.Record(c.fact, versions.get(c.fact.id, -1) + 1, c.event, by, now, None)
            for c in result.changes
        ]
        queries.replace_versions(connection, user, added, tables.micros(now))
        self._see_labels(connection, user, result.changes, now)
        return result

    def _see_labels(
        self,
        connection: sa.Connection,
        user: str,
        changes: Sequence[update.Change],
        now: datetime.datetime,
    ) -> None:
        names = promote.seen(changes)
        if not names:
            return
        known = {label.name: label for label in queries.labels(connection, user)}
        for name in names:
            row = tables.label_row(user, promote.see(known.get(name), name, now=now))
            insert = self._insert(tables.LABELS).values(**row)
            connection.execute(
                insert.on_conflict_do_update(index_elements=["user_id", "name"], set_=row)
            )

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        if self._pid != os.getpid():  # forked: the parent's connections are not ours to use
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        with connect.failures(self._url):
            yield


def _not_before(latest: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
    """`latest`, so that a user's history never runs backwards."""
    if latest - now > CLOCK_SLACK:
        raise ValueError(
            f"now={now} lies {latest - now} before this user's latest change at {latest}; set the "
            f"clock right (up to {CLOCK_SLACK} is bridged), and apply turns in their order."
        )
    return latest


def _require_user(user: str) -> None:
    if not user.strip() or len(user) > MAX_USER_CHARS or "\0" in user:
        raise ValueError(
            f"user id {user!r:.60} has {len(user)} characters; give 1 to {MAX_USER_CHARS}, "
            "none of them NUL, and not only blanks."
        )
    try:
        user.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"user id {user!r:.60} is no Unicode text: {error}.") from error


def _require_source(source: Source) -> None:
    for name, number in (("session", source.session), ("turn", source.turn)):
        if not 0 <= number <= portable.MAX_INTEGER:
            raise ValueError(
                f"Source.{name}={number}; count from 0, at most to {portable.MAX_INTEGER}."
            )


def _require_utc(name: str, time: datetime.datetime) -> None:
    if time.utcoffset() != datetime.timedelta(0):
        raise ValueError(
            f"{name}={time!r} is not an aware time in UTC; "
            "pass for instance datetime.now(datetime.timezone.utc)."
        )
