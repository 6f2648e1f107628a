"""Turns of sessions, each kept stage by stage, in the database of the profiles."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from pa_jax.english import words
from pa_jax.profile import codec, facts, turns
from pa_jax.profile.db import database, tables

_BEGINNING = 400  # characters of what was said first that a title is made of
_JOURNAL = tables.JOURNAL.c
_OF_USER = _JOURNAL.user_id == sa.bindparam("user")
_THIS = (
    _OF_USER
    & (_JOURNAL.session == sa.bindparam("of_session"))
    & (_JOURNAL.turn == sa.bindparam("of_turn"))
)
_ORDER = (_JOURNAL.session, _JOURNAL.turn)
_ALL = sa.select(*tables.OF_JOURNAL).where(_OF_USER).order_by(*_ORDER)
_ONE = sa.select(*tables.OF_JOURNAL).where(_THIS)
_UNFINISHED = _ALL.where(_JOURNAL.replied_at.is_(None))
_OF_SESSION = _ALL.where(_JOURNAL.session == sa.bindparam("of_session"))
_LAST = (
    sa.select(*tables.OF_JOURNAL)
    .where(_OF_USER, _JOURNAL.session == sa.bindparam("of_session"))
    .order_by(_JOURNAL.turn.desc())
    .limit(sa.bindparam("count"))
)
_SESSIONS = (
    sa.select(_JOURNAL.session)
    .where(_OF_USER)
    .distinct()
    .order_by(_JOURNAL.session.desc())
    .limit(sa.bindparam("count"))
)
_SAID = (
    sa.select(
        _JOURNAL.session,
        sa.func.min(_JOURNAL.turn).label("first"),
        sa.func.count().label("turns"),
        sa.func.max(_JOURNAL.received_at).label("last_at"),
    )
    .where(_OF_USER, _JOURNAL.words != "")
    .group_by(_JOURNAL.session)
    .order_by(sa.func.max(_JOURNAL.received_at).desc(), _JOURNAL.session.desc())
    .limit(sa.bindparam("count"))
    .subquery()
)
_CONVERSATIONS = (
    sa.select(_SAID, sa.func.substr(_JOURNAL.words, 1, _BEGINNING).label("words"))
    .join_from(
        _SAID,
        tables.JOURNAL,
        (_JOURNAL.session == _SAID.c.session) & (_JOURNAL.turn == _SAID.c.first),
    )
    .where(_OF_USER)
    .order_by(_SAID.c.last_at.desc(), _SAID.c.session.desc())
)
_ASKED = sa.select(_JOURNAL.session, _JOURNAL.turn, _JOURNAL.asked, _JOURNAL.declined).where(
    _OF_USER, _JOURNAL.asked.is_not(None) | _JOURNAL.declined.is_not(None)
)
_LATER = (
    _OF_USER
    & (_JOURNAL.session == sa.bindparam("of_session"))
    & (_JOURNAL.turn >= sa.bindparam("of_turn"))
)
_SAID_LATER = tables.JOURNAL.delete().where(_LATER, _JOURNAL.words != "")
_CHANGED = tables.JOURNAL.update().where(_THIS)
_REOPENED = tables.JOURNAL.update().where(_THIS).values(answer=None, replied_at=None)
_FAILED = tables.JOURNAL.update().where(_THIS).values(failures=_JOURNAL.failures + 1)


def _last(column: str, *, in_session: bool) -> tuple[sa.Select, ...]:
    """The greatest session, or turn of a session, of a user: in the journal, and as applied."""
    found = []
    for table in (tables.JOURNAL, tables.TURNS):
        query = sa.select(sa.func.max(table.c[column])).where(
            table.c.user_id == sa.bindparam("user")
        )
        if in_session:
            query = query.where(table.c.session == sa.bindparam("of_session"))
        found.append(query)
    return tuple(found)


_LAST_SESSION = _last("session", in_session=False)
_LAST_TURN = _last("turn", in_session=True)


@dataclasses.dataclass(frozen=True)
class Asked:
    """Slots that a user was ever asked about, those the user declined to speak of (or ANY).

    `places` are the turns that asked, as (session, turn), in order.
    """

    asked: frozenset[str]
    declined: frozenset[str]
    places: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Conversation:
    """A session in which something was said; its title are the words that began it."""

    session: int
    title: str
    turns: int
    last_at: codec.Moment


class Journal:
    """The turns of every user; each method is one transaction and concerns one user.

    Each stage is kept once: a stage that a turn has reached already stays as it was kept first.
    """

    def __init__(self, data: database.Database) -> None:
        self._database = data

    def begin(
        self,
        user: str,
        words: str,
        *,
        now: datetime.datetime,
        session: int | None = None,
        declined: str | None = None,
        ops: Sequence[facts.FactOp] | None = None,
    ) -> turns.Turn:
        """A new turn of a session, of a new session where it is None; it outlives the process.

        `ops` are given by a command, which has nothing to infer.
        """
        database.require_user(user)
        database.require_utc("now", now)
        if session is not None and not 0 <= session <= codec.MAX_INTEGER:
            raise ValueError(f"session={session}; count from 0, to at most {codec.MAX_INTEGER}.")
        with self._database.write() as connection:
            at = self._database.touch(connection, user, now)
            turn = _new(connection, user, words, session, at, declined)
            if ops is not None:
                turn = _reach(turn, at, snippet="", ops=_storable(ops), dropped=())
            return _inserted(connection, turn)

    def inferred(
        self,
        turn: turns.Turn,
        *,
        snippet: str,
        ops: Sequence[facts.FactOp],
        dropped: Sequence[str],
        now: datetime.datetime,
    ) -> turns.Turn:
        """The turn with the operations that its words came to."""
        snippet, dropped = turns.clean(snippet), tuple(map(turns.clean, dropped))
        made = {"snippet": snippet, "ops": _storable(ops), "dropped": dropped}
        return self._keep(turn, turns.INFERRED, now, made)

    def applied(self, turn: turns.Turn, *, now: datetime.datetime) -> turns.Turn:
        """The turn, its operations having gone through ProfileStore.apply."""
        return self._keep(turn, turns.APPLIED, now, {})

    def decided(
        self,
        turn: turns.Turn,
        *,
        needs: Sequence[tuple[str, float]],
        asked: str | None,
        question: str | None,
        why: str,
        now: datetime.datetime,
    ) -> turns.Turn:
        """The turn with what its request depends on, and the question to put, if any."""
        found = tuple(turns.Need(slot, float(weight)) for slot, weight in needs)
        question = None if question is None else turns.clean(question)
        made = {"needs": found, "asked": asked, "question": question, "why": turns.clean(why)}
        return self._keep(turn, turns.DECIDED, now, made)

    def replied(
        self, turn: turns.Turn, answer: str, *, now: datetime.datetime, asked: bool = True
    ) -> turns.Turn:
        """The turn, finished; without `asked` its question was not put, and is none."""
        made = {"answer": turns.clean(answer)}
        return self._keep(
            turn, turns.REPLIED, now, made if asked else made | {"asked": None, "question": None}
        )

    def reopen(self, turn: turns.Turn) -> turns.Turn:
        """The turn without its answer, so that another one is given; what it learnt stays."""
        with self._database.write() as connection:
            connection.execute(_REOPENED, _where(turn))
            return _read(connection, turn)

    def failed(self, turn: turns.Turn) -> turns.Turn:
        """The turn, tried and failed once more."""
        with self._database.write() as connection:
            connection.execute(_FAILED, _where(turn))
            return _read(connection, turn)

    def unfinished(self, user: str) -> tuple[turns.Turn, ...]:
        """The user's turns that have no reply yet, oldest first."""
        database.require_user(user)
        with self._database.read() as connection:
            return tuple(map(tables.journal_turn, connection.execute(_UNFINISHED, {"user": user})))

    def turns_of(
        self,
        user: str,
        *,
        session: int | None = None,
        as_of: datetime.datetime | None = None,
    ) -> tuple[turns.Turn, ...]:
        """The turns of a user, or of one session, in order; with `as_of` as they were then."""
        database.require_user(user)
        with self._database.read() as connection:
            found = select(connection, user, session)
        if as_of is None:
            return found
        database.require_utc("as_of", as_of)
        return tuple(past for turn in found if (past := turn.as_of(as_of)) is not None)

    def last(self, user: str, session: int, count: int) -> tuple[turns.Turn, ...]:
        """The last `count` turns of a session, in order."""
        database.require_user(user)
        with self._database.read() as connection:
            where = {"user": user, "of_session": session, "count": count}
            found = [tables.journal_turn(row) for row in connection.execute(_LAST, where)]
        return tuple(reversed(found))

    def sessions(self, user: str, count: int) -> tuple[int, ...]:
        """The numbers of the user's last `count` sessions, the newest first."""
        database.require_user(user)
        with self._database.read() as connection:
            where = {"user": user, "count": count}
            return tuple(connection.execute(_SESSIONS, where).scalars())

    def conversations(self, user: str, count: int) -> tuple[Conversation, ...]:
        """The user's last `count` sessions in which something was said, the latest first."""
        database.require_user(user)
        with self._database.read() as connection:
            rows = connection.execute(_CONVERSATIONS, {"user": user, "count": count}).all()
        return tuple(
            Conversation(row.session, turns.title(row.words), row.turns, row.last_at)
            for row in rows
        )

    def asked(self, user: str) -> Asked:
        """What the user was asked about and declined, in all sessions."""
        database.require_user(user)
        with self._database.read() as connection:
            rows = connection.execute(_ASKED, {"user": user}).all()
        return Asked(
            frozenset(row.asked for row in rows) - {None},
            frozenset(row.declined for row in rows) - {None},
            tuple(sorted((row.session, row.turn) for row in rows if row.asked is not None)),
        )

    def _keep(
        self, turn: turns.Turn, stage: str, now: datetime.datetime, made: dict[str, Any]
    ) -> turns.Turn:
        database.require_utc("now", now)
        before = turns.STAGES[turns.STAGES.index(stage) - 1]
        if not turn.reached(before):
            raise ValueError(
                f"a turn that is {turn.stage} cannot be {stage}; {before} comes first."
            )
        with self._database.write() as connection:
            kept = _read(connection, turn, lock=True)
            if kept.reached(stage):
                return kept
            later = _reach(kept, max(now, kept.times[-1]), **made)
            row = tables.journal_row(later)
            change = {name: row[name] for name in (*made, f"{stage}_at")}
            connection.execute(_CHANGED, _where(turn) | change)
        return later


