"""What an erasure does depends on the erased user alone; the file is cleaned beside its users."""

import datetime
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from pa_jax.english import memory
from pa_jax.profile import facts, store
from pa_jax.profile.db import cleaning

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
WRITER = """
import os, sys
from pa_jax.profile import store
sys.path.insert(0, sys.argv[1])
import erase_load
profiles = store.ProfileStore(sys.argv[2])
for number in range(10**9):
    erase_load.turn(profiles, sys.argv[3], number)
    os.write(1, b"%d\\n" % number)
"""
ERASER = """
import os, sys
from pa_jax.profile import store
from pa_jax.profile.db import cleaning
profiles = store.ProfileStore(sys.argv[1])
whole = cleaning._zero
def killed(*where):
    whole(*where)
    os._exit(9)
cleaning._zero = killed
profiles.erase("ann")
"""


def apply(profiles, user, text, turn=0):
    op = facts.FactOp("add", text, "food/spice_level", None, "neutral", "stated", 0.9)
    profiles.apply(user, [op], facts.Source(0, turn, text), now=NOON)


def bytes_of(path):
    files = [path, *(pathlib.Path(f"{path}{end}") for end in ("-wal", "-shm", "-journal"))]
    return b"".join(file.read_bytes() for file in files if file.exists())


def run(code, *args):
    return subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "profiles.db"


@pytest.fixture
def profiles(path):
    opened = store.ProfileStore(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def load():
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import erase_load

    yield erase_load
    sys.path.pop(0)


def crowd(profiles, load, turns):
    """Turns of three users whose rows grow beside each other, so that pages are rebalanced."""
    for number in range(turns):
        for user in ("ann", "bob", "cyd"):
            load.turn(profiles, user, number)
    return [f"ann{number:04d}stamps" for number in range(turns)]


def dirty(path):
    with path.open("rb") as file:
        size, used = cleaning._page_sizes(file.fileno())
        return cleaning._dirty(file.fileno(), size, used, 0)


def test_an_answer_and_its_traces_are_the_same_whatever_others_hold(path, profiles):
    """A guess that is right must not have the file written anew: that could be timed."""
    secret = "The user hides gold under the third oak."
    apply(profiles, "bob", secret)
    for number in range(40):
        apply(profiles, "cyd", f"The user number {number} " + "x" * 900, number)
    profiles.erase("cyd")
    seen = []
    for guess in (secret, "The user hides gold under the tall elm."):
        apply(profiles, "mallory", guess)
        receipt = profiles.erase("mallory")
        with sqlite3.connect(path) as plain:
            free = plain.execute("PRAGMA freelist_count").fetchone()
        plain.close()
        seen.append((receipt, free))
    assert seen[0] == seen[1] and seen[0][1] != (0,)


def test_free_space_is_zeroed_and_nothing_else(path, profiles, load):
    marks = crowd(profiles, load, 60)
    kept = {user: profiles.export(user) for user in ("bob", "cyd")}
    assert load.left(path, marks) == 60
    profiles.erase("ann")
    assert load.left(path, marks) == 0
    assert dirty(path) == []
    assert {user: profiles.export(user) for user in kept} == kept
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("PRAGMA user_version").fetchone() == (0,)
    plain.close()


def planted(path, mark):
    """Puts a mark where pages hold nothing, as copies that rebalancing left; how many there are."""
    with path.open("r+b") as file:
        size, used = cleaning._page_sizes(file.fileno())
        data = bytearray(file.read())
        for first in range(size, len(data), size):
            for begin, end in cleaning._gaps(memoryview(data)[first : first + size], used)[0][:1]:
                if end - begin >= len(mark):
                    data[first + begin : first + begin + len(mark)] = mark
        file.seek(0)
        file.write(data)
    return bytes(data).count(mark)


def test_copies_that_rebalancing_left_go_with_the_next_erasure(path, profiles, load):
    crowd(profiles, load, 20)
    kept = profiles.export("bob")
    profiles.close()
    assert planted(path, b"left behind") > 10
    again = store.ProfileStore(f"sqlite:///{path}")
    again.erase("ann")
    assert b"left behind" not in bytes_of(path)
    assert again.export("bob") == kept
    again.close()


def test_a_pass_that_was_killed_is_finished_at_the_next_start(path, profiles, load):
    crowd(profiles, load, 20)
    profiles.close()
    planted(path, b"left behind")
    with run(ERASER, f"sqlite:///{path}") as killed:
        assert killed.wait(60) == 9
    assert b"left behind" in bytes_of(path)
    again = store.ProfileStore(f"sqlite:///{path}")
    assert again.users() == ("bob", "cyd")
    assert again._cleaner.wait(20.0)
    assert b"left behind" not in bytes_of(path)
    again.close()


@pytest.mark.parametrize("erasures", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_others_write_while_the_file_is_cleaned_and_lose_nothing(path, profiles, load, erasures):
    url, here = f"sqlite:///{path}", str(pathlib.Path(__file__).parent)
    crowd(profiles, load, 40)
    writers = [run(WRITER, here, url, f"writer{i}") for i in range(2)]
    for writer in writers:
        writer.stdout.readline()
    for number in range(erasures):
        load.turn(profiles, "ann", 1000 + number)
        profiles.erase("ann")
    for i, writer in enumerate(writers):
        writer.kill()
        with writer:
            acknowledged = writer.stdout.read().split(b"\n")[:-1]
        kept = profiles.journal.turns_of(f"writer{i}")
        assert len(acknowledged) > 10
        assert [turn.answer is not None for turn in kept][: len(acknowledged)] == [True] * len(
            acknowledged
        )
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    plain.close()
    assert load.left(path, [f"ann{number:04d}stamps" for number in range(1100)]) == 0


def test_no_statement_of_an_erased_user_stays_in_memory(profiles):
    apply(profiles, "ann", "The user hides silver under the plum.")
    assert memory.size()
    profiles.erase("ann")
    assert memory.size() == 0


def test_a_store_that_may_only_be_read_opens_with_a_pass_to_be_done(path, profiles, load):
    crowd(profiles, load, 5)
    profiles.close()
    planted(path, b"left behind")
    with run(ERASER, f"sqlite:///{path}") as killed:
        assert killed.wait(60) == 9
    closed = store.ProfileStore(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert closed.users() == ("bob", "cyd")
    closed.close()


def test_a_file_that_vacuums_itself_keeps_its_map_of_pages(path):
    """Some builds of SQLite make such files; pages of their map begin as those of b-trees do."""
    with sqlite3.connect(path) as plain:
        plain.execute("PRAGMA auto_vacuum = INCREMENTAL")
        for table in ("one", "two"):
            plain.execute(f"CREATE TABLE {table} (x)")
        while plain.execute("PRAGMA page_count").fetchone()[0] < 821:  # then comes the second map
            plain.execute("INSERT INTO one VALUES (?)", ("x" * 900,))
        plain.executemany("INSERT INTO two VALUES (?)", [("x" * 900,)] * 50)
    plain.close()
    profiles = store.ProfileStore(f"sqlite:///{path}")
    apply(profiles, "ann", "The user likes tea.")
    profiles.erase("ann")
    assert b"likes tea" not in bytes_of(path)
    profiles.close()
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    plain.close()
