"""Whether what one key does tells of others' rows: times with right and wrong guesses, as JSON.

    python tests/serve/oracle.py --times=2000 --runs=3
    python tests/serve/oracle.py --operation=edit --times=500 --runs=3      any of OPERATIONS

Two keys on a server with a large store. One key brings a guess at another key's words: by an import
that is timed or whose read, search or erasure is, in a chat's turn, new or in another's place, in a
request without a user, or in a fact that is written, changed or taken back. A moment before, the
other key has done the very same (of erasures: has stored its words) with words of its own. Half of
the guesses are those words, in random order. p is of a two-sided Mann-Whitney test.
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
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "profile" / "db")]
MINE, THEIRS = "key-of-the-one-who-guesses", "key-of-all-the-others"
KEYS = f"""
[[keys]]
key = "{MINE}"
users = ["mallory-*"]
[[keys]]
key = "{THEIRS}"
users = ["*"]
"""
IMPORTED = ("erase", "import", "read", "search", "changed", "conversations")
SAID = ("turn", "plain", "replaces", "edit", "add", "undo")
OPERATIONS = IMPORTED + SAID
NUMBERS = 10_000  # right and wrong guesses are drawn alike: texts alone make a difference of time
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


def bring(client, data, user, text):
    """Imports a user whose fact and whose session are that text."""
    data["user"] = user
    data["facts"][0]["statement"] = text
    data["facts"][0]["source"]["quote"] = text
    data["journal"][0]["words"] = text
    client.post(f"/v1/profiles/{user}/import", json=data).raise_for_status()


def said(user, text, **more):
    return {"user": user, "max_tokens": 4, "messages": [{"role": "user", "content": text}], **more}


def timed(operation, client, data, user, guess):
    """Seconds that an operation with a guess took, and what it said that a guesser could count."""
    path, chat = f"/v1/profiles/{user}", "/v1/chat/completions"
    if operation in SAID:
        bring(client, data, user, "The user likes green tea.")
    elif operation != "import":
        bring(client, data, user, guess)
    if operation == "undo":
        made = client.post(f"{path}/facts", json={"statement": guess}).json()
        place = {"session": made["session"], "turn": made["turn"]}
    fact = f"{path}/facts/{data['facts'][0]['id']}"
    work = {
        "import": lambda: bring(client, data, user, guess),
        "read": lambda: client.get(path),
        "search": lambda: client.get(path, params={"search": "brick"}),
        "changed": lambda: client.get(f"{path}/history", params={"since": "2020-01-01T00:00:00Z"}),
        "conversations": lambda: client.get(f"{path}/sessions"),
        "erase": lambda: client.delete(path),
        "turn": lambda: client.post(chat, json=said(user, guess)),
        "plain": lambda: client.post(chat, json=said(None, guess)),
        "replaces": lambda: client.post(chat, json=said(user, guess, session=0, replaces=0)),
        "edit": lambda: client.patch(fact, json={"statement": guess}),
        "add": lambda: client.post(f"{path}/facts", json={"statement": guess}),
        "undo": lambda: client.post(f"{path}/undo", json=place),
    }[operation]
    began = time.perf_counter()
    answer = work()
    took = time.perf_counter() - began
    assert answer is None or answer.status_code == 200, answer.text
    return took, answer.text.replace(user, "USER") if operation == "erase" else ""


def run(client, other, data, count, seed, operation):
    rng = random.Random(seed)
    unused = iter(rng.sample(range(NUMBERS), NUMBERS))
    kinds = [n % 2 == 0 for n in range(count)]
    rng.shuffle(kinds)
    times, replies = {True: [], False: []}, set()
    before = "import" if operation == "erase" else operation
    for number, right in enumerate(kinds):
        theirs = next(unused)
        timed(before, other, data, f"victim-{seed}-{number:05d}", SECRET.format(theirs))
        guess = SECRET.format(theirs if right else next(unused))
        seconds, text = timed(operation, client, data, f"mallory-{seed}-{number:05d}", guess)
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
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=20)
    opts = parser.parse_args(argv)
    load = importlib.import_module("erase_load")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        profiles = load.store.ProfileStore(f"sqlite:///{folder}/p.db")
        load.fill(profiles, folder / "p.db", opts.megabytes)
        load.turn(profiles, "talker", 0)
        data = profiles.export("talker")
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
                    run(mine, theirs, data, opts.times, seed + 1, opts.operation)
                    for seed in range(opts.runs)
                ]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:]), indent=2) + "\n")