def select(
    connection: sa.Connection, user: str, session: int | None = None
) -> tuple[turns.Turn, ...]:
    """The turns of a user, or of one session, in order, inside a transaction."""
    query = _ALL if session is None else _OF_SESSION
    where = {"user": user} if session is None else {"user": user, "of_session": session}
    rows = connection.execute(query, where)
    return tuple(map(tables.journal_turn, rows))


def done(
    connection: sa.Connection, user: str, session: int | None, at: datetime.datetime
) -> turns.Turn:
    """A new turn of a command that is carried out whole inside this transaction."""
    turn = _new(connection, user, "", session, at, None)
    turn = _reach(turn, at, snippet="", ops=(), dropped=())
    turn = _reach(turn, at)
    turn = _reach(turn, at, needs=(), asked=None, question=None, why="")
    return _inserted(connection, _reach(turn, at, answer=""))


def said_instead(
    connection: sa.Connection,
    old: turns.Turn,
    words: str,
    at: datetime.datetime,
    declined: str | None,
) -> turns.Turn:
    """A new turn in the place of one of its session, and of those after; commands stay."""
    connection.execute(_SAID_LATER, _where(old))
    return _inserted(connection, _new(connection, old.user, words, old.session, at, declined))


def _new(
    connection: sa.Connection,
    user: str,
    words: str,
    session: int | None,
    at: datetime.datetime,
    declined: str | None,
) -> turns.Turn:
    """The next turn of a session, the first of the next session where it is None."""
    if session is None:
        session = _next(connection, _LAST_SESSION, {"user": user})
    number = _next(connection, _LAST_TURN, {"user": user, "of_session": session})
    return turns.start(user, session, number, turns.clean(words), declined, at)


