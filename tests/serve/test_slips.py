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


def test_what_clients_and_scrapers_add_is_let_through(server):
    for path in ("/health?probe=1", "/metrics?x=1", "/v1/models?limit=20"):
        assert httpx.get(server.url + path).status_code == 200, path
    for body in ({"stream_options": {"include_obfuscation": False}}, {"store": True}):
        words = {"messages": [{"role": "user", "content": "Hi", "name": "ann"}], "max_tokens": 1}
        url = f"{server.url}/v1/chat/completions?api-version=2024-10-21"
        assert httpx.post(url, json=words | body, timeout=60).status_code == 200
