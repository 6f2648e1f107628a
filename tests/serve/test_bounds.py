"""What clients may not do, or cannot help: a 4xx with a message each, and the server goes on."""

import contextlib
import json
import re
import threading
import time
from urllib import parse

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pa_jax.serve import keys

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
        (b"", 400, "required"),
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
        (b'{"messages": [{"role": "user", "content": 5}]}', 400, "messages.0.content: Input"),
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


# keys

MINE, THEIRS, OPS = "key-of-ann-and-teams", "key-of-everybody-else", "key-of-an-operator"
FILE = f"""
[[keys]]
key = "{MINE}"
users = ["ann", "team-*"]
[[keys]]
key = "{THEIRS}"
users = ["zoe", "Ann", "team", "zed-*"]
[[keys]]
key = "{OPS}"
users = ["ops"]
operator = true
"""
WORDS = "The user likes zeppelins."
EXISTING = ("zoe", "Ann", "team", "zed-1")  # of the other key, all with a profile
NAMES = st.one_of(
    st.sampled_from(["ann ", " ann", "anna", "an", "ANN", "team", "Team-1", "zed-2", "*", "ann*"]),
    st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=20),
)
BODIES = st.sampled_from(
    [
        {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1},
        {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "session": 0},
        {"format": "pa_jax.profile", "version": 2, "facts": [], "turns": [], "labels": []},
        {"statement": "I like rum."},
        {},
    ]
)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(FILE)
    return keys.load(path)


@pytest.fixture(scope="module")
def guarded(agent, serve_on, known, teach):
    for name in EXISTING:
        teach(name, WORDS)
    with serve_on(agent, known) as running:
        yield running


@pytest.fixture(scope="module")
def routes(guarded):
    """Every method and path of the API that names a user; the chat names one in its body."""
    paths = httpx.get(f"{guarded.url}/openapi.json").json()["paths"]
    found = [(method, path) for path, methods in paths.items() for method in methods]
    of_users = [(method, path) for method, path in found if "{user}" in path]
    rest = {path for _, path in found if "{user}" not in path}
    known = {"/v1/models", "/v1/models/{name}", "/health", "/metrics", "/v1/chat/completions"}
    assert len(of_users) >= 8 and rest == known  # a new route must be thought of here
    return [*of_users, ("post", "/v1/chat/completions")]


def called(client, route, user, body, key=MINE):
    """What an answer shows: status, headers but for the date, text with the name taken out."""
    method, path = route
    if "{user}" not in path:
        body = body | {"user": user}
    path = path.replace("{number}", "0").replace("{fact_id}", "900.0.0")
    answer = client.request(
        method,
        path.replace("{user}", parse.quote(user, safe="")),
        content=json.dumps(body) if method in ("post", "patch") else None,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    headers = {k: v for k, v in answer.headers.items() if k not in ("date", "content-length")}
    return answer.status_code, headers, answer.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_key_never_reads_writes_or_senses_another_keys_users(guarded, routes, known, data):
    route = data.draw(st.sampled_from(routes))
    there, other, body = data.draw(st.sampled_from(EXISTING)), data.draw(NAMES), data.draw(BODIES)
    profiles = guarded.agent.profiles
    before = (profiles.users(), profiles.export(there))
    with httpx.Client(base_url=guarded.url, timeout=60) as client:
        got = called(client, route, there, body)
        assert got[0] in (400, 403) and "zeppelin" not in got[2]
        assert got == called(client, route, "nobody-at-all", body)  # who does not exist
        if not known.access(MINE).may(other):
            elsewhere = called(client, route, other, body)
            assert elsewhere == got or elsewhere[0] in (400, 404)  # a name that nobody can have
    assert (profiles.users(), profiles.export(there)) == before


def test_a_key_opens_its_own(guarded, teach):
    teach("team-1")
    mine, theirs = ({"Authorization": f"Bearer {key}"} for key in (MINE, THEIRS))
    assert len(guarded.get("team-1", headers=mine).json()["facts"]) == 1
    assert guarded.get("team-1", headers=theirs).status_code == 403
    assert guarded.get("zoe", headers=theirs).json()["facts"][0]["statement"] == WORDS
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    assert guarded.post(body | {"user": "ann"}, headers=mine).status_code == 200
    assert guarded.post(body, headers=mine).status_code == 200
    assert guarded.post(body | {"user": "ann"}, headers=theirs).status_code == 403
    assert guarded.post(body, headers={"Host": "any.example"} | mine).status_code == 200


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", f"Basic {MINE}", f"Bearer {MINE}x", "Bearer é"]
)
def test_without_a_key_only_health_answers(guarded, header):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for path in ("/v1/models", "/v1/models/pa_jax", "/metrics", "/v1/profiles/ann"):
        answer = httpx.get(guarded.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert guarded.post({"messages": []}, headers=headers).status_code == 401
    assert httpx.get(f"{guarded.url}/health").json() == {"status": "ok"}


def test_the_load_of_all_is_for_operators(guarded):
    mine, ops = ({"Authorization": f"Bearer {key}"} for key in (MINE, OPS))
    assert httpx.get(f"{guarded.url}/health", headers=mine).json() == {"status": "ok"}
    answer = httpx.get(f"{guarded.url}/metrics", headers=mine)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "operator_only")
    assert set(httpx.get(f"{guarded.url}/health", headers=ops).json()) > {"running", "waiting"}
    assert "pa_jax_requests" in httpx.get(f"{guarded.url}/metrics", headers=ops).text


def test_erasing_says_the_same_whether_a_guess_is_in_others_rows_or_not(guarded, teach):
    mine = {"Authorization": f"Bearer {MINE}"}
    answers = []
    for guess in (WORDS, "The user likes submarines."):
        teach("team-7", guess)
        answer = guarded.delete("team-7", headers=mine)
        headers = {k: v for k, v in answer.headers.items() if k != "date"}
        answers.append((answer.status_code, headers, answer.json()))
    assert answers[0] == answers[1]
    assert not {"bytes_checked", "files", "pieces"} & set(answers[0][2])
