"""SQLite's files: erased means gone, and a database that cannot be used is named with a remedy."""

import concurrent.futures
import datetime
import os
import pathlib
import sqlite3
import stat

import pytest
import sqlalchemy as sa
from alembic import autogenerate
from alembic.runtime import migration

from pa_jax.profile import facts, store
from pa_jax.profile.db import connect, tables

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def add(statement, slot="food/spice_level", polarity="negative"):
    return facts.FactOp(facts.ADD, statement, slot, None, polarity, "stated", 0.9)


def told(user, number):
    """A statement, a label and a quote that no other user or turn has."""
    mark = f"{user}{number:04d}"
    long = " ".join(f"{mark}word{place:03d}" for place in range(60))
    return f"The user {mark} eats {long}.", f"label {mark}", f"quoted {mark} " + "y" * 700


def tell(profiles, user, turns):
    for number in range(turns):
        statement, label, quote = told(user, number)
        ops = [add(statement), add(f"The user has {mark_of(label)}.", f"other/{label}")]
        now = NOON + datetime.timedelta(seconds=number)
        profiles.apply(user, ops, facts.Source(0, number, quote), now=now)


def mark_of(label):
    return label.split()[1]


def bytes_of(path):
    files = [path, *(pathlib.Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal"))]
    return b"".join(file.read_bytes() for file in files if file.exists())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "profiles.db"


@pytest.fixture
def profiles(path):
    opened = store.ProfileStore(f"sqlite:///{path}")
    yield opened
    opened.close()


def test_erase_leaves_no_byte_and_keeps_the_others(path, profiles):
    for user in ("bob", "ann", "cyd"):
        tell(profiles, user, 25)
    kept = {user: profiles.export(user) for user in ("bob", "cyd")}
    before = bytes_of(path)
    assert b"ann0007word031" in before and b"quoted ann0003" in before
    receipt = profiles.erase("ann")
    after = bytes_of(path)
    assert b"ann0" not in after  # no statement, topic, label or quote of any turn
    assert b"bob0007word031" in after
    assert {user: profiles.export(user) for user in kept} == kept
    assert (receipt.facts, receipt.turns, receipt.labels) == (50, 25, 25)
    assert receipt.versions > receipt.facts  # those that crowded others out
    assert receipt.verified


def test_words_that_another_profile_holds_too_stay_there(path, profiles):
    shared = add("The user cannot stand cilantro at all.")
    for user in ("ann", "bob"):
        profiles.apply(user, [shared], facts.Source(0, 0, "no cilantro!"), now=NOON)
    assert profiles.erase("ann").verified
    assert len(profiles.facts("bob", now=NOON)) == 1
    profiles.erase("bob")
    assert b"cilantro" not in bytes_of(path)


def test_erase_finishes_what_a_crash_interrupted(path, profiles):
    """Rows are deleted, but the write-ahead log was not cleaned: the next erase does it."""
    tell(profiles, "ann", 5)
    with sqlite3.connect(path) as plain:
        plain.execute("PRAGMA foreign_keys = ON")
        plain.execute("DELETE FROM profile_users WHERE user_id = 'ann'")
    plain.close()
    assert b"ann0003word031" in bytes_of(path)
    assert profiles.erase("ann").facts == 0
    assert b"ann0" not in bytes_of(path)


def test_erase_that_a_reader_holds_up_says_so_and_may_be_repeated(path, monkeypatch):
    monkeypatch.setattr(connect, "WAIT_SECONDS", 0.2)
    profiles = store.ProfileStore(f"sqlite:///{path}")
    tell(profiles, "ann", 2)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM profile_facts").fetchone()
    with pytest.raises(connect.StoreError, match="another process keeps reading.*erase again"):
        profiles.erase("ann")
    assert profiles.users() == ()
    reader.execute("COMMIT")
    reader.close()
    assert profiles.erase("ann").verified
    assert b"ann0" not in bytes_of(path)
    profiles.close()


def test_the_file_is_for_its_owner_only_and_set_up_to_last(path, profiles):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    profiles.apply("ann", [], facts.Source(0, 0, ""), now=NOON)
    assert stat.S_IMODE(os.stat(f"{path}-wal").st_mode) == 0o600
    with connect.read(profiles._database.engine) as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "secure_delete", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 1, 1, 30_000]


def test_migrations_make_the_tables_that_the_code_uses(url):
    profiles = store.ProfileStore(url)
    with connect.read(profiles._database.engine) as connection:
        context = migration.MigrationContext.configure(
            connection, opts={"version_table": tables.VERSION_TABLE, "compare_type": True}
        )
        assert autogenerate.compare_metadata(context, tables.metadata) == []
    profiles.close()


def test_many_may_open_a_new_database_at_once(url):
    def open_and_use(number):
        profiles = store.ProfileStore(url)
        profiles.apply(f"u{number}", [], facts.Source(0, 0, ""), now=NOON)
        profiles.close()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_use, range(8)))
    profiles = store.ProfileStore(url)
    assert profiles.users() == tuple(f"u{number}" for number in range(8))
    profiles.close()


def test_tables_of_a_newer_version_are_left_alone(url):
    profiles = store.ProfileStore(url)
    with connect.write(profiles._database.engine) as connection:
        connection.execute(sa.text("UPDATE profile_schema SET version_num = '9999'"))
    profiles.close()
    with pytest.raises(
        connect.StoreError, match="version '9999', .* knows 0001, 0002, 0003; upgrade"
    ):
        store.ProfileStore(url)


def test_a_read_only_database_can_be_read_and_refuses_changes_whole(path, profiles):
    profiles.apply("ann", [add("The user naps.")], facts.Source(0, 0, ""), now=NOON)
    closed = store.ProfileStore(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert len(closed.facts("ann", now=NOON)) == 1
    with pytest.raises(connect.StoreError, match="it is read-only; make the file"):
        closed.apply("ann", [add("The user skis.")], facts.Source(0, 1, ""), now=NOON)
    closed.close()
    assert len(profiles.facts("ann", now=NOON)) == 1


def test_a_locked_file_is_named_and_nothing_is_half_applied(path, monkeypatch):
    monkeypatch.setattr(connect, "WAIT_SECONDS", 0.2)
    profiles = store.ProfileStore(f"sqlite:///{path}")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(connect.StoreError, match="kept it locked.*close that one, retry"):
        profiles.apply("ann", [add("The user naps.")], facts.Source(0, 0, ""), now=NOON)
    writer.execute("ROLLBACK")
    writer.close()
    assert profiles.users() == ()
    assert not profiles.apply("ann", [], facts.Source(0, 0, ""), now=NOON).repeated
    profiles.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.mkdir(), "it cannot be opened; create its folder"),
        (lambda p: p.write_bytes(b"no database " * 500), "the file is no SQLite database"),
    ],
)
def test_what_is_no_database_is_named(path, make, message):
    make(path)
    with pytest.raises(connect.StoreError, match=f"{path}.*{message}"):
        store.ProfileStore(f"sqlite:///{path}")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(connect.StoreError, match="it cannot be opened; create its folder"):
        store.ProfileStore(f"sqlite:///{tmp_path}/none/profiles.db")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://localhost/x", "begins with 'mysql': choose one of sqlite, postgresql"),
        ("profiles.db", "write sqlite:///FILE or postgresql://"),
        ("sqlite://", "names no file, and profiles are to last; write sqlite:///FILE"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_urls_that_cannot_be(url, message):
    with pytest.raises(ValueError, match=message):
        store.ProfileStore(url)


def test_a_server_that_is_down_is_named_without_the_password():
    pytest.importorskip("psycopg")
    with pytest.raises(connect.StoreError, match="the server does not answer; start it") as found:
        store.ProfileStore("postgresql://ann:geheim@127.0.0.1:1/profiles?connect_timeout=2")
    assert "geheim" not in str(found.value)
