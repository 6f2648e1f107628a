"""Who is let in: strangers get no memory, keys take turns, and one key leaves room for others."""

import asyncio
import contextlib
import dataclasses
import importlib
import json
import pathlib
import socket
import time

import httpx
import pytest

from pa_jax.serve import errors, keys, limits, shares, turnstile

KEY = {"Authorization": "Bearer key-of-somebody-known"}
IMPORT = "/v1/profiles/ann/import"
HEAD = f"POST {IMPORT} HTTP/1.1\r\nHost: localhost\r\n"
STRANGERS = {
    "half a head": HEAD + "X-Filler: " + "x" * 15_000,
    "a body": f"{HEAD}Content-Length: 8000000\r\n\r\n" + "y" * 1_000_000,
    "endless chunks": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n"
    + "4000\r\n"
    + "z" * 16384
    + "\r\n",
    "nothing": "",
}


def said(gate, text, *, until=b"}"):
    """The answer to bytes as they are, up to the end of the connection or of its JSON."""
    with socket.create_connection(("127.0.0.1", gate.port), timeout=30) as link:
        link.sendall(text.encode())
        answer = b""
        while until not in answer and (piece := link.recv(65536)):
            answer += piece
    return answer


@pytest.mark.parametrize("kind", list(STRANGERS))
def test_strangers_take_no_memory_and_stop_nobody(gate, megabytes, kind):
    assert httpx.post(gate.url + IMPORT, headers=KEY, content=b"x" * 1000).text == "1000"
    fds = pathlib.Path(f"/proc/{gate.pid}/fd")
    before, own, slowest = megabytes(gate), len(list(fds.iterdir())), 0.0
    with contextlib.ExitStack() as closing:
        for number in range(500):
            link = closing.enter_context(socket.create_connection(("127.0.0.1", gate.port)))
            link.settimeout(1.0)
            with contextlib.suppress(OSError):  # it was sent away, or nobody reads what it sends
                link.sendall(STRANGERS[kind].encode())
            if number % 50 == 49:  # it was let in after all before it, so these are counted by now
                began = time.monotonic()
                answer = httpx.post(gate.url + IMPORT, headers=KEY, content=b"x" * 1000, timeout=30)
                slowest = max(slowest, time.monotonic() - began)
                assert answer.text == "1000"
                assert len(list(fds.iterdir())) <= own + 101  # connections=100, and one that ends
        assert megabytes(gate) - before <= 20
        assert slowest < 5
        until = time.monotonic() + 30
        while len(list(fds.iterdir())) > 40 and time.monotonic() < until:
            time.sleep(0.1)  # those that stay are given up by time
        assert len(list(fds.iterdir())) <= 40


def test_half_a_head_is_given_up_after_a_time(gate):
    began = time.monotonic()
    assert b"408" in said(gate, HEAD, until=b"\r\n\r\n")
    assert 2 < time.monotonic() - began < 20


def test_without_a_key_no_body_is_waited_for(gate):
    for head in ("Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
        answer = said(gate, HEAD + head)
        assert b" 401 " in answer and b"invalid_api_key" in answer
        assert b"connection: close" in answer.lower()


def test_two_lengths_are_refused(gate):
    both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    answer = said(gate, f"{HEAD}Authorization: {KEY['Authorization']}\r\n{both}")
    assert b" 400 " in answer and b"ambiguous_length" in answer


# shares


def bounds(**changes):
    config = importlib.import_module("configs.serve").get_config("tiny")
    return dataclasses.replace(limits.Limits(**config.limits), **changes)


@pytest.fixture
def known(tmp_path):
    path = tmp_path / "keys.json"
    entries = [{"key": f"key-number-{n}-of-three", "users": ["*"]} for n in range(3)]
    path.write_text(json.dumps({"keys": entries}))
    return keys.load(path)


def parts(known, clock=time.monotonic, **changes):
    return shares.Shares(bounds(**changes), known, clock).all()


def test_a_key_may_have_so_many_requests_and_bytes_and_others_do_not_feel_it(known):
    one, other, _ = parts(known, key_running=2, key_queue=1, key_bytes=100)
    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(one.request())
        with pytest.raises(errors.ApiError, match="3 requests of this key") as caught:
            held.enter_context(one.request())
        assert caught.value.status == 429 and int(caught.value.headers["Retry-After"]) >= 1
        held.enter_context(other.request())
    assert (one.requests, one.refused, other.refused) == (0, 1, 0)
    with one.body() as first, one.body() as second:
        first(60)
        with pytest.raises(errors.ApiError, match="over 100 bytes"):
            second(50)
        with other.body() as add:
            add(90)
    assert one.bytes == other.bytes == 0


def test_tokens_come_back_with_time(known):
    now = [0.0]
    one, other, _ = parts(known, clock=lambda: now[0], key_tokens=600)
    one.used(900)
    with pytest.raises(errors.ApiError, match="600 tokens a minute") as caught:
        one.require_tokens()
    assert int(caught.value.headers["Retry-After"]) == 31
    other.require_tokens()
    now[0] = 31.0
    one.require_tokens()
    assert one.tokens == 900


def test_a_lone_key_and_a_server_without_keys_have_all_of_it(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{"key": "the-only-key-there-is", "users": ["*"]}]}))
    for alone in (None, keys.load(path)):
        (share,) = parts(alone, key_running=1, key_queue=0, key_tokens=1)
        with share.request(), share.request():
            share.used(100)
            share.require_tokens()
        assert share.running == bounds().running


def order_of(arrivals, known, places, **changes):
    """Who is let in, in order; each stays until the next turn of the loop."""
    every, seen = parts(known, **changes), []
    gate = turnstile.Turnstile(places, lambda share: share.running)

    async def one(number, cost):
        async with gate.held(every[number], cost):
            seen.append(number)
            await asyncio.sleep(0)

    async def all_of_them():
        await asyncio.gather(*(one(number, cost) for number, cost in arrivals))

    asyncio.run(all_of_them())
    assert gate._free == places and not any(gate._running.values())
    return seen


def test_keys_take_turns(known):
    crowd = [(0, 1)] * 20 + [(1, 1)] * 3 + [(2, 1)] * 2
    order = order_of(crowd, known, 1, key_running=1)
    assert sorted(order) == sorted(number for number, _ in crowd)
    assert max(place for place, number in enumerate(order) if number) < 10


def test_one_that_needs_many_places_is_let_in_too(known):
    order = order_of([(0, 1)] * 6 + [(1, 4)] + [(0, 1)] * 6, known, 4, key_running=4)
    assert order.index(1) <= 8


def test_a_key_never_has_more_places_than_its_share(known):
    every = parts(known, key_running=2)
    gate, most = turnstile.Turnstile(8, lambda share: share.running), []

    async def one(number):
        async with gate.held(every[number], 1):
            most.append(gate._running["1"])
            await asyncio.sleep(0.001)

    async def cancelled():
        task = asyncio.create_task(one(0))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def all_of_them():
        await asyncio.gather(*(one(0) for _ in range(10)), *(cancelled() for _ in range(5)))

    asyncio.run(all_of_them())
    assert max(most) == 2 and gate._free == 8
