"""The server process is killed, or told to end, in the middle of streams."""

import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import httpx
import pytest

from pa_jax.profile import store

WORKER = pathlib.Path(__file__).with_name("killed.py")
USERS = ("ann", "bob", "cyd")
TURNS = 3  # that each tries before a kill
DRAIN_SECONDS = 10.0  # of configs/serve.py
EVENTS = 300  # of all streams, after which one comes at the latest


class Process:
    """The server as a process of its own."""

    def __init__(self, root, folder, cache, *how):
        place = folder / "port"
        place.unlink(missing_ok=True)
        command = [sys.executable, str(WORKER), f"sqlite:///{folder}/p.db", str(place), str(cache)]
        command += how
        env = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu"}
        self.process = subprocess.Popen(command, cwd=root, env=env | {"HOME": os.environ["HOME"]})
        while not (place.exists() and place.read_text()):
            assert self.process.poll() is None
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{place.read_text()}"

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(60)


def streamed(url, user, words, seen):
    """Asks, and notes each event as it comes; a connection that breaks is what is tested."""
    body = {"messages": [{"role": "user", "content": words}], "user": user, "stream": True}
    try:
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    seen.append(line[6:])
    except httpx.TransportError:
        pass


def learnt(seen):
    """Statements that the end of a stream acknowledged."""
    events = [json.loads(line) for line in seen if line.startswith("{")]
    made = [event["pa_jax"] for event in events if "updates" in event.get("pa_jax", {})]
    return [u["fact"]["statement"] for turn in made for u in turn["updates"]]


def killed_in_streams(root, folder, cache, kills):
    draw = random.Random(kills)
    acknowledged = {user: [] for user in USERS}
    asked = {user: [] for user in USERS}
    cut = 0
    for number in range(kills):
        server = Process(root, folder, cache)
        seen = {user: [] for user in USERS}

        def talk(user, server=server, seen=seen, number=number):
            for k in range(TURNS):
                asked[user].append(f"I like {user}x{number}x{k}")
                streamed(server.url, user, asked[user][-1], seen[user])

        threads = [threading.Thread(target=talk, args=(user,)) for user in USERS]
        for thread in threads:
            thread.start()
        enough, until = draw.randint(1, EVENTS), time.monotonic() + 30
        while sum(map(len, seen.values())) < enough and time.monotonic() < until:
            time.sleep(0.001)
        server.end(signal.SIGKILL)
        for thread in threads:
            thread.join()
        for user in USERS:
            acknowledged[user] += learnt(seen[user])
            cut += bool(seen[user]) and seen[user][-1] != "[DONE]"
    return acknowledged, asked, cut


def finished(root, folder, cache):
    """Each user comes back once more, which finishes what was cut off."""
    server = Process(root, folder, cache)
    for user in USERS:
        seen = []
        streamed(server.url, user, "Hello again", seen)
        assert seen[-1] == "[DONE]"
    assert server.end(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 50])
def test_no_acknowledged_fact_is_lost_or_doubled(root, tmp_path, kills):
    cache = tmp_path / "xla"
    acknowledged, asked, cut = killed_in_streams(root, tmp_path, cache, kills)
    finished(root, tmp_path, cache)
    profiles = store.ProfileStore(f"sqlite:///{tmp_path}/p.db")
    assert cut >= kills and sum(map(len, acknowledged.values())) >= kills // 2
    for user in USERS:
        said = [turn.words for turn in profiles.journal.turns_of(user)]
        history = profiles.history(user)  # a fact that was crowded out has two versions
        kept = {record.fact.id: record.fact.statement for record in history}.values()
        assert set(acknowledged[user]) <= set(kept)
        words = [words for words in said if words != "Hello again"]
        assert len(set(words)) == len(words) and set(words) <= set(asked[user])
        assert sorted(kept) == sorted(f"The user likes {w.split()[-1]}." for w in words)
        assert {turn.stage for turn in profiles.journal.turns_of(user)} == {"replied"}
    profiles.close()
    with sqlite3.connect(f"{tmp_path}/p.db") as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    plain.close()


@pytest.mark.slow
def test_told_to_end_it_lets_streams_end(root, tmp_path):
    server = Process(root, tmp_path, tmp_path / "xla")
    seen = []
    thread = threading.Thread(target=streamed, args=(server.url, "ann", "I like tea", seen))
    thread.start()
    while not seen:
        time.sleep(0.001)
    assert server.end(signal.SIGTERM) == 0
    thread.join()
    assert seen[-1] == "[DONE]" and learnt(seen) == ["The user likes tea."]


@pytest.mark.slow
def test_told_to_end_it_ends_in_time_whatever_its_threads_do(root, tmp_path):
    """A turn that takes minutes to learn from, and one that waits behind it; both go on later."""
    server = Process(root, tmp_path, tmp_path / "xla", "300")
    seen = {user: [] for user in USERS}
    threads = [
        threading.Thread(target=streamed, args=(server.url, user, "I like tea", seen[user]))
        for user in USERS
    ]
    for thread in threads:
        thread.start()
    while not all(seen.values()):
        time.sleep(0.01)
    began = time.monotonic()
    assert server.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < DRAIN_SECONDS + 2
    for thread in threads:
        thread.join()
    finished(root, tmp_path, tmp_path / "xla")
    profiles = store.ProfileStore(f"sqlite:///{tmp_path}/p.db")
    for user in USERS:
        assert [turn.stage for turn in profiles.journal.turns_of(user)] == ["replied"] * 2
    profiles.close()
