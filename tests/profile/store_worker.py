"""Applies a fixed stream of turns in processes of its own, and kills them in the middle.

    store_worker.py URL crash KILLS TURNS    one process after the other, each killed at random
    store_worker.py URL share PROCESSES TURNS    all at once, each with its own session of one user

Prints what the parent saw as JSON. Not a test; run by test_store_processes.py, in a process that
has not loaded JAX and so may fork.
"""

import datetime
import json
import os
import random
import signal
import sys
import time

from pa_jax.profile import facts, store, taxonomy

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
USER = "ann"
COLOURS = ("red", "green", "yellow")
# One a session: what sessions say of different things does not touch.
THINGS = ("anchor", "badger", "candle", "drum", "easel", "falcon", "globe", "hammock")


def stream(session, number):
    """The operations of a turn: a value of a slot, sometimes one of `other`, sometimes none."""
    slots = taxonomy.Taxonomy.load().subcategories
    slot = slots[session * 40 + number // 3 % 40]  # no two of eight sessions share one
    value = slot.values[number % 3]
    ops = [
        facts.FactOp(
            facts.ADD,
            f"The user goes for {value} {session}.",
            slot.path,
            None,
            "positive",
            "stated",
            0.5,
        )  # fmt: skip
    ]
    if number % 5 == 0:
        words = f"The user owns a {COLOURS[number % 15 // 5]} {THINGS[session]}."
        ops.append(facts.FactOp("add", words, "other/thing", None, "neutral", "inferred", 0.4))
    return ops if number % 7 else []


def tell(profiles, session, number, now):
    source = facts.Source(session, number, f"words {session} {number}")
    return profiles.apply(USER, stream(session, number), source, now=now)


def crash(url, kills, turns):
    """Each child goes on after the last turn that was acknowledged; all but the last are killed."""
    profiles = store.ProfileStore(url)  # opened before the forks on purpose
    profiles.facts(USER, now=NOON)
    rng = random.Random(7)
    acknowledged, repeated, lost, killed = -1, 0, 0, 0
    while acknowledged < turns - 1:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            for number in range(acknowledged + 1, turns):
                done = tell(profiles, 0, number, NOON + number * datetime.timedelta(seconds=1))
                os.write(writing, f"{number} {int(done.repeated)}\n".encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            seen = []
            if killed < kills:  # by turns, not by the clock: a fast store has turns left for all
                seen += [lines.readline() for _ in range(rng.randint(1, turns // kills - 1))]
                time.sleep(rng.random() * 0.002)
                os.kill(child, signal.SIGKILL)
                killed += 1
            seen += lines.readlines()
        os.waitpid(child, 0)
        for line in filter(lambda line: line.endswith("\n"), seen):
            acknowledged = int(line.split()[0])
            repeated += int(line.split()[1])
        if killed <= kills:
            known = {turn["turn"] for turn in profiles.export(USER)["turns"]}
            lost += len(set(range(acknowledged + 1)) - known)
    return {"killed": killed, "repeated": repeated, "lost": lost}


def share(url, processes, turns):
    children = []
    for session in range(processes):
        child = os.fork()
        if child == 0:
            profiles = store.ProfileStore(url)
            for number in range(turns):
                tell(profiles, session, number, datetime.datetime.now(datetime.UTC))
            os._exit(0)
        children.append(child)
    return {"failed": sum(os.waitpid(child, 0)[1] != 0 for child in children)}


if __name__ == "__main__":
    url, task, count, turns = sys.argv[1:]
    run = {"crash": crash, "share": share}[task]
    sys.stdout.write(json.dumps(run(url, int(count), int(turns))))
