"""Erasing one user of a large file while others talk; prints what was measured as JSON.

    python tests/profile/db/erase_load.py --megabytes=250 --facts=200

The file is filled by imports, the user and those around it by turns, whose rows grow and so leave
copies behind. Others begin and finish turns all the while; what the erasure makes them wait is
the longest such turn during it, beside the longest before.
"""

import argparse
import datetime
import json
import pathlib
import sys
import tempfile
import threading
import time

from pa_jax.profile import facts, store

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
BULK = 400  # facts of a user who fills the file


def statement(mark, number):
    return f"The user {mark}-{number:04d} collects {mark}{number:04d}stamps" + " of far lands" * 8


def add(text):
    return facts.FactOp("add", text, "food/spice_level", None, "neutral", "stated", 0.9)


def fill(profiles, path, megabytes):
    """Imports users until the file is that large."""
    profiles.apply("seed", [add(statement("seed", 0))], facts.Source(0, 0, "s"), now=NOON)
    data = profiles.export("seed")
    number = 0
    while path.stat().st_size < megabytes << 20:
        user = f"bulk{number}"
        rows = []
        turns = []
        for place in range(BULK):
            fact = data["facts"][0] | {
                "id": f"0.{place}.0",
                "statement": statement(user, place),
                "source": {"session": 0, "turn": place, "quote": "q" * 200},
                "by": {"session": 0, "turn": place},
            }
            rows.append(fact)
            turns.append(data["turns"][0] | {"turn": place})
        profiles.import_(data | {"user": user, "facts": rows, "turns": turns})
        number += 1


def turn(profiles, user, number, mark=None, now=NOON):
    """One turn of a session, stage by stage."""
    book, text = profiles.journal, statement(mark or user, number)
    held = book.begin(user, text, now=now, session=0)
    held = book.inferred(held, snippet=text, ops=[add(text)], dropped=[text], now=now)
    profiles.apply(user, held.ops, held.source, now=now)
    held = book.applied(held, now=now)
    held = book.decided(held, needs=[], asked=None, question=None, why=text, now=now)
    book.replied(held, f"{text} indeed", now=now)


def left(path, marks):
    """The marks of which a file still has a byte."""
    files = [pathlib.Path(f"{path}{end}") for end in ("", "-wal", "-shm", "-journal")]
    data = b"".join(file.read_bytes() for file in files if file.exists())
    return sum(mark.encode() in data for mark in marks)


class Others(threading.Thread):
    """A user who talks all the while, and how long the turns take."""

    def __init__(self, url):
        super().__init__()
        self.profiles, self.seconds, self.ends = store.ProfileStore(url), [], threading.Event()

    def run(self):
        number = 0
        while not self.ends.is_set():
            began = time.monotonic()
            turn(self.profiles, "other", number)
            self.seconds.append((began, time.monotonic() - began))
            number += 1
            time.sleep(0.002)
        self.profiles.close()

    def longest(self, since, until):
        spans = [took for began, took in self.seconds if began + took >= since and began <= until]
        return max(spans, default=0.0)


def measure(folder, megabytes, count):
    path = folder / "profiles.db"
    url = f"sqlite:///{path}"
    profiles = store.ProfileStore(url)
    fill(profiles, path, megabytes)
    for number in range(count):
        for user in ("ann", "bob", "cyd"):
            turn(profiles, user, number)
    marks = [f"ann{number:04d}stamps" for number in range(count)]
    there = left(path, marks)
    others = Others(url)
    others.start()
    begun = time.monotonic()
    time.sleep(3)
    began = time.monotonic()
    profiles.erase("ann", wait=False)
    answered = time.monotonic()
    cleaned = profiles._cleaner.wait(120)
    ended = time.monotonic()
    others.ends.set()
    others.join()
    found = {
        "megabytes": path.stat().st_size >> 20,
        "marks_before": there,
        "erase_seconds": round(answered - began, 4),
        "background_seconds": round(ended - answered, 3) if cleaned else None,
        "marks_left": left(path, marks),
        "longest_turn_before": round(others.longest(begun, began), 4),
        "longest_turn_during": round(others.longest(began, ended), 4),
        "turns_during": sum(began < at < ended for at, _ in others.seconds),
    }
    profiles.close()
    return found


def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=250)
    parser.add_argument("--facts", type=int, default=200)
    opts = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        return measure(pathlib.Path(folder), opts.megabytes, opts.facts)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:]), indent=2) + "\n")
