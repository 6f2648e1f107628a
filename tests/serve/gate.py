"""The server's outer parts around an application that only counts a body; argv is a port's file."""

import dataclasses
import importlib
import pathlib
import socket
import sys

from pa_jax.serve import guard, http, keys, limits, shares

KEY = "key-of-somebody-known"


async def answer(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % len(body)})


def main(place):
    config = importlib.import_module("configs.serve").get_config("tiny")
    cfg = limits.Limits(**config.limits)
    cfg = dataclasses.replace(cfg, head_seconds=3.0, body_seconds=5.0, connections=100)
    file = pathlib.Path(place).with_suffix(".toml")
    file.write_text(f'[[keys]]\nkey = "{KEY}"\nusers = ["ann"]\n')
    known = keys.load(file)
    app = guard.Guard(answer, cfg, None, known, shares.Shares(cfg, known))
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    pathlib.Path(place).write_text(str(listening.getsockname()[1]))
    server = http.server(app, cfg)
    server.config.lifespan = "off"
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1])
