"""Overwriting what a SQLite file keeps of deleted rows, in the background, beside its users.

secure_delete zeroes deleted rows, but pages that SQLite once rebalanced hold older copies of rows
in the space between their cell pointers and their cells, and the write-ahead log holds pages as
they were. VACUUM would write the whole file anew and keep every writer waiting for seconds. This
pass zeroes just those bytes, which SQLite itself calls free and never reads:

    1. checkpoint the log and empty it: every old page is in the file now
    2. read the file without any lock, and note the pages whose free space is not zero
    3. a few of them at a time: empty the log, take the write lock, make sure that the log is
       still empty (so that nobody can be writing to the file), zero the free space, and commit a
       change of no meaning, which has every other connection drop the pages that it remembers

A page that others change meanwhile keeps its dirt where it was or overwrites it, in the file as
in the log, so step 2 finds it. `user_version` of the file says that a pass is wanted: an erasure
sets it in its own transaction, the pass resets it at its end, so one that was killed is done anew
when the file is next opened.
"""

import contextlib
import os
import pathlib
import secrets
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from absl import logging

from pa_jax.profile.db import connect, database, locks, tables

_READ_PAGES = 1024  # at once
_HELD_SECONDS = 0.008  # that one step keeps writers waiting
_PAUSE_SECONDS = 0.05  # before a step that somebody was in the way of is tried again
_AGAIN_SECONDS = 0.5  # until another process's pass is looked at again
_FAILED_SECONDS = 30.0  # until a pass that failed is tried again
_BUSY_SECONDS = 0.01
_CLOSE_SECONDS = 5.0  # that closing a store waits for a pass under way
_LOCK_BYTE = 1 << 30  # the page with it holds nothing
_CELL_AREA = {2: 12, 5: 12, 10: 8, 13: 8}  # kind of a b-tree page -> where its cell pointers begin


