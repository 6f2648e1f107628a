"""A server with random weights, in a thread of this process, and ways to reach it."""

import contextlib
import dataclasses
import importlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from pa_jax.core import timing
from pa_jax.jobs import chat, serve, setup
from pa_jax.profile import facts
from pa_jax.serve import app, guard, http, limits

GATE = pathlib.Path(__file__).with_name("gate.py")
SEAT = "travel/flight_seat"
LIMITS = {
    "running": 2,
    "queue": 2,
    "user_queue": 2,
    "wait_seconds": 20.0,
    "body_seconds": 1.0,
    "send_seconds": 1.0,
    "ping_seconds": 5.0,
    "drain_seconds": 1.0,
}


@dataclasses.dataclass(frozen=True)
class Server:
    """Where it is, and the agent behind it."""

    url: str
    port: int
    agent: object

    def post(self, body, *, headers=None, **how):
        """A chat request."""
        url = f"{self.url}/v1/chat/completions"
        return httpx.post(url, json=body, headers=headers, timeout=60, **how)

    def ask(self, words, user=None, **more):
        """The data of a reply."""
        body = {"messages": [{"role": "user", "content": words}], **more}
        answer = self.post(body | ({} if user is None else {"user": user}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def connect(self):
        """A plain connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def get(self, path, **how):
        """A GET below /v1/profiles."""
        return httpx.get(f"{self.url}/v1/profiles/{path}", timeout=60, **how)

    def edit(self, path, statement, **how):
        """A PATCH of a fact below /v1/profiles."""
        body = {"statement": statement}
        return httpx.patch(f"{self.url}/v1/profiles/{path}", json=body, timeout=60, **how)

    def delete(self, path, **how):
        """A DELETE below /v1/profiles."""
        return httpx.delete(f"{self.url}/v1/profiles/{path}", timeout=60, **how)


def taught(agent, user, words="The user likes window seats.", slot=SEAT, turn=0):
    op = facts.FactOp("add", words, slot, None, "positive", "stated", 0.9)
    source = facts.Source(900, turn, "I like window seats")
    agent.profiles.apply(user, [op], source, now=setup.utc_now())


@pytest.fixture(scope="session")
def agent(tmp_path_factory):
    """An agent with random weights whose replies may be long."""
    config = importlib.import_module("configs.serve").get_config("tiny")
    config.store = f"sqlite:///{tmp_path_factory.mktemp('serve')}/profiles.db"
    config.infer.rows = 1
    config.infer.prompt_tokens = 768
    config.live.rows, config.live.slots = 2, 512
    made, closing = chat.open_agent(config)
    with timing.CompileCounter() as compiles:
        made.compiles = compiles
        yield made
    for close in closing:
        close()


@contextlib.contextmanager
def serving(agent, known=None, **changes):
    """A server around an agent, with other limits than LIMITS where named."""
    config = importlib.import_module("configs.serve").get_config("tiny")
    config.limits.update(LIMITS | changes)
    listening = serve.listen("127.0.0.1", 0, keyless=known is None)
    made = app.build(
        agent,
        setup.section(limits.Limits, config.limits),
        known=known,
        hosts=guard.LOOPBACK if known is None else None,
        name="pa_jax",
        model="random weights (tiny)",
        user_header="X-User",
        compiles=agent.compiles,
    )
    server = http.server(made, setup.section(limits.Limits, config.limits))
    listening.listen()  # from now on nobody is turned away
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    port = listening.getsockname()[1]
    try:
        yield Server(f"http://127.0.0.1:{port}", port, agent)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def server(agent):
    """A server without keys."""
    with serving(agent) as running:
        yield running


@pytest.fixture(scope="session")
def serve_on():
    """`serving`, for tests that want a server of their own."""
    return serving


@pytest.fixture(scope="session")
def teach(agent):
    """Puts a fact into a profile; random weights would infer none."""

    def one(user, *how, **more):
        taught(agent, user, *how, **more)

    return one


@pytest.fixture(scope="module")
def gate(tmp_path_factory, root):
    """The outer parts of a server, as a process of their own."""
    place = tmp_path_factory.mktemp("gate") / "port"
    env = os.environ | {"PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen([sys.executable, str(GATE), str(place)], env=env)
    while not (place.exists() and place.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.port = int(place.read_text())
    process.url = f"http://127.0.0.1:{process.port}"
    yield process
    process.terminate()
    assert process.wait(60) == -15 or process.returncode == 0


@pytest.fixture(scope="session")
def megabytes():
    """The memory of a process, None for this one."""

    def one(process):
        number = os.getpid() if process is None else process.pid
        status = pathlib.Path(f"/proc/{number}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    return one
