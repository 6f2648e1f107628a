"""What clients may not do, or cannot help: a 4xx with a message each, and the server goes on."""

import contextlib
import json
import re
import threading
import time

import httpx
import pytest

CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "Hi"}]}
LONG = HI | {"max_tokens": 512, "temperature": 1}
MANY = LONG | {"max_tokens": 200}
SURROGATE = b'{"messages": [{"role": "user", "content": "\\ud800"}]}'
HALVES = b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi \\udc00"}]}]}'


def raw(server, method, path, headers, body=b""):
    """An answer to bytes as they are: status, and what the error says."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    with server.connect() as link:
        link.sendall("\r\n".join(lines).encode("latin-1") + body)
        answer = b""
        while b"\r\n\r\n" not in answer or b"}" not in answer:
            piece = link.recv(65536)
            if not piece:
                break
            answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    start, end = rest.find(b"{"), rest.rfind(b"}")
    return int(head.split()[1]), json.loads(rest[start : end + 1])["error"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "needed"),
        (b"{", 400, "no JSON"),
        (b"\xff\xfe", 400, "body"),
        (b'{"messages": "\xff"}', 400, "body"),
        (SURROGATE, 400, "surrogate"),
        (HALVES, 400, "content"),
        (b"[" * 100_000, 400, "body"),
        (b"9" * 5000, 400, "body"),
        (b"null", 400, "body"),
        (b'{"messages": "Hi"}', 400, "messages"),
        (b'{"messages": [7]}', 400, "messages.0"),
        (b'{"messages": [{"role": "tool", "content": "x"}]}', 400, "role"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}', 400, "content"),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"},'
            b' {"type": "image_url", "image_url": {"url": "data:x"}}]}]}',
            400,
            "messages.0.content.1.type: only parts of type 'text' are read here",
        ),
        (b'{"messages": [{"role": "user", "content": 5}]}', 400, "messages.0.content: give a text"),
        (b'{"messages": [{"role": "user", "content": [{"type": "text"}]}]}', 400, "in 'text' (got"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', 400, "the user's"),
        (b'{"messages": [{"role": "user", "content": "\\u0000"}]}', 400, "words"),
    ],
)
def test_bodies_that_are_wrong(server, body, status, says):
    headers = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    got, error = raw(server, "POST", CHAT, headers, body)
    assert got == status and says in error["message"], error
    assert error["type"] == "invalid_request_error"
    assert "function-after" not in error["message"] and "[_" not in error["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": "hot"},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"n": "2"},
        {"n": True},
        {"stop": [""]},
        {"stop": 5},
        {"top_k": -2},
        {"top_k": 1.5},
        {"repetition_penalty": 0.5},
        {"min_p": 0.1},
        {"typical_p": 0.9},
        {"use_beam_search": True},
        {"best_of": 2},
        {"ignore_eos": True},
        {"echo": True},
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"reasoning_effort": "high"},
        {"mirostat": 1},
        {"guided_json": {}},
        {"options": {"top_k": 3}},
        {"num_ctx": 4096},
        {"temprature": 1},
        {"user": "x", "messages": [*HI["messages"], {"role": "tool", "content": "x"}]},
        {"stream": "yes"},
        {"user": 7},
        {"user": "a/b"},
        {"user": "a\0b"},
        {"user": ".."},
        {"user": "x" * 257},
        {"user": "x", "session": -1},
        {"user": "x", "session": 10**30},
        {"session": 1},
        {"messages": HI["messages"] * 300},
        {"messages": [{"role": "user", "content": "x" * 100_001}]},
    ],
)
def test_values_that_are_wrong_name_themselves(server, wrong):
    body = json.dumps(HI | wrong)
    answer = httpx.post(
        server.url + CHAT, content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"] and error["param"].split(".")[0] in wrong


def test_a_misspelt_field_names_the_nearest(server):
    answer = httpx.post(server.url + CHAT, json=HI | {"temprature": 1, "top_logprobs": None})
    assert "'temperature' is the nearest" in answer.json()["error"]["message"]
    answer = httpx.post(
        server.url + CHAT,
        content=json.dumps(HI | {"\ud800": 1}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400


def test_what_says_nothing_of_the_answer_is_let_pass(server):
    harmless = {"metadata": {"a": "b"}, "store": True, "service_tier": "auto"}
    harmless |= {"chat_template_kwargs": {"enable_thinking": False}, "mirostat": None}
    body = HI | harmless | {"max_tokens": 2}
    assert httpx.post(server.url + CHAT, json=body, timeout=60).status_code == 200


def test_ten_megabytes_are_too_many(server):
    size = 10 << 20
    json_type = "Content-Type: application/json"
    got, error = raw(server, "POST", CHAT, [json_type, f"Content-Length: {size}"])
    assert (got, error["code"]) == (413, "too_large")  # not one byte of it was waited for
    got, error = raw(server, "POST", "/v1/profiles/x/import", [f"Content-Length: {size}"])
    assert (got, error["code"]) == (413, "too_large")
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    got, error = raw(server, "POST", CHAT, [json_type, "Transfer-Encoding: chunked"], chunk * 2)
    assert (got, error["code"]) == (413, "too_large")


def test_addresses_that_are_wrong(server):
    assert raw(server, "GET", "/v1/profiles/%ff", [])[0] == 400
    assert raw(server, "GET", "/v1/profiles/a%00b", [])[0] == 400
    assert raw(server, "GET", "/v1/nothing", [])[0] == 404
    assert raw(server, "PUT", CHAT, [])[0] == 405
    for when in ("yesterday", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00"):
        answer = server.get("ann", params={"as_of": when})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "as_of"


def test_half_open_connections_are_given_up(server):
    """A request that stops in its body, one in its head, and one that never begins."""
    body = server.connect()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body.sendall(f"{head}Content-Length: 50\r\n\r\n".encode() + b'{"mess')
    others = [server.connect() for _ in range(20)]
    for link in others[:10]:
        link.sendall(head.encode())
    assert server.ask("Hi", max_tokens=1)["choices"]
    answer = b"".join(iter(lambda: body.recv(65536), b""))  # until the server closes
    assert b" 408 " in answer and b"too_slow" in answer and b"connection: close" in answer.lower()
    for link in (body, *others):
        link.close()


def settled(server):
    """Waits until nothing runs."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        health = httpx.get(f"{server.url}/health").json()
        metrics = httpx.get(f"{server.url}/metrics").text
        if health["running"] + health["waiting"] == 0 and "pa_jax_inside 0.0" in metrics:
            return
        time.sleep(0.02)
    raise AssertionError("still busy")


