"""Names that a route does not read: refused, with the nearest one that it reads."""

import httpx
import pytest


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("ann?serch=tea", "serch", "'search'"),
        ("ann?asof=2026-01-01T00:00:00Z", "asof", "'as_of'"),
        ("ann?Search=tea", "Search", "'search'"),
        ("ann?zzz=1", "zzz", "'as_of', 'search'"),
        ("ann/history?sinse=2026-01-01T00:00:00Z", "sinse", "'since'"),
        ("ann/sessions?limit=3", "limit", "leave it out"),
        ("ann/sessions/0?turn=1", "turn", "leave it out"),
        ("ann/export?format=csv", "format", "leave it out"),
        ("ann?search=tea&search=jam", "search", "give it once"),
        ("ann?s%C3%A9arch=tea", "s\\xe9arch", "'search'"),
    ],
)
def test_a_query_that_nobody_reads_is_refused(server, path, name, told):
    answer = server.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, name)
    assert told in error["message"]


def test_so_it_is_where_something_would_be_changed(server, teach):
    teach("sly")
    url = f"{server.url}/v1/profiles/sly"
    (fact,) = server.get("sly").json()["facts"]
    said = {"statement": "I like jam."}
    for method, where, body in (
        ("DELETE", "?dry_run=true", None),
        ("DELETE", f"/facts/{fact['id']}?sesion=0", None),
        ("PATCH", f"/facts/{fact['id']}?sesion=0", said),
        ("POST", "/facts?statement=tea", said),
        ("POST", "/undo?turn=1", {"session": 900, "turn": 0}),
    ):
        answer = httpx.request(method, url + where, json=body, timeout=60)
        assert answer.status_code == 400, where
    (held,) = server.get("sly").json()["facts"]
    assert (held["id"], held["recorded_at"]) == (fact["id"], fact["recorded_at"])


@pytest.mark.parametrize(
    ("method", "where", "body", "name", "told"),
    [
        ("POST", "/facts", {"statment": "I like tea."}, "statment", "'statement'"),
        ("POST", "/facts", {"statement": "I like tea.", "slot": "x"}, "slot", "'statement'"),
        ("PATCH", "/facts/0.0.0", {"Statement": "I like tea."}, "Statement", "'statement'"),
        ("POST", "/undo", {"session": 0, "turn": 0, "trun": 1}, "trun", "'turn'"),
    ],
)
def test_a_field_that_nobody_reads_is_refused(server, method, where, body, name, told):
    url = f"{server.url}/v1/profiles/flo{where}"
    answer = httpx.request(method, url, json=body, timeout=60)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, name)
    assert told in error["message"]
    assert server.get("flo").json()["facts"] == []


def test_a_name_that_is_one_of_a_place_is_told_too(server):
    answer = httpx.get(f"{server.url}/v1/profiles/flo?query=tea", timeout=60)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "query")
    assert error["message"].startswith("query: nothing here is called so")


def test_what_clients_and_scrapers_add_is_let_through(server):
    for path in ("/health?probe=1", "/metrics?x=1", "/v1/models?limit=20"):
        assert httpx.get(server.url + path).status_code == 200, path
    for body in ({"stream_options": {"include_obfuscation": False}}, {"store": True}):
        words = {"messages": [{"role": "user", "content": "Hi", "name": "ann"}], "max_tokens": 1}
        url = f"{server.url}/v1/chat/completions?api-version=2024-10-21"
        assert httpx.post(url, json=words | body, timeout=60).status_code == 200


