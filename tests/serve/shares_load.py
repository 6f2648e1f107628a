"""What one key's crowd costs another key; prints what was measured as JSON.

    python tests/serve/shares_load.py --clients=120 --requests=5 --rounds=6

Key B asks, one request after the other, of an idle server and while 120 clients of key A ask
without a pause; each round alternates between the two, so that what else runs on the machine
reaches both. `ratio` is of B's 95th percentiles.
"""

import argparse
import asyncio
import collections
import importlib
import json
import pathlib
import signal
import sys
import tempfile
import time

import httpx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
oracle = importlib.import_module("oracle")
load = importlib.import_module("load")

CROWD, OTHER = "key-of-a-hundred-clients", "key-of-one-client-alone"
KEYS = f'[[keys]]\nkey = "{CROWD}"\nusers = ["a-*"]\n[[keys]]\nkey = "{OTHER}"\nusers = ["b-*"]\n'


def body(name, tokens, turns):
    words = {"messages": [{"role": "user", "content": f"What rhymes with {name}?"}]}
    return words | {"max_tokens": tokens} | ({"user": name} if turns else {})


async def crowd(http, number, opts, statuses):
    """A client that comes back as soon as it may, or at once where it was refused."""
    headers = {"Authorization": f"Bearer {CROWD}"}
    while True:
        made = body(f"a-{number}", opts.tokens, number % 2)
        answer = await http.post("/v1/chat/completions", json=made, headers=headers)
        statuses[answer.status_code] += 1
        if answer.status_code != 200:
            await asyncio.sleep(opts.pause)


async def asked(http, opts, seconds, statuses):
    """B's requests, a turn of a user's and a plain one by turns."""
    for number in range(opts.requests):
        made, began = body("b-1", opts.tokens, number % 2), time.monotonic()
        headers = {"Authorization": f"Bearer {OTHER}"}
        answer = await http.post("/v1/chat/completions", json=made, headers=headers)
        seconds.append(time.monotonic() - began)
        statuses[answer.status_code] += 1
        assert answer.status_code in (200, 429), answer.text


async def measure(url, opts):
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    idle, busy = [], []
    of_idle, of_busy, of_crowd = (collections.Counter() for _ in range(3))
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as http:
        await asked(http, opts, [], collections.Counter())  # warm
        for _ in range(opts.rounds):
            await asked(http, opts, idle, of_idle)
            clients = [
                asyncio.create_task(crowd(http, number, opts, of_crowd))
                for number in range(opts.clients)
            ]
            await asyncio.sleep(opts.settle)
            await asked(http, opts, busy, of_busy)
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
            await asyncio.sleep(opts.settle)
    ratio = load.quantiles(busy)["p95"] / load.quantiles(idle)["p95"]
    return {
        "idle": load.quantiles(idle) | {"statuses": of_idle},
        "busy": load.quantiles(busy) | {"statuses": of_busy},
        "crowd": of_crowd,
        "ratio": round(ratio, 2),
    }


def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--clients", type=int, default=120)
    parser.add_argument("--requests", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--pause", type=float, default=1.0, help="of a client that was refused")
    parser.add_argument("--flags", default="", help="further --config flags, blanks between")
    parser.add_argument("--settle", type=float, default=2.0)
    opts = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "keys.toml").write_text(KEYS)
        process, url = oracle.started(folder, opts.preset, opts.flags.split())
        try:
            return asyncio.run(measure(url, opts))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:]), indent=2) + "\n")
