"""The database that a store and its journal share: transactions, and what each of them checks."""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pa_jax.profile.db import connect, tables

MAX_USER_CHARS = 256
CLOCK_SLACK = datetime.timedelta(minutes=5)  # between the clocks of machines

_INSERT: dict[str, Callable[[sa.Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


class Database:
    """Transactions on the database at a URL, its tables up to date.

    One that was open when the process forked connects anew in the child. What the driver raises
    becomes a StoreError that names a remedy.
    """

    def __init__(self, url: str) -> None:
        self.url = connect.parse(url)
        self.engine = connect.engine(self.url)
        self.insert = _INSERT[self.engine.dialect.name]
        self._pid = os.getpid()
        insert = self.insert(tables.USERS)
        old, new = tables.USERS.c.changed_at, insert.excluded.changed_at
        self._keep_latest = insert.on_conflict_do_update(
            index_elements=["user_id"], set_={"changed_at": sa.case((old > new, old), else_=new)}
        ).returning(old)
        with contextlib.ExitStack() as on_failure, connect.failures(self.url):
            on_failure.callback(self.engine.dispose)
            connect.bring_up_to_date(self.engine)
            on_failure.pop_all()

    def close(self) -> None:
        """Closes all connections; the next transaction opens new ones."""
        self.engine.dispose()

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Around anything that uses `engine`."""
        if self._pid != os.getpid():  # forked: the parent's connections are not ours to use
            self.engine.dispose(close=False)
            self._pid = os.getpid()
        with connect.failures(self.url):
            yield

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction that may write."""
        with self.failures(), connect.write(self.engine) as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for one SELECT."""
        with self.failures(), connect.read(self.engine) as connection:
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A transaction whose SELECTs all see one state."""
        with self.failures(), connect.snapshot(self.engine) as connection:
            yield connection

    def touch(
        self, connection: sa.Connection, user: str, now: datetime.datetime
    ) -> datetime.datetime:
        """Time of the user's latest change, `now` included; holds the user's row until commit.

        What is changed now has this time: where a clock has gone back, a history still does not.
        """
        row = {"user_id": user, "changed_at": now}
        return connection.execute(self._keep_latest, row).scalar_one()


def require_user(user: str) -> None:
    """Raises a ValueError unless `user` can name a user."""
    if not user.strip() or len(user) > MAX_USER_CHARS or "\0" in user:
        raise ValueError(
            f"user id {user!r:.60} has {len(user)} characters; give 1 to {MAX_USER_CHARS}, "
            "none of them NUL, and not only blanks."
        )
    try:
        user.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"user id {user!r:.60} is no Unicode text: {error}.") from error


def require_utc(name: str, time: datetime.datetime) -> None:
    """Raises a ValueError unless `time` is aware and in UTC."""
    if time.utcoffset() != datetime.timedelta(0):
        raise ValueError(
            f"{name}={time!r} is not an aware time in UTC; "
            "pass for instance datetime.now(datetime.timezone.utc)."
        )
