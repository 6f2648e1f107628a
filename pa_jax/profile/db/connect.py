"""Opening the database behind a URL, bringing its tables up to date, and saying what failed."""

import contextlib
import functools
import os
import pathlib
import sqlite3
import threading
import time
from collections.abc import Iterator

import alembic.config
import sqlalchemy as sa
from alembic import command
from alembic.runtime import migration
from alembic.script import ScriptDirectory
from sqlalchemy import event, exc

from pa_jax.profile.db import tables

WAIT_SECONDS = 30.0  # for a lock that another process holds
DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}

_SYNCHRONOUS = ("full", "normal")  # the log is on disk at each commit, or at checkpoints
_UNKNOWN = "it failed; the message and the database's own log are all that is known."
_MIGRATIONS = pathlib.Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 7_040_417  # any number that all versions of pa_jax share
_ONE_AT_A_TIME = threading.Lock()  # alembic keeps its context in a module

_FULL = "there is no room left on its disk; free some."
_REMEDIES = (  # words of the database's own message -> what to do
    ("readonly", "it is read-only; make the file and its folder writable, or use another path."),
    ("read-only", "it is read-only; make it writable, or use another path."),
    ("unable to open", "it cannot be opened; create its folder, and make both writable."),
    ("locked", f"another process kept it locked for {WAIT_SECONDS:g} s; close that one, retry."),
    ("not a database", "the file is no SQLite database; name another file."),
    ("malformed", "the file is damaged; restore it from a backup."),
    ("full", _FULL),
    ("no space left", _FULL),
    (
        "disk i/o error",
        "the disk failed, or refused to let the file grow (a quota, a limit on file sizes); free "
        "some room or raise the limit, and look into the system's log.",
    ),
    ("already exists", "it has tables of that name that no pa_jax made; name another database."),
    ("too many open files", "this process has too many files open; raise its limit (ulimit -n)."),
    ("connection", "the server does not answer; start it, and check host, port and password."),
)


class StoreError(RuntimeError):
    """The database cannot do what was asked; nothing was half applied."""


class NoRoom(StoreError):
    """There is no room on the database's disk."""


def parse(url: str) -> sa.URL:
    """The URL with the driver that the package uses.

    sqlite:///FILE?synchronous=normal is faster and may lose what was acknowledged last when the
    power goes (never when only the process is killed); full, the default, loses nothing.
    """
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError as error:
        shown = "" if "@" in url else f" {url!r:.60}"  # a password is not told
        raise ValueError(
            f"profile store URL{shown} is none; write sqlite:///FILE "
            "or postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from error
    if parsed.drivername not in DRIVERS:
        raise ValueError(
            f"profile store URL begins with {parsed.drivername!r}: "
            f"choose one of {', '.join(DRIVERS)}."
        )
    parsed = parsed.set(drivername=DRIVERS[parsed.drivername])
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError(
            f"profile store URL {url!r} names no file, and profiles are to last; "
            "write sqlite:///FILE."
        )
    if _level(parsed) not in _SYNCHRONOUS:
        raise ValueError(
            f"profile store URL has synchronous={_level(parsed)!r:.20}: choose one of "
            f"{', '.join(_SYNCHRONOUS)}."
        )
    return parsed


def _level(url: sa.URL) -> str:
    return str(url.query.get("synchronous", "full"))


@contextlib.contextmanager
def failures(url: sa.URL) -> Iterator[None]:
    """Turns what the database driver raises into a StoreError that names a remedy."""
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError) as error:
        said = str(getattr(error, "orig", None) or error).strip()
        remedy = next((text for word, text in _REMEDIES if word in said.lower()), "")
        name = url.render_as_string(hide_password=True)
        kind = NoRoom if remedy is _FULL else StoreError
        raise kind(f"profile store {name}: {remedy or _UNKNOWN} ({said})") from error


def engine(url: sa.URL) -> sa.Engine:
    """An engine for `write`, `read` and `snapshot`, which begin transactions; connects on use."""
    if url.drivername != "sqlite":
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, max_overflow=64)
    made = sa.create_engine(
        url.difference_update_query(["synchronous"]),
        hide_parameters=True,
        max_overflow=64,
        connect_args={"timeout": WAIT_SECONDS, "check_same_thread": False},
    )
    prepare = functools.partial(_prepare_sqlite, level=_level(url))
    event.listen(made, "connect", lambda connection, _: prepare(connection))
    return made


def _prepare_sqlite(connection: sqlite3.Connection, *, level: str) -> None:
    connection.isolation_level = None  # sqlite3 begins nothing of its own: write and snapshot do
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA synchronous = {level}")


@contextlib.contextmanager
def write(made: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that may write; on SQLite no other one writes meanwhile."""
    with made.connect() as connection, connection.begin():
        if made.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


@contextlib.contextmanager
def read(made: sa.Engine) -> Iterator[sa.Connection]:
    """A connection for one SELECT."""
    with made.connect() as connection:
        yield connection


@contextlib.contextmanager
def snapshot(made: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction whose SELECTs all see one state."""
    with made.connect() as connection:
        if made.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            if made.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            yield connection


def sqlite_file(url: sa.URL) -> pathlib.Path | None:
    """The file of a SQLite database, None for a server or for a file: URI."""
    name = url.database or ""
    if url.drivername != "sqlite" or name.startswith("file:"):
        return None
    return pathlib.Path(name)


def bring_up_to_date(made: sa.Engine) -> None:
    """Creates or migrates the tables; safe while others open the same database."""
    if made.dialect.name == "sqlite":
        _own_file(sqlite_file(made.url))
        _use_wal(made)
    script = ScriptDirectory(str(_MIGRATIONS))
    with read(made) as connection:
        if _revision(connection, script) == script.get_current_head():
            return
    with _ONE_AT_A_TIME, write(made) as connection:
        if made.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        if _revision(connection, script) == script.get_current_head():
            return  # another opener was faster
        config = alembic.config.Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "head")


def _revision(connection: sa.Connection, script: ScriptDirectory) -> str | None:
    context = migration.MigrationContext.configure(
        connection, opts={"version_table": tables.VERSION_TABLE}
    )
    found = context.get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if found is not None and found not in known:
        name = connection.engine.url.render_as_string(hide_password=True)
        raise StoreError(
            f"profile store {name} has tables of version {found!r}, this pa_jax knows "
            f"{', '.join(sorted(known))}; upgrade pa_jax, or open another database."
        )
    return found


def _own_file(path: pathlib.Path | None) -> None:
    """A new profile file is for its owner's eyes only; SQLite's other files take its mode."""
    if path is not None and path.parent.is_dir():
        with contextlib.suppress(OSError):  # the opening that follows says what is wrong
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _use_wal(made: sa.Engine) -> None:
    """Switches to write-ahead logging, which needs the file to itself for a moment."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with read(made) as connection:
                if connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                return
        except exc.OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
