"""Before it serves, the server says that it is starting; nobody is turned away at the door."""

import socket

import httpx
import pytest

from pa_jax.jobs import serve


@pytest.fixture
def listening():
    with serve.listen("127.0.0.1", 0, keyless=True) as made:
        yield made


def test_who_asks_is_told_that_it_is_starting(listening):
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")
    with serve.starting(listening):
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