def asking(server, body):
    """A connection that has asked and reads nothing."""
    body = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    link = server.connect()
    link.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return link


def reply_tokens(server):
    """What the meters say was generated for replies."""
    text = httpx.get(f"{server.url}/metrics").text
    found = re.search(r'^pa_jax_tokens_total\{kind="reply"\} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_row(server, stream):
    settled(server)
    engine = server.agent.parts.serves
    before, told = engine.load().tokens, reply_tokens(server)
    with asking(server, LONG | {"stream": stream, "user": f"gone{stream}"}):
        while engine.load().tokens <= before:
            time.sleep(0.001)
    settled(server)
    drawn = engine.load().tokens - before
    (turn,) = server.agent.profiles.journal.turns_of(f"gone{stream}")
    assert turn.stage == "replied"  # with what was said until then
    assert 0 < drawn < 512
    until = time.monotonic() + 20  # what was generated for it counts, though nobody heard it
    while reply_tokens(server) < told + 1 and time.monotonic() < until:
        time.sleep(0.05)
    assert told < reply_tokens(server) <= told + drawn


def test_slow_clients_hold_neither_rows_nor_others(server):
    settled(server)
    with contextlib.ExitStack() as links:
        for _ in range(4):  # 2 run, 2 wait: all places of this server
            links.enter_context(asking(server, LONG | {"stream": True, "max_tokens": 200}))
        settled(server)
        assert server.ask("Hi", max_tokens=1)["choices"]


def test_too_many_are_told_when_to_come_back(server):
    settled(server)
    answers = []

    def one(user):
        answers.append(server.post(MANY | ({"user": user} if user else {})))

    def burst(users):
        answers.clear()
        threads = [threading.Thread(target=one, args=(user,)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        for answer in refused:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["error"]["type"] == "rate_limit_error"
        return len(refused)

    assert burst([None] * 9) >= 5  # 2 run, 2 wait
    assert burst(["eager"] * 4) >= 1  # of one user 1 runs, 1 waits
    settled(server)
    said = server.agent.profiles.journal.turns_of("eager")
    assert len(said) <= 3 and all(turn.stage == "replied" for turn in said)


def test_a_reply_is_cut_when_its_time_is_up(agent, serve_on):
    with serve_on(agent, reply_seconds=0.02) as hurried:
        answer = hurried.post(LONG).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] < 512


def test_pages_of_other_sites_are_refused(server):
    for headers in (
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:80"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ):
        for answer in (server.post(HI, headers=headers), server.get("ann", headers=headers)):
            assert answer.status_code == 403 and answer.json()["error"]["message"]
    own = {"Origin": server.url}
    assert server.post(HI | {"max_tokens": 1}, headers=own).status_code == 200


def test_every_answer_carries_the_strict_policy(server):
    for path in ("/health", "/", "/v1/nothing", "/v1/profiles/%ff"):
        policy = httpx.get(server.url + path).headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy
