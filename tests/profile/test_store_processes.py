"""Killed at random points, and shared by processes and threads: the facts of a serial run."""

import concurrent.futures
import datetime
import importlib.util
import json
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from pa_jax.profile import facts, store

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
WORKER = pathlib.Path(__file__).with_name("store_worker.py")

_spec = importlib.util.spec_from_file_location("store_worker", WORKER)
worker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worker)


def run(root, *arguments):
    command = [sys.executable, str(WORKER), *map(str, arguments)]
    env = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def serial(folder, sessions, turns):
    profiles = store.ProfileStore(f"sqlite:///{folder}/serial.db")
    for number in range(turns):
        for session in range(sessions):
            worker.tell(profiles, session, number, NOON + number * SECOND)
    data = profiles.export(worker.USER)
    profiles.close()
    return data


def check_file(url):
    if url.startswith("sqlite:///"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert plain.execute("PRAGMA foreign_key_check").fetchall() == []
        plain.close()


def crash(root, tmp_path, url, kills, turns):
    seen = run(root, url, "crash", kills, turns)
    assert seen["lost"] == 0
    assert seen["killed"] == kills
    profiles = store.ProfileStore(url)
    data = profiles.export(worker.USER)
    profiles.close()
    assert data == serial(tmp_path, 1, turns)  # nothing lost, nothing twice, versions included
    check_file(url)
    return seen


def without_times(data):
    times = {"valid_from", "valid_to", "recorded_at", "known_from", "known_to", "confidence"}
    times |= {"applied_at", "first_seen", "last_seen", "promoted_at"}
    rows = [
        json.dumps({key: value for key, value in row.items() if key not in times}, sort_keys=True)
        for part in ("facts", "turns", "labels")
        for row in data[part]
    ]
    return sorted(rows)


def shared(root, tmp_path, url, processes, turns):
    assert run(root, url, "share", processes, turns) == {"failed": 0}
    profiles = store.ProfileStore(url)
    data = profiles.export(worker.USER)
    profiles.close()
    assert without_times(data) == without_times(serial(tmp_path, processes, turns))
    check_file(url)


def test_killed_at_random_points_nothing_is_lost_or_applied_twice(root, tmp_path, url):
    crash(root, tmp_path, url, kills=12, turns=150)


@pytest.mark.slow
def test_killed_at_two_hundred_points(root, tmp_path, url):
    crash(root, tmp_path, url, kills=200, turns=3000)


def test_processes_on_one_database_give_the_facts_of_a_serial_run(root, tmp_path, url):
    shared(root, tmp_path, url, processes=4, turns=60)


@pytest.mark.slow
def test_eight_processes_of_five_hundred_turns(root, tmp_path, url):
    shared(root, tmp_path, url, processes=8, turns=500)


def test_sixty_four_threads_on_one_store(profiles):
    def session(number):
        for turn in range(4):
            words = f"The user goes for mark{number:02d} {turn}."
            op = facts.FactOp("add", words, "other/x", None, "neutral", "stated", 0.5)
            source = facts.Source(0, turn, f"mark{number:02d}")
            profiles.apply(f"user{number:02d}", [op], source, now=NOON + turn * SECOND)
        return json.dumps(profiles.export(f"user{number:02d}"))

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        texts = list(pool.map(session, range(64)))
    for number, text in enumerate(texts):
        marks = {part[:2] for part in text.split("mark")[1:]}
        assert marks == {f"{number:02d}"}
        assert len(profiles.facts(f"user{number:02d}", now=NOON + 9 * SECOND)) == 4


def test_a_turn_sent_by_two_threads_at_once_is_applied_once(profiles):
    op = facts.FactOp("add", "The user naps.", "other/x", None, "neutral", "inferred", 0.5)

    def send(_):
        return profiles.apply("ann", [op], facts.Source(0, 0, ""), now=NOON).repeated

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(8))) == [False] + [True] * 7
    assert [fact.confidence for fact in profiles.facts("ann", now=NOON)] == [0.5]
