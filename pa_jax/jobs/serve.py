"""The HTTP server: OpenAI's API over the agent, profiles, metrics and a web page."""

import contextlib
import importlib.util
import ipaddress
import pathlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import jax
import ml_collections
from absl import logging

from pa_jax.agent import session
from pa_jax.core import timing
from pa_jax.jobs import chat, setup
from pa_jax.models.io import source

NEEDED = ("fastapi", "uvicorn", "prometheus_client")  # the extra `serve`


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `serve` job; ends on SIGINT or SIGTERM."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"{', '.join(missing)} not installed; pip install 'pa_jax[serve]'.")
    from pa_jax.serve import keys, limits, starting  # they import what the extra brings

    if jax.process_count() > 1:
        raise ValueError(f"{jax.process_count()} processes: serve runs as one; start it alone.")
    cfg = setup.section(limits.Limits, config.limits)
    known = keys.load(pathlib.Path(config.key_file)) if config.key_file else None
    setup.open_workdir(config, workdir)
    with (
        listen(config.host, config.port, keyless=known is None) as listening,
        contextlib.ExitStack() as ends,
    ):
        with starting.told(listening, cfg), timing.CompileCounter():  # which says what it hears
            agent, closing = chat.open_agent(config)
            for close in reversed(closing):
                ends.callback(close)
            parts: Any = agent.parts  # the chat job's own, which can
            parts.infers.warm_up()
            parts.decides.warm_up()
        with timing.CompileCounter() as compiles:
            serve_agent(config, cfg, agent, known, listening, compiles)


def listen(host: str, port: int, *, keyless: bool) -> socket.socket:
    """A listening socket; without keys only where no other machine reaches it.

    A peer that is gone, or takes nothing, is given up by the system after a minute.
    """
    if not 0 <= port < 65536:
        raise ValueError(f"port={port}: a number from 0 (any free port) to 65535 is allowed.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"host={host!r} is no address of this machine; give 127.0.0.1, or 0.0.0.0 for all."
        ) from error
    family, _, _, _, address = found[0]
    if keyless and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ValueError(
            f"host={host!r} without keys: anybody could read and change every profile. Allowed is "
            "127.0.0.1; or name a file of keys, --config.key_file=keys.toml (pa_jax/serve/keys.py)."
        )
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_USER_TIMEOUT", 60000)):
        if hasattr(socket, option):  # Linux; accepted sockets take them over
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    try:
        made.bind(address)
    except OSError as error:
        made.close()
        raise ValueError(
            f"{host}:{port} cannot be listened on ({error.strerror}); another --config.port, say."
        ) from error
    return made


def serve_agent(
    config: ml_collections.ConfigDict,
    cfg: Any,
    agent: session.Agent,
    known: Any,
    listening: socket.socket,
    compiles: timing.CompileCounter,
) -> None:
    """Serves until it is told to end; `known` are Keys, None without; `cfg` are its Limits."""
    from pa_jax.serve import app, guard, http

    keyless = known is None
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    made = app.build(
        agent,
        cfg,
        known=known,
        hosts=tuple(dict.fromkeys((*guard.LOOPBACK, shown, config.host))) if keyless else None,
        name=config.name,
        model=model_name(config),
        user_header=config.user_header,
        compiles=compiles,
    )
    serves = http.server(made, cfg)
    if keyless:
        logging.info("no API keys: only this machine is served, and all of it may see every user")
    logging.info("serving %s at http://%s:%d", config.name, shown, port)
    with _heard_once():
        serves.run(sockets=[listening])


def model_name(config: ml_collections.ConfigDict) -> str:
    """What people call the model that replies; one that a run trained is its base, by that run."""
    replies = config.replier or config.model.source
    path = pathlib.Path(replies).expanduser() / "config.json"
    base = setup.read_json(path).get("model") if path.is_file() else None
    if isinstance(base, dict) and "source" in base:
        return f"{source.title(base['source'])} ({path.parent.resolve().name})"
    return source.title(replies)


@contextlib.contextmanager
def _heard_once() -> Iterator[None]:
    """A signal ends the server and not the process too: uvicorn raises it again at its end."""
    ends = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
