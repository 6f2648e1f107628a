"""Profiles over HTTP: facts, as of a time, history, export, import, forget, erase."""

import httpx

from pa_jax.jobs import setup


def test_facts_history_and_forgetting(server, teach):
    empty = setup.utc_now().isoformat()
    teach("pat")
    (fact,) = server.get("pat").json()["facts"]
    assert fact["statement"] == "The user likes window seats." and fact["category"] == "travel"
    assert fact["source"] == {"session": 900, "turn": 0, "quote": "I like window seats"}
    assert 0.89 < fact["confidence_now"] <= fact["confidence"] == 0.9
    known = setup.utc_now().isoformat()
    assert server.delete("pat/facts/nothing").status_code == 404
    made = server.delete(f"pat/facts/{fact['id']}").json()
    assert [u["kind"] for u in made["updates"]] == ["retracted"]
    assert server.get("pat").json()["facts"] == []
    then = server.get("pat", params={"as_of": known}).json()["facts"]
    assert [f["id"] for f in then] == [fact["id"]]
    assert server.get("pat", params={"as_of": empty}).json()["facts"] == []
    records = server.get("pat/history").json()["records"]
    assert [(r["event"], r["version"]) for r in records] == [("added", 0), ("retracted", 1)]
    assert server.get("pat/history", params={"fact": "x"}).json()["records"] == []


def test_an_export_comes_back_as_it_was(server, teach):
    teach("quy")
    data = server.get("quy/export").json()
    assert data == server.agent.profiles.export("quy")
    url = f"{server.url}/v1/profiles/quy/import"
    assert httpx.post(url, json=data).status_code == 409
    receipt = server.delete("quy").json()
    assert (receipt["facts"], receipt["verified"]) == (1, True)
    assert "quy" not in server.agent.profiles.users()
    assert server.get("quy/export").status_code == 404
    wrong = httpx.post(url, json=data | {"facts": [{}]})
    assert wrong.status_code == 400 and "facts[0]" in wrong.json()["error"]["message"]
    other = httpx.post(url.replace("quy", "rob"), json=data)
    assert other.status_code == 400 and other.json()["error"]["param"] == "user"
    assert httpx.post(url, json=data).json() == {"user": "quy", "facts": 1}
    assert server.get("quy/export").json() == data
    assert server.delete("quy").status_code == server.delete("quy").status_code == 200


def test_who_is_not_known_has_an_empty_profile(server):
    assert server.get("nobody").json() == {"user": "nobody", "facts": []}
    assert server.get("nobody/history").json()["records"] == []
    assert server.get("nobody/sessions/3").json()["turns"] == []
    assert "nobody" not in server.agent.profiles.users()
