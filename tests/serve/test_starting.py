"""Before it serves, the server says that it is starting; nobody is turned away at the door."""

import contextlib
import dataclasses
import importlib
import socket
import sys
import threading
import time

import httpx
import pytest

from pa_jax.jobs import serve
from pa_jax.serve import limits, starting

HEAD = "POST /v1/profiles/ann/import HTTP/1.1\r\nHost: localhost\r\n"
STRANGERS = {
    "long heads": HEAD + "".join(f"X-{n}: {'x' * 60_000}\r\n" for n in range(90)),
    "bodies": f"{HEAD}Content-Length: 8000000\r\n\r\n" + "y" * 1_000_000,
    "nothing": "",
}


@pytest.fixture
def listening():
    with serve.listen("127.0.0.1", 0, keyless=True) as made:
        yield made


@pytest.fixture
def bounds():
    config = importlib.import_module("configs.serve").get_config("tiny")
    return dataclasses.replace(limits.Limits(**config.limits), head_seconds=2.0)


def test_who_asks_is_told_that_it_is_starting(listening, bounds):
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")
    with starting.told(listening, bounds):
        health = httpx.get(f"{url}/health")
        assert (health.status_code, health.json()) == (503, {"status": "starting"})
        chat = httpx.post(f"{url}/v1/chat/completions", json={"messages": []})
        assert chat.status_code == 503 and chat.headers["retry-after"] == "5"
        assert chat.json()["error"]["code"] == "starting"
        with socket.create_connection(listening.getsockname()) as silent:  # stops nobody
            assert httpx.get(f"{url}/health").status_code == 503
            silent.sendall(b"GET")
    listening.listen()
    with socket.create_connection(listening.getsockname()) as link:  # it waits for who comes next
        taken, _ = listening.accept()
        link.sendall(b"x")
        assert taken.recv(1) == b"x"
        taken.close()


@pytest.mark.parametrize("kind", list(STRANGERS))
def test_strangers_take_no_memory_while_it_starts(listening, bounds, megabytes, kind):
    threads = threading.active_count()
    text = STRANGERS[kind].encode()
    with starting.told(listening, bounds), contextlib.ExitStack() as closing:
        before = megabytes(None)
        for number in range(500):
            link = closing.enter_context(socket.create_connection(listening.getsockname()))
            link.settimeout(0.2)
            with contextlib.suppress(OSError):  # it was sent away, or nobody reads what it sends
                link.sendall(text)
            if number % 100 == 0:
                url = f"http://127.0.0.1:{listening.getsockname()[1]}/health"
                assert httpx.get(url, timeout=30).status_code == 503
        assert threading.active_count() == threads + 1
        assert megabytes(None) - before <= 20
        began = time.monotonic()
    assert time.monotonic() - began < 5 and threading.active_count() == threads


@pytest.mark.parametrize("seconds", [1e-4, 0.005, 0.05, 0.2])
def test_who_comes_as_it_ends_is_answered_or_waits_for_the_server(listening, bounds, seconds):
    switch = sys.getswitchinterval()
    sys.setswitchinterval(seconds)  # how the two threads fall in with each other
    try:
        with contextlib.ExitStack() as closing:
            with starting.told(listening, bounds):
                links = [socket.create_connection(listening.getsockname()) for _ in range(90)]
                for link in links:
                    closing.enter_context(link).settimeout(10)
                    link.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            waiting = set()
            listening.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    taken, peer = listening.accept()
                    closing.enter_context(taken)
                    waiting.add(peer)
            for link in links:
                assert link.getsockname() in waiting or link.recv(12) == b"HTTP/1.1 503"
    finally:
        sys.setswitchinterval(switch)


def test_a_model_that_cannot_be_loaded_leaves_no_socket_open(tmp_path):
    config = importlib.import_module("configs.serve").get_config("tiny")
    config.model.source, config.store = str(tmp_path / "nix"), f"sqlite:///{tmp_path}/p.db"
    with serve.listen("127.0.0.1", 0, keyless=True) as free:
        config.port = free.getsockname()[1]
    with pytest.raises((ValueError, OSError), match="nix"):
        serve.run(config, tmp_path / "w")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", config.port))
