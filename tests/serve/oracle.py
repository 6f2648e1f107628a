"""Whether what one key does tells of others' rows: times with right and wrong guesses, as JSON.

    python tests/serve/oracle.py --erases=2000 --runs=3
    python tests/serve/oracle.py --operation=edit --erases=500 --runs=3

    python tests/serve/oracle.py --operation=import --erases=500 --runs=3      also read, turn

Two keys on a server with a large store. One key's users bring a guess at another key's fact, by an
import that is timed or whose read or erasure is, in a chat's turn, or in the place of a fact right
after the other key's user did; half of the guesses are right, in random order. p is of a two-sided
Mann-Whitney test.
"""

import argparse
import importlib
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import httpx
import numpy as np
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "profile")]
MINE, THEIRS = "key-of-the-one-who-guesses", "key-of-all-the-others"
KEYS = f"""
[[keys]]
key = "{MINE}"
users = ["mallory-*"]
[[keys]]
key = "{THEIRS}"
users = ["*"]
"""
OPERATIONS = ("erase", "edit", "import", "read", "turn")
SECRET = "The user keeps the spare key behind brick {:04d}."


def started(folder, preset="tiny", flags=()):
    command = [
        *(sys.executable, "-m", "pa_jax.main", f"--config=configs/serve.py:{preset}"),
        *("--config.port=0", f"--config.store=sqlite:///{folder}/p.db"),
        *(f"--workdir={folder}/run", f"--config.key_file={folder}/keys.toml", *flags),
    ]
    log = folder / "log"
    process = subprocess.Popen(command, cwd=ROOT, stderr=log.open("w"))
    while not (found := re.search(r"serving \S+ at (\S+)", log.read_text())):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        time.sleep(0.2)
    return process, found[1]


def timed(operation, client, data, user, guess):
    """Seconds that an operation with a guess took, and what it said of it."""
    data["user"] = user
    data["facts"][0]["statement"] = guess
    path = f"/v1/profiles/{user}"

    def imported():
        return client.post(f"{path}/import", json=data)

    if operation in ("read", "erase"):
        imported().raise_for_status()
    said = {"user": user, "max_tokens": 4, "messages": [{"role": "user", "content": guess}]}
    work = {
        "import": imported,
        "read": lambda: client.get(path),
        "erase": lambda: client.delete(path),
        "turn": lambda: client.post("/v1/chat/completions", json=said),
    }[operation]
    began = time.perf_counter()
    answer = work()
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return took, answer.text.replace(user, "USER") if operation == "erase" else ""


def edited(client, data, user, text):
    """Seconds that an edit of a new user's one fact took, and what it said."""
    data["user"] = user
    path, fact = f"/v1/profiles/{user}", data["facts"][0]["id"]
    client.post(f"{path}/import", json=data).raise_for_status()
    began = time.perf_counter()
    answer = client.patch(f"{path}/facts/{fact}", json={"statement": text})
    return time.perf_counter() - began, f"{answer.status_code}"


def guessed(client, other, data, number, right):
    """An edit to what another key's user has just said, or to something else."""
    data["facts"][0]["statement"] = "The user likes green tea."
    _, said = edited(other, data, f"victim-{number:05d}", SECRET.format(number))
    assert said == "200"
    text = SECRET.format(number if right else 5000 + number)
    return edited(client, data, f"mallory-{number:05d}", text)


def run(client, other, data, count, seed, operation):
    rng = random.Random(seed)
    kinds = [n % 2 == 0 for n in range(count)]
    rng.shuffle(kinds)
    times, replies = {True: [], False: []}, set()
    for number, right in enumerate(kinds):
        if operation == "edit":
            seconds, text = guessed(client, other, data, seed * count + number, right)
        else:
            guess = SECRET.format(rng.randrange(500) + (0 if right else 5000))
            name = f"mallory-{seed}-{number:05d}"
            seconds, text = timed(operation, client, data, name, guess)
        times[right].append(seconds)
        replies.add(text)
    found = stats.mannwhitneyu(times[True], times[False])
    return {
        "p": round(float(found.pvalue), 4),
        "median_ms_right": round(1000 * float(np.median(times[True])), 3),
        "median_ms_wrong": round(1000 * float(np.median(times[False])), 3),
        "replies": len(replies),
    }


def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--operation", choices=OPERATIONS, default="erase")
    parser.add_argument("--erases", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=20)
    opts = parser.parse_args(argv)
    load = importlib.import_module("erase_load")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        profiles = load.store.ProfileStore(f"sqlite:///{folder}/p.db")
        load.fill(profiles, folder / "p.db", opts.megabytes)
        for number in range(500):
            source = load.facts.Source(0, number, "q")
            profiles.apply("victim", [load.add(SECRET.format(number))], source, now=load.NOON)
        data = profiles.export("seed")
        profiles.close()
        (folder / "keys.toml").write_text(KEYS)
        process, url = started(folder)
        try:
            mine, theirs = (
                httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
                for key in (MINE, THEIRS)
            )
            with mine, theirs:
                run(mine, theirs, data, 50, 0, opts.operation)  # warm
                return [
                    run(mine, theirs, data, opts.erases, seed + 1, opts.operation)
                    for seed in range(opts.runs)
                ]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:]), indent=2) + "\n")
