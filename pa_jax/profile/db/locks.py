"""One turn of a user at a time, over threads and processes; a killed process lets go by itself."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import threading
import time
import weakref
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import exc

from pa_jax.profile.db import connect, database

_POLL_SECONDS = 0.01  # between tries for what another process holds

_CLEANING = 2**62  # no user's number is as large

# Of a process: its threads queue here, and it holds each file open once, because closing a file
# drops every lock that the process has on it, SQLite's own among them.
_QUEUES: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_FILES: dict[str, int] = {}
_ONE_AT_A_TIME = threading.Lock()


class UserLocks:
    """Locks by user: a byte of a file beside a SQLite database, an advisory lock of PostgreSQL.

    Users whose ids hash to the same number wait for each other, which is rare and harmless.
    """

    def __init__(self, data: database.Database) -> None:
        self._data = data
        on_file = data.engine.dialect.name == "sqlite"
        self._locks = _FileLocks(data) if on_file else _ServerLocks(data)

    def close(self) -> None:
        """Lets go of everything."""
        self._locks.close()

    @contextlib.contextmanager
    def held(self, user: str, *, wait_seconds: float) -> Iterator[None]:
        """Inside, nobody else holds this user's lock; StoreError when the wait gets too long."""
        deadline = time.monotonic() + wait_seconds
        digest = hashlib.blake2b(user.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big") >> 2  # fits a signed file offset and a bigint
        queue = _queue(self._locks.name, number)
        if not queue.acquire(timeout=max(wait_seconds, 0.0)):
            raise _too_long(user, wait_seconds)
        try:
            while not self._locks.try_lock(number):
                if time.monotonic() > deadline:
                    raise _too_long(user, wait_seconds)
                time.sleep(_POLL_SECONDS)
            try:
                yield
            finally:
                self._locks.unlock(number)
        finally:
            queue.release()

    @contextlib.contextmanager
    def of_cleaning(self) -> Iterator[bool]:
        """Whether nobody else cleans the database's files; inside, nobody else begins to."""
        queue = _queue(self._locks.name, _CLEANING)
        if not queue.acquire(blocking=False):
            yield False
            return
        try:
            if not self._locks.try_lock(_CLEANING):
                yield False
                return
            try:
                yield True
            finally:
                self._locks.unlock(_CLEANING)
        finally:
            queue.release()


def kept_open(name: str) -> int:
    """A file, made where there is none, that stays open as long as the process lives."""
    with _ONE_AT_A_TIME:
        known = _FILES.get(name)
        if known is not None and _is_open_on(known, pathlib.Path(name)):
            return known
        try:
            made = os.open(name, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise connect.StoreError(
                f"cannot open {name} ({error}); make it and its folder writable."
            ) from error
        _FILES[name] = made
        return made


def _too_long(user: str, wait_seconds: float) -> connect.StoreError:
    return connect.StoreError(
        f"another session of user {user!r:.60} has been answering for {wait_seconds:g} s; wait "
        "for its reply or close it, then send this again."
    )


def _queue(name: str, number: int) -> threading.Lock:
    """The lock of this process for a number; a forked child has its own."""
    key = (os.getpid(), name, number)
    with _ONE_AT_A_TIME:
        queue = _QUEUES.get(key)
        if queue is None:
            queue = _QUEUES[key] = threading.Lock()
        return queue


class _FileLocks:
    """Byte-range locks on a file that stays empty."""

    def __init__(self, data: database.Database) -> None:
        with data.read() as connection:
            main = connection.exec_driver_sql("PRAGMA database_list").all()[0].file
        self.name = f"{main}-turns"

    def close(self) -> None:
        """The file stays open as long as the process lives, for the other stores on it."""

    def try_lock(self, number: int) -> bool:
        try:
            fcntl.lockf(kept_open(self.name), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise connect.StoreError(
                f"cannot lock {self.name} ({error}); keep the profile store on a local disk."
            ) from error
        return True

    def unlock(self, number: int) -> None:
        fcntl.lockf(kept_open(self.name), fcntl.LOCK_UN, 1, number)


def _is_open_on(file: int, path: pathlib.Path) -> bool:
    """Whether the path still names the open file."""
    return path.exists() and os.path.samestat(os.fstat(file), path.stat())


class _ServerLocks:
    """Advisory locks, all of a process on one connection; the server frees them when it ends."""

    def __init__(self, data: database.Database) -> None:
        self.name = f"{id(self)}"  # the server keeps two stores of a process apart
        self._data = data
        self._connection: sa.Connection | None = None
        self._of_parent: sa.Connection | None = None
        self._pid = os.getpid()
        self._using = threading.Lock()

    def close(self) -> None:
        with self._using:
            self._drop()

    def try_lock(self, number: int) -> bool:
        with self._using, self._data.failures():
            try:
                return self._open().execute(_TRY, {"number": number}).scalar_one()
            except exc.DBAPIError:
                self._drop()
                raise

    def unlock(self, number: int) -> None:
        with self._using:
            try:
                self._open().execute(_LET_GO, {"number": number})
            except exc.DBAPIError:  # the connection is gone, and the lock with it
                self._drop()

    def _open(self) -> sa.Connection:
        if self._pid != os.getpid():  # forked: the connection is the parent's
            self._of_parent = self._connection  # kept, so that it is not closed from here
            self._connection, self._pid = None, os.getpid()
        if self._connection is None:
            made = self._data.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            made.detach()  # the pool never hands it on with its locks
            self._connection = made
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(exc.DBAPIError):
                self._connection.close()
            self._connection = None


_TRY = sa.text("SELECT pg_try_advisory_lock(:number)")
_LET_GO = sa.text("SELECT pg_advisory_unlock(:number)")