def _inserted(connection: sa.Connection, turn: turns.Turn) -> turns.Turn:
    connection.execute(tables.JOURNAL.insert(), tables.journal_row(turn))
    return turn


def _next(connection: sa.Connection, queries: tuple[sa.Select, ...], where: dict[str, Any]) -> int:
    found = [connection.execute(query, where).scalar_one() for query in queries]
    return max((number for number in found if number is not None), default=-1) + 1


def _reach(turn: turns.Turn, at: datetime.datetime, **made: Any) -> turns.Turn:
    return dataclasses.replace(turn, times=(*turn.times, at), **made)


def _where(turn: turns.Turn) -> dict[str, Any]:
    return {"user": turn.user, "of_session": turn.session, "of_turn": turn.turn}


def _read(connection: sa.Connection, turn: turns.Turn, *, lock: bool = False) -> turns.Turn:
    query = _ONE.with_for_update() if lock else _ONE
    row = connection.execute(query, _where(turn)).one_or_none()
    if row is None:
        raise LookupError(
            f"turn {turn.session}.{turn.turn} of user {turn.user!r:.60} is no longer there; the "
            "user was erased meanwhile."
        )
    return tables.journal_turn(row)


def _storable(ops: Sequence[facts.FactOp]) -> tuple[facts.FactOp, ...]:
    """The operations, their texts as a database holds them; what is too long is refused later."""
    limit = facts.MAX_LINE_CHARS + 1

    def flat(text: str | None) -> str | None:
        return None if text is None else words.clean(text, limit) or "?"

    return tuple(
        dataclasses.replace(op, statement=flat(op.statement), replaces=flat(op.replaces))
        for op in ops
    )
