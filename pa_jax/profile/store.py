"""Profiles that last: every user's facts, with their history, in SQLite or PostgreSQL."""

import contextlib
import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from pa_jax.english import memory
from pa_jax.profile import codec, facts, imports, portable, promote, turns, undo, update
from pa_jax.profile.db import cleaning, connect, database, erasure, journal, locks, queries, tables

Facts = tuple[facts.Fact, ...]  # named here: inside ProfileStore, `facts` is a method
Ops = Sequence[facts.FactOp]
Source = facts.Source

_CHANGED_AT = sa.select(tables.USERS.c.changed_at).where(
    tables.USERS.c.user_id == sa.bindparam("user")
)


class UserExists(ValueError):
    """An import for a user who has a profile already."""


@dataclasses.dataclass(frozen=True)
class Applied:
    """What a turn changed; `repeated` when it had been applied before and nothing was done."""

    receipts: tuple[update.Outcome, ...]
    changes: tuple[update.Change, ...]
    repeated: bool


class ProfileStore:
    """One structured profile a user, at a database URL (sqlite:///FILE, postgresql://...).

    Each method is one transaction and concerns one user; any number of processes and threads
    may share the database. A store that was open when the process forked connects anew in the
    child. All times are aware datetimes in UTC, and come from the caller.
    """

    def __init__(self, url: str) -> None:
        self._database = database.Database(url)
        insert = self._database.insert(tables.USERS)
        self._add_user = insert.on_conflict_do_nothing().returning(tables.USERS.c.user_id)
        insert = self._database.insert(tables.LABELS)
        self._keep_label = insert.on_conflict_do_update(
            index_elements=["user_id", "name"],
            set_={c.name: insert.excluded[c.name] for c in tables.LABELS.c if not c.primary_key},
        )
        self._locks = locks.UserLocks(self._database)
        self._cleaner = cleaning.Cleaner(self._database, self._locks)
        self.journal = journal.Journal(self._database)

    def close(self) -> None:
        """Closes all connections; the next call opens new ones."""
        self._cleaner.close()
        self._locks.close()
        self._database.close()

    def facts(self, user: str, *, now: datetime.datetime) -> Facts:
        """What holds at `now`, oldest first; nothing for a user who is not known."""
        database.require_user(user)
        database.require_utc("now", now)
        with self._database.read() as connection:
            return queries.held(connection, user, valid_at=now)

    def present(self, user: str, now: datetime.datetime) -> datetime.datetime:
        """`now`, or the user's latest change where the clock has gone back behind it."""
        database.require_user(user)
        database.require_utc("now", now)
        with self._database.read() as connection:
            latest = connection.execute(_CHANGED_AT, {"user": user}).scalar_one_or_none()
        return now if latest is None else max(now, latest)

    def as_of(
        self, user: str, time: datetime.datetime, *, valid_at: datetime.datetime | None = None
    ) -> Facts:
        """What the store said at `time` about `valid_at`, which is `time` where it is None."""
        database.require_user(user)
        database.require_utc("time", time)
        database.require_utc("valid_at", valid_at or time)
        with self._database.read() as connection:
            return queries.held(connection, user, valid_at=valid_at or time, known_at=time)

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
        database.require_user(user)
        _require_source(source)
        database.require_utc("now", now)
        with self._database.write() as connection:
            at = self._database.touch(connection, user, now)
            turn = queries.applied(connection, user, source)
            if turn is not None:
                return Applied(turn.receipts, queries.changes_by(connection, user, source), True)
            result = self._update(connection, user, ops, source, at)
            turn = portable.AppliedTurn(source.session, source.turn, at, result.receipts)
            queries.add_turn(connection, user, turn)
        return Applied(result.receipts, result.changes, False)

    def undo(
        self, user: str, place: tuple[int, int], *, session: int | None, now: datetime.datetime
    ) -> turns.Turn:
        """Takes back what the turn at `place` changed; undo.py has the rules.

        That is a turn of its own, of `session` or of a new one; it is done when this returns.
        Raises an undo.CannotUndo where nothing is taken back; then nothing is written.
        """
        database.require_user(user)
        database.require_utc("now", now)
        with self._database.write() as connection:
            at = self._database.touch(connection, user, now)
            records = queries.records(connection, user, None)
            made = undo.changes(records, {facts.Place(*place)}, now=at, partly=False)
            return self._undone(connection, user, session, made, records, at)

    def say_instead(
        self,
        said: Sequence[turns.Turn],
        words: str,
        *,
        declined: str | None,
        now: datetime.datetime,
    ) -> turns.Turn:
        """Begins a turn in the place of the last ones of a session, with what they taught undone.

        All of it happens or nothing: whenever the process ends, the old words are there or the new.
        """
        old = said[0]
        database.require_utc("now", now)
        with self._database.write() as connection:
            at = self._database.touch(connection, old.user, now)
            records = queries.records(connection, old.user, None)
            places = {facts.Place(turn.session, turn.turn) for turn in said}
            made = undo.changes(records, places, now=at, partly=True)
            if made:
                self._undone(connection, old.user, old.session, made, records, at)
            return journal.said_instead(connection, old, words, at, declined)

    def applied(self, user: str, source: Source) -> Applied:
        """What `apply` answered for a turn; LookupError for one that was not applied."""
        database.require_user(user)
        with self._database.snapshot() as connection:
            turn = queries.applied(connection, user, source)
            if turn is None:
                raise LookupError(
                    f"turn {source.session}.{source.turn} of user {user!r:.60} was not applied."
                )
            return Applied(turn.receipts, queries.changes_by(connection, user, source), True)

    def history(self, user: str, fact_id: str | None = None) -> tuple[portable.Record, ...]:
        """Every version of every fact (or of one), in the order in which they became known."""
        database.require_user(user)
        with self._database.read() as connection:
            return queries.records(connection, user, fact_id)

    def schema(self, user: str) -> tuple[promote.Label, ...]:
        """The user's own labels under `other`, by name; those that recurred are promoted."""
        database.require_user(user)
        with self._database.read() as connection:
            return queries.labels(connection, user)

    def users(self) -> tuple[str, ...]:
        """The ids of all users of whom anything is known, sorted."""
        with self._database.read() as connection:
            return tuple(sorted(connection.execute(sa.select(tables.USERS.c.user_id)).scalars()))

    def export(self, user: str) -> dict[str, Any]:
        """Everything about a user, ready for json.dump; portable.py says what is in it."""
        database.require_user(user)
        with self._database.snapshot() as connection:
            if connection.execute(_CHANGED_AT, {"user": user}).one_or_none() is None:
                raise LookupError(
                    f"user {user!r} is not in this profile store; users() lists who is."
                )
            profile = portable.Profile(
                user,
                queries.records(connection, user, None),
                queries.turns(connection, user),
                queries.labels(connection, user),
                journal.select(connection, user),
            )
        return portable.dump(profile)

    def import_(self, data: Any, *, now: datetime.datetime | None = None) -> str:
        """Stores what `export` gave (the dict, or its JSON text); returns the user's id.

        Refuses a user who is already there (UserExists: `erase` first), and what no store could
        have written until `now`, which is the present where it is None.
        """
        profile = portable.load(data)
        user = profile.user
        database.require_user(user)
        last = imports.require_own(profile, now=now or datetime.datetime.now(datetime.UTC))
        added = {"user_id": user, "changed_at": last}
        with self._database.write() as connection:
            if connection.execute(self._add_user, added).one_or_none() is None:
                raise UserExists(
                    f"user {user!r} already has a profile here; erase it first, then import."
                )
            rows = {
                tables.FACTS: [tables.record_row(record) for record in profile.records],
                tables.TURNS: [tables.turn_row(user, turn) for turn in profile.turns],
                tables.LABELS: [tables.label_row(user, label) for label in profile.labels],
                tables.JOURNAL: [tables.journal_row(turn) for turn in profile.journal],
            }
            for table, table_rows in rows.items():
                if table_rows:
                    connection.execute(table.insert(), table_rows)
        return user

    def erase(self, user: str, *, wait: bool = True) -> erasure.Receipt:
        """Deletes all that is known about a user.

        A turn of the user that is being answered is waited for. With `wait` the database's files
        hold nothing of it either when this returns; without, they are cleaned in the background,
        by the next process where this one ends before. A second call does no harm.
        """
        database.require_user(user)
        with self.turn_of(user, wait_seconds=connect.WAIT_SECONDS):
            try:
                receipt = self._erased(user)
            except connect.NoRoom:
                self._cleaner.make_room()
                receipt = self._erased(user)
        memory.forget()
        self._cleaner.ask()
        if wait and not self._cleaner.wait(max(connect.WAIT_SECONDS, 5.0)):
            raise connect.StoreError(
                "erased, but another process keeps reading the old state, so the write-ahead log "
                "still has it; close that process, and erase again, or leave it: it is cleaned up "
                "as soon as it can be."
            )
        return receipt

    def turn_of(self, user: str, *, wait_seconds: float) -> contextlib.AbstractContextManager[None]:
        """Holds a user's turn: of all threads and processes one at a time, the others wait."""
        database.require_user(user)
        return self._locks.held(user, wait_seconds=wait_seconds)

    def _erased(self, user: str) -> erasure.Receipt:
        try:
            with self._database.write() as connection:
                return erasure.erase(connection, user)
        except connect.NoRoom as error:
            raise connect.NoRoom(
                f"nothing was erased. {error} Deleting first writes about twice the size of the "
                "user's rows beside the database; then erase again."
            ) from error

    # inside a transaction

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
        versions, held, forgotten = queries.before(connection, user)
        result = update.apply(held, ops, user=user, source=source, now=now, forgotten=forgotten)
        self._add(connection, user, result.changes, source, now, versions)
        self._see_labels(connection, user, result.changes, now)
        return result

    def _add(
        self,
        connection: sa.Connection,
        user: str,
        changes: Sequence[update.Change],
        source: Source,
        now: datetime.datetime,
        versions: Mapping[str, int],
    ) -> None:
        """Keeps facts as a turn left them, each in the place of its version so far."""
        by = facts.Place(source.session, source.turn)
        added = [
            portable.Record(
                **vars(change.fact),
                version=versions.get(change.fact.id, -1) + 1,
                event=change.event,
                by=by,
                known_from=now,
                known_to=None,
            )
            for change in changes
        ]
        queries.replace_versions(connection, user, added, now)

    def _undone(
        self,
        connection: sa.Connection,
        user: str,
        session: int | None,
        made: Sequence[update.Change],
        records: Sequence[portable.Record],
        at: datetime.datetime,
    ) -> turns.Turn:
        """A command's turn that put facts back."""
        turn = journal.done(connection, user, session, at)
        self._add(connection, user, made, turn.source, at, _versions(records))
        applied = portable.AppliedTurn(turn.session, turn.turn, at, ())
        queries.add_turn(connection, user, applied)
        return turn

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
            label = promote.see(known.get(name), name, now=now)
            connection.execute(self._keep_label, tables.label_row(user, label))


def _versions(records: Sequence[portable.Record]) -> dict[str, int]:
    return {
        record.id: record.version for record in sorted(records, key=lambda record: record.version)
    }


def _require_source(source: Source) -> None:
    for name, number in (("session", source.session), ("turn", source.turn)):
        if not 0 <= number <= codec.MAX_INTEGER:
            raise ValueError(
                f"Source.{name}={number}; count from 0, at most to {codec.MAX_INTEGER}."
            )
