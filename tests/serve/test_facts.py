"""Facts over HTTP: written by hand, taken back, searched, said to their user; what has changed."""

import httpx
import pytest

NUTS = "The user is allergic to cashews."


def posted(server, path, body, **how):
    return httpx.post(f"{server.url}/v1/profiles/{path}", json=body, timeout=60, **how)


def held(server, user, **params):
    facts = server.get(user, params=params).json()["facts"]
    return [fact["statement"] for fact in facts]


def test_a_fact_is_added_and_said_to_its_user(server):
    made = posted(server, "ada/facts", {"statement": "I'm allergic to cashews"})
    assert made.status_code == 200
    (update,) = made.json()["updates"]
    assert (update["kind"], update["fact"]["statement"]) == ("added", NUTS)
    (fact,) = server.get("ada").json()["facts"]
    assert (fact["told"], fact["authority"]) == ("You are allergic to cashews.", "stated")
    (record,) = server.get("ada/history").json()["records"]
    assert record["told"] == "You are allergic to cashews."
    again = posted(server, "ada/facts", {"statement": NUTS})
    assert again.status_code == 400 and "says that already" in again.text
    wrong = posted(server, "ada/facts", {"statement": "Bob likes rum"}).json()["error"]
    assert wrong["param"] == "statement" and "no single statement" in wrong["message"]
    assert posted(server, "ada/facts", {}).json()["error"]["param"] == "statement"
    assert held(server, "ada") == [NUTS]


def test_a_change_is_undone_by_the_turn_that_made_it(server, teach):
    teach("bo")
    (old,) = server.get("bo").json()["facts"]
    edit = server.edit(f"bo/facts/{old['id']}", "I prefer the aisle").json()
    place = {"session": edit["session"], "turn": edit["turn"]}
    made = posted(server, "bo/undo", place).json()
    assert sorted(update["kind"] for update in made["updates"]) == ["restored", "undone"]
    (now,) = server.get("bo").json()["facts"]
    assert {k: now[k] for k in ("id", "statement", "source", "valid_from")} == {
        k: old[k] for k in ("id", "statement", "source", "valid_from")
    }
    again = posted(server, "bo/undo", place)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "cannot_undo")
    redone = posted(server, "bo/undo", {"session": made["session"], "turn": made["turn"]})
    assert redone.status_code == 200 and held(server, "bo") == ["The user prefers the aisle."]
    for place in ({}, {"session": -1, "turn": 0}, {"session": 0, "turn": "0"}):
        assert posted(server, "bo/undo", place).status_code == 400
    other = posted(server, "nobody-yet/undo", {"session": 0, "turn": 0})
    assert other.status_code == 409 and server.get("nobody-yet/sessions").json()["sessions"] == []


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("cashews", [NUTS]),
        ("Allerg", [NUTS]),
        ("you are allergic", [NUTS]),
        ("window seat", ["The user likes window seats."]),
        ("flight", ["The user likes window seats."]),  # the slot's name
        ("seats cashews", []),
        ("%", []),  # no wildcard of a database
        ("-", []),
        ('?! "', []),
    ],
)
def test_facts_are_found_by_beginnings_of_their_words(server, teach, search, found):
    if not held(server, "cleo"):
        teach("cleo")
        posted(server, "cleo/facts", {"statement": "I'm allergic to cashews"})
    assert sorted(held(server, "cleo", search=search)) == found
    assert server.get("cleo", params={"search": "x" * 201}).status_code == 400


def test_the_history_since_a_time_is_what_has_changed(server, teach):
    teach("dan")
    before = server.get("dan/history").json()["records"][-1]["known_from"]
    assert server.get("dan/history", params={"since": before}).json()["records"] == []
    posted(server, "dan/facts", {"statement": "I'm allergic to cashews"})
    (record,) = server.get("dan/history", params={"since": before}).json()["records"]
    assert (record["event"], record["statement"]) == ("added", NUTS)
    wrong = server.get("dan/history", params={"since": "yesterday"}).json()["error"]
    assert wrong["param"] == "since" and "'yesterday' is no time" in wrong["message"]


def test_conversations_have_titles_and_commands_make_none(server):
    first = "Help me plan a quiet weekend away, by train, in a town that I have never been to."
    one = server.ask(first, user="eli", max_tokens=1)["pa_jax"]
    server.ask("\n\n  Another   one\nof two lines", user="eli", max_tokens=1)
    posted(server, "eli/facts", {"statement": "I'm allergic to cashews"})
    server.ask("And more", user="eli", max_tokens=1, session=one["session"])
    told = server.get("eli/sessions").json()
    assert told["sessions"] == [2, 1, 0]
    assert [(c["session"], c["title"], c["turns"]) for c in told["conversations"]] == [
        (0, "Help me plan a quiet weekend away, by train, in a town that…", 2),
        (1, "Another one", 1),
    ]
    assert server.delete("eli").status_code == 200
    assert server.get("eli/sessions").json()["conversations"] == []