OURS = (
    "function-",
    "dictionary",
    "Input should",
    "Field required",
    "pydantic",
    "bytes",
    "item after",
)
HI = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "list of parts"),
        ({"messages": [{"role": "user", "content": {"text": "a"}}]}, "messages.0.content", "parts"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages.0.content.0", "object"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, None, "is needed"),
        ({"messages": ["hi"]}, "messages.0", "a JSON object belongs here (got 'hi')"),
        ({"messages": []}, "messages", "at least 1 must be given"),
        ({"messages": "hi"}, "messages", "a list belongs here"),
        ({"messages": [{"role": "human", "content": "x"}]}, "messages.0.role", "'assistant'"),
        ({}, "messages", "messages: is needed; give it."),
        ({"messages": [HI], "stop": ["a"] * 9}, "stop", "at most 8 may be given (got a list of 9)"),
        ({"messages": [HI], "stop": 5}, "stop", "belongs here (got 5)"),
        ({"messages": [HI], "temperature": "0.7"}, "temperature", "a number belongs here"),
        ({"messages": [HI], "n": True}, "n", "a whole number belongs here (got true)"),
        ({"messages": [HI], "stream": "yes"}, "stream", "true or false belongs here"),
        ({"messages": [HI], "temperature": -1}, "temperature", "0.0 or more is allowed (got -1)"),
        ({"messages": [HI], "temperature": 2.5}, "temperature", "2.0 or less is allowed"),
        ({"messages": [HI], "top_p": 0}, "top_p", "more than 0.0 is allowed"),
        ({"messages": [HI], "n": 0}, "n", "1 or more is allowed"),
        ({"messages": [HI], "top_k": 10**12}, "top_k", "2147483647 or less is allowed"),
        ({"messages": [HI], "stop": ""}, "stop", "at least 1 characters must be given"),
        ({"messages": [HI], "stop": ["x" * 300]}, "stop.0", "at most 256 characters are allowed"),
    ],
)
def test_a_wrong_field_is_named_with_what_belongs_there(server, body, param, told):
    answer = server.post(body)
    error = answer.json()["error"]
    assert answer.status_code == 400 and told in error["message"]
    assert error["param"] == (param or "messages.0.content.0.type")
    assert not [word for word in OURS if word in error["message"]]


@pytest.mark.parametrize(
    ("raw", "kind", "told"),
    [
        (
            b'{"messages": []}',
            "application/x-www-form-urlencoded",
            "Content-Type: application/json",
        ),
        (b'{"messages": []}', "text/plain", "Content-Type: application/json"),
        ('{"messages": "é"}'.encode("latin-1"), "application/json", "send JSON in UTF-8"),
        (b"[" * 50_000, "application/json", "send JSON in UTF-8"),
        (b"[]", "application/json", "a JSON object belongs here"),
    ],
)
def test_a_body_that_is_none_says_what_to_send(server, raw, kind, told):
    url = f"{server.url}/v1/chat/completions"
    answer = httpx.post(url, content=raw, headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code == 400 and told in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("POST", "/v1/completions", 404, "the nearest is /v1/chat/completions"),
        ("POST", "/v1/responses", 404, "the nearest is /v1/chat/completions"),
        ("POST", "/chat/completions", 404, "the nearest is /v1/chat/completions"),
        ("GET", "/v1/model", 404, "the nearest is /v1/models"),
        ("GET", "/healthz", 404, "the nearest is /health"),
        ("GET", "/v1/profiles/ann/fact", 404, "the nearest is /v1/profiles/{user}/fact"),
        ("GET", "/v1/chat/completions", 405, "use POST"),
        ("PUT", "/v1/profiles/ann", 405, "not answered at this address; use DELETE, GET."),
        ("PUT", "/v1/profiles/ann/facts/0.0.0", 405, "use DELETE, PATCH."),
        ("DELETE", "/health", 405, "use GET, HEAD."),
        ("POST", "/page/page.js", 405, "use GET, HEAD."),
    ],
)
def test_an_address_that_is_none_names_the_nearest(server, method, path, status, told):
    answer = httpx.request(method, server.url + path, timeout=60)
    message = answer.json()["error"]["message"]
    assert (answer.status_code, told in message) == (status, True), message
    if status == 405:
        assert message.endswith(f"use {answer.headers['allow']}.")


def test_watchers_ask_by_head(server):
    for path in ("/health", "/"):
        assert httpx.head(server.url + path).status_code == 200
