"""A key opens its own users: no other key reads, writes or senses them, whatever it asks."""

import json
from urllib import parse

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pa_jax.serve import keys

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
    name = parse.quote(user, safe="")
    if not name.strip("."):  # clients take "/./" for "/"
        name = name.replace(".", "%2E")
    answer = client.request(
        method,
        path.replace("{user}", name),
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