def want(connection: sa.Connection) -> None:
    """Inside the transaction of an erasure: the files are to be cleaned, whatever happens next."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version = {secrets.randbelow(2**31 - 1) + 1}")


class Cleaner:
    """Cleans the files of one database in a thread of its own, which starts when it is wanted."""

    def __init__(self, data: database.Database, held: locks.UserLocks) -> None:
        """A pass that an earlier process did not finish begins at once."""
        self._data, self._locks = data, held
        self._changed = threading.Condition()
        self._asked = self._done = 0  # erasures of this process, and those cleaned up after
        self._closing = False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        if data.engine.dialect.name == "sqlite":
            with data.read() as connection:
                wanted = connection.exec_driver_sql("PRAGMA user_version").scalar()
            if wanted:
                self.ask()

    def ask(self) -> None:
        """Has a pass begin soon; returns at once."""
        if self._pid != os.getpid():  # forked: the thread, and maybe the lock, are the parent's
            self._changed, self._thread, self._pid = threading.Condition(), None, os.getpid()
        with self._changed:
            self._asked += 1
            self._closing = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="clean", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def make_room(self) -> None:
        """Gives the disk back what the write-ahead log takes, as far as nobody reads from it."""
        if self._data.engine.dialect.name == "sqlite":
            with contextlib.suppress(connect.StoreError), self._data.read() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def wait(self, seconds: float) -> bool:
        """Whether everything asked for until now was cleaned up within so many seconds."""
        with self._changed:
            asked = self._asked
            return self._changed.wait_for(lambda: self._done >= asked, seconds)

    def close(self) -> None:
        """Ends the thread; a pass that takes too long is done by whoever opens the file next."""
        if self._pid != os.getpid():
            return
        self.wait(min(_CLOSE_SECONDS, connect.WAIT_SECONDS))
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._asked > self._done)
                if self._closing:
                    self._thread = None
                    return
                asked = self._asked
            cleaned, pause = False, _AGAIN_SECONDS
            try:
                with self._data.failures():
                    cleaned = self._clean()
            except (connect.StoreError, OSError, sqlite3.Error) as error:
                logging.warning("cleaning up after erasures has to wait: %s", error)
                pause = _FAILED_SECONDS
            with self._changed:
                if cleaned:
                    self._done = asked
                self._changed.notify_all()
            if not cleaned:
                self._wait_for_more(asked, pause)

    def _wait_for_more(self, asked: int, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._asked > asked, seconds)

    def _clean(self) -> bool:
        """One pass; False where it is to be tried again, by this thread or the next process."""
        if self._data.engine.dialect.name == "postgresql":
            with self._data.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            ) as connection:
                for table in tables.metadata.sorted_tables:
                    if not self._closing:
                        connection.execute(sa.text(f"VACUUM {table.name}"))
            return True
        with self._data.read() as connection:
            main = connection.exec_driver_sql("PRAGMA database_list").all()[0].file
        path = pathlib.Path(main)
        with self._locks.of_cleaning() as ours:
            if not ours:  # of another process
                return False
            while (wanted := _wanted(path)) and not self._closing:
                self._pass(path, wanted)
        return not wanted

    def _pass(self, path: pathlib.Path, wanted: int) -> None:
        file = locks.kept_open(str(path))
        with self._exclusive(path, wanted, then=wanted):
            pass  # all that was deleted before is in the file
        size, used = _page_sizes(file)
        dirty: list[int] = []
        for first in range(0, os.fstat(file).st_size // size, _READ_PAGES):
            began = time.monotonic()
            dirty += _dirty(file, size, used, first)
            time.sleep(time.monotonic() - began)  # at most half of a core, whoever asks for it
        while dirty and not self._closing:
            with self._exclusive(path, wanted, then=wanted) as alone:
                until = time.monotonic() + _HELD_SECONDS
                while alone and dirty and time.monotonic() < until:
                    _zero(file, size, used, dirty.pop())
            os.fsync(file)  # here, where nobody waits for it
        with self._exclusive(path, wanted, then=0):
            pass

    @contextlib.contextmanager
    def _exclusive(self, path: pathlib.Path, wanted: int, *, then: int) -> Iterator[bool]:
        """Inside, nobody writes to the file, and all of the log is in it; then others read anew.

        Its mark is `then` afterwards, unless an erasure has set another than `wanted` meanwhile.
        False where the store is closing.
        """
        while not self._closing:
            # A connection of its own: it must not remember pages of before.
            with contextlib.closing(_open(path)) as connection:
                if _alone(connection, f"{path}-wal"):
                    found = connection.execute("PRAGMA user_version").fetchone()[0]
                    mark = then if found == wanted else found
                    connection.execute(f"PRAGMA user_version = {mark}")  # a change in any case
                    yield True
                    connection.execute("COMMIT")
                    return
            time.sleep(_PAUSE_SECONDS)
        yield False


def _alone(connection: sqlite3.Connection, log: str) -> bool:
    """Takes the write lock while the log is empty: then nobody has pages to write to the file."""
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of it, and nobody waits
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            return False  # somebody reads an old state, or writes
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    if not os.path.exists(log) or not os.stat(log).st_size:
        return True
    connection.execute("ROLLBACK")  # somebody was faster
    return False


def _open(path: pathlib.Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _wanted(path: pathlib.Path) -> int:
    with contextlib.closing(_open(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


# the file format (sqlite.org/fileformat2.html)


def _page_sizes(file: int) -> tuple[int, int]:
    """Bytes of a page, and how many of them b-trees use."""
    size, _, reserved = struct.unpack(">HHB", os.pread(file, 5, 16))
    size = 65536 if size == 1 else size
    return size, size - reserved


def _maps(file: int, size: int, used: int) -> Callable[[int], bool]:
    """Which pages, counted from 0, a file that vacuums itself keeps its map of pages in.

    They may begin as a b-tree's do, and all of them is in use.
    """
    (vacuums,) = struct.unpack(">I", os.pread(file, 4, 52))
    apart, locked = used // 5 + 1, _LOCK_BYTE // size

    def is_map(number: int) -> bool:
        if not vacuums or number == locked:
            return False
        moved = number == locked + 1 and locked % apart == 1  # it would have been the locked one
        return number % apart == 1 or moved

    return is_map


def _gaps(page: memoryview, used: int) -> tuple[list[tuple[int, int]], bool]:
    """Where a b-tree page holds nothing, as (begin, end), and whether all of it made sense.

    Its first byte tells one: other pages begin with a page's number, below 2**25, or with zeroes
    (but for those of _maps).
    """
    pointers = _CELL_AREA.get(page[0])
    if pointers is None:
        return [], True
    block, cells, content = struct.unpack_from(">HHH", page, 1)
    begin, end = pointers + 2 * cells, content or 65536
    if not begin <= end <= used:
        return [], False
    gaps = [(begin, end)]
    while block:  # a chain of free blocks among the cells: next, size, free bytes
        if not end <= block <= used - 4:
            return gaps, False
        following, length = struct.unpack_from(">HH", page, block)
        if block + length > used or 0 < following < block + length:
            return gaps, False
        gaps.append((block + 4, block + length))
        block = following
    return gaps, True


def _dirty(file: int, size: int, used: int, first: int) -> list[int]:
    """Those of the pages from `first` on, counted from 0, whose free space is not zero.

    A page that makes no sense may have been read while it was written: it is looked at again.
    """
    data = memoryview(os.pread(file, _READ_PAGES * size, first * size))
    zeroes, is_map = bytes(size), _maps(file, size, used)
    found = []
    for place in range(len(data) // size):
        page = data[place * size : (place + 1) * size]
        gaps, whole = _gaps(page, used)
        clean = whole and all(page[begin:end] == zeroes[: end - begin] for begin, end in gaps)
        if not clean and first + place and not is_map(first + place):  # page 0 is the schema's
            found.append(first + place)
    return found


def _zero(file: int, size: int, used: int, number: int) -> None:
    page = memoryview(os.pread(file, size, number * size))
    gaps, _ = _gaps(page, used) if len(page) == size else ([], True)  # the file became shorter
    for begin, end in gaps:
        if page[begin:end] != bytes(end - begin):
            os.pwrite(file, bytes(end - begin), number * size + begin)
