"""Acknowledged means on disk: what is left when the power goes, and when the disk is full."""

import datetime
import os
import re
import shutil
import subprocess
import sys

import pytest

from pa_jax.profile import facts, store
from pa_jax.profile.db import connect

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
TURNS = 12
TELLS = """
import datetime, os, sys
from pa_jax.profile import facts, store
noon = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
profiles = store.ProfileStore(sys.argv[1])
os.write(1, b"begins\\n")
for n in range(int(sys.argv[2])):
    turn = profiles.journal.begin("ann", f"I like tea {n}", now=noon, session=0)
    how = ("other/tea", None, "positive", "stated", 0.9)
    op = facts.FactOp("add", f"The user likes tea {n}.", *how)
    profiles.apply("ann", [op], turn.source, now=noon)
    os.write(1, b"told %d\\n" % n)
os._exit(0)
"""
CALL = re.compile(r"(pwrite64|fdatasync|fsync|write)\(\d+<([^>]*)>(.*)")


def synced(folder, url):
    """Bytes of the log that had been synced at each acknowledgement, and after each sync."""
    trace = folder / "trace"
    command = ["strace", "-f", "-y", "-s", "32", "-o", str(trace)]
    command += ["-e", "trace=pwrite64,fdatasync,fsync,write"]
    command += [sys.executable, "-c", TELLS, url, str(TURNS)]
    done = subprocess.run(command, capture_output=True, timeout=300)
    if done.returncode:
        pytest.skip(f"strace cannot trace here: {done.stderr.decode()[-200:]}")
    written = safe = 0
    found, boundaries = [], {0}
    for line in trace.read_text().splitlines():
        call = CALL.search(line)
        if call is None:
            continue
        name, path, rest = call.groups()
        if path.endswith("-wal") and name == "pwrite64":
            size, offset = (int(number) for number in re.findall(r", (\d+)", rest)[-2:])
            written = max(written, offset + size)
        elif path.endswith("-wal"):
            safe = written
            boundaries.add(safe)
        elif name == "write" and '"told ' in rest:
            found.append(safe)
    return found, sorted(boundaries)


def held_after_cut(folder, size):
    """The turns that are there when only so many bytes of the log were."""
    copy = folder / "cut"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for end in ("", "-wal"):
        shutil.copy(folder / f"p.db{end}", copy / f"p.db{end}")
    os.truncate(copy / "p.db-wal", size)
    profiles = store.ProfileStore(f"sqlite:///{copy}/p.db")
    turns = {turn.turn for turn in profiles.journal.turns_of("ann")}
    known = {record.fact.source.turn for record in profiles.history("ann")}
    profiles.close()
    return turns & known


@pytest.mark.parametrize("how", ["", "?synchronous=normal"])
def test_the_power_goes_at_every_commit(tmp_path, how):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    told, boundaries = synced(tmp_path, f"sqlite:///{tmp_path}/p.db{how}")
    assert len(told) == TURNS
    lost = 0
    for size in boundaries:
        acknowledged = {number for number, safe in enumerate(told) if safe <= size}
        lost += not acknowledged <= held_after_cut(tmp_path, size)
    assert how or len(boundaries) > TURNS
    assert lost == 0 if how == "" else lost > 0  # the faster choice is the one that may lose


def test_other_levels_are_refused():
    with pytest.raises(ValueError, match="synchronous='off': choose one of full, normal"):
        store.ProfileStore("sqlite:///p.db?synchronous=off")


def test_tables_that_others_made_are_named(tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "p.db") as plain:
        plain.execute("CREATE TABLE profile_users (x)")
    plain.close()
    with pytest.raises(connect.StoreError, match="that no pa_jax made; name another database"):
        store.ProfileStore(f"sqlite:///{tmp_path}/p.db")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_erasing_on_a_full_disk_works_or_says_what_it_needs(small_disk):
    path, filler = small_disk / "p.db", small_disk / "filler"
    filler.write_bytes(b"x" * 400_000)
    profiles = store.ProfileStore(f"sqlite:///{path}")
    number = 0
    with pytest.raises(connect.NoRoom, match="no room left on its disk; free some"):
        while True:
            text = f"The user collects {number} " + "x" * 900
            op = facts.FactOp("add", text, "other/x", None, "neutral", "stated", 0.9)
            user = f"user{number % 20}"
            profiles.apply(user, [op], facts.Source(0, number, text), now=NOON)
            number += 1
    with pytest.raises(connect.NoRoom, match="nothing was erased.*then erase again"):
        profiles.erase("user3")
    assert "user3" in profiles.users()
    filler.unlink()
    assert profiles.erase("user3").facts > 0
    assert "user3" not in profiles.users() and b"user3" not in path.read_bytes()
    profiles.close()
