"""Many clients at once against a server of its own; prints what was measured as JSON.

    python tests/serve/load.py --preset=smollm2 --clients=32 --requests=200 --tokens=16
    python tests/serve/load.py --preset=smollm2 --clients=32 --requests=5 --kind=turns

First each client's request is sent alone, one after the other; those replies, drawn greedily, are
what everybody must get under load. With --kind=turns every client is a user, and what the server
kept of each session must be what that client said and got.
"""

import argparse
import asyncio
import json
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]


def options(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--alone", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--kind", choices=("plain", "turns"), default="plain")
    parser.add_argument("--flags", default="", help="further --config flags, blanks between")
    return parser.parse_args(argv)


class Server:
    """A server process; where it is, and its memory."""

    def __init__(self, opts, folder):
        command = [
            *(sys.executable, "-m", "pa_jax.main", f"--config=configs/serve.py:{opts.preset}"),
            *("--config.port=0", f"--config.store=sqlite:///{folder}/p.db"),
            *(f"--workdir={folder}/run", *opts.flags.split()),
        ]
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=self.log)
        self.url = self._url()

    def _url(self):
        while self.process.poll() is None:
            found = re.search(r"serving \S+ at (\S+)", pathlib.Path(self.log.name).read_text())
            if found:
                return found[1]
            time.sleep(0.2)
        raise RuntimeError(pathlib.Path(self.log.name).read_text())

    def megabytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def compiled(self):
        text = httpx.get(f"{self.url}/metrics").text
        return float(re.search(r"^pa_jax_compiled_programs (\S+)", text, re.MULTILINE)[1])

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Figures:
    """What came of requests."""

    def __init__(self):
        self.first, self.between, self.tokens, self.wrong = [], [], 0, []
        self.statuses, self.began = {}, time.monotonic()

    def summary(self):
        seconds = time.monotonic() - self.began
        return {
            "statuses": self.statuses,
            "wrong_replies": len(self.wrong),
            "tokens": self.tokens,
            "seconds": round(seconds, 2),
            "tokens_per_second": round(self.tokens / seconds, 2),
            "first_token_seconds": quantiles(self.first),
            "token_seconds": quantiles(self.between),
        }


def quantiles(values):
    if len(values) < 2:
        return values
    cut = statistics.quantiles(values, n=20, method="inclusive")
    return {"p50": round(cut[9], 4), "p95": round(cut[18], 4), "max": round(max(values), 4)}


def body(opts, client, number):
    words = f"Client {client} asks: what rhymes with the number {client * 37}?"
    made = {
        "messages": [{"role": "user", "content": words}],
        "temperature": 0,
        "max_tokens": opts.tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if opts.kind == "turns":
        made |= {"user": f"client-{client}"}
        made["messages"][0]["content"] = f"{words} I like the number {number}."
    return made


async def ask(http, made, figures):
    """The text of a reply, None where it was refused."""
    began, text, first, last = time.monotonic(), "", None, None
    async with http.stream("POST", "/v1/chat/completions", json=made) as answer:
        status = answer.status_code
        figures.statuses[status] = figures.statuses.get(status, 0) + 1
        if status != 200:
            await asyncio.sleep(float(answer.headers.get("Retry-After", 0)))
            return None
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            data = json.loads(line[6:])
            if "error" in data:
                figures.statuses["broken"] = figures.statuses.get("broken", 0) + 1
                return None
            piece = "".join(c["delta"].get("content", "") for c in data["choices"])
            if piece:
                last = time.monotonic()
                first = first or last
                text += piece
            drawn = (data.get("usage") or {}).get("completion_tokens", 0)
    figures.tokens += drawn
    if first is not None:
        figures.first.append(first - began)
        if drawn > 1:
            figures.between.append((last - first) / (drawn - 1))
    return text


async def client(http, opts, number, expected, figures):
    got = []
    for i in range(opts.requests):
        made = body(opts, number, i)
        text = await ask(http, made, figures)
        if text is None:
            continue
        got.append((made["messages"][0]["content"], text))
        if opts.kind == "plain" and text != expected[number % len(expected)]:
            figures.wrong.append(number)
    return got


async def watch(server, memory):
    while True:
        memory.append(server.megabytes())
        await asyncio.sleep(0.5)


async def measure(server, opts):
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=600, limits=limits) as http:
        alone, memory = Figures(), []
        expected = []
        for number in range(min(opts.alone, opts.clients)):
            made = body(opts, number, 0)
            if opts.kind == "turns":
                made["user"] = f"alone-{number}"
            expected.append(await ask(http, made, alone))
        alone = alone.summary()
        if opts.kind == "plain":
            opts.clients = max(opts.clients, len(expected))
        crowd = Figures()
        watching = asyncio.create_task(watch(server, memory))
        numbers = [n % len(expected) for n in range(opts.clients)]
        if opts.kind == "turns":
            numbers = list(range(opts.clients))
        got = await asyncio.gather(*(client(http, opts, n, expected, crowd) for n in numbers))
        crowd_figures = crowd.summary()
        watching.cancel()
        if opts.kind == "turns":
            for number, said in zip(numbers, got, strict=True):
                kept = await kept_of(http, f"client-{number}")
                crowd_figures["wrong_replies"] += sum(pair not in kept for pair in said)
    quarter = max(len(memory) // 4, 1)
    megabytes = {
        "first_quarter": round(statistics.mean(memory[:quarter])),
        "last_quarter": round(statistics.mean(memory[-quarter:])),
        "most": round(max(memory)),
    }
    ratio = crowd_figures["tokens_per_second"] / alone["tokens_per_second"]
    return {
        "alone": alone,
        "crowd": crowd_figures,
        "ratio": round(ratio, 2),
        "megabytes": megabytes,
        "compiled_after_warm_up": server.compiled(),
    }


async def kept_of(http, user):
    sessions = (await http.get(f"/v1/profiles/{user}/sessions")).json()["sessions"]
    found = []
    for number in sessions:
        answer = await http.get(f"/v1/profiles/{user}/sessions/{number}")
        found += [(turn["words"], turn["reply"]) for turn in answer.json()["turns"]]
    return found


def main(argv):
    opts = options(argv)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        server = Server(opts, pathlib.Path(folder))
        try:
            found = {"start_seconds": round(time.monotonic() - began, 1)}
            found |= asyncio.run(measure(server, opts))
        finally:
            code = server.close()
        return found | {"exit_code": code}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:]), indent=2) + "\n")
