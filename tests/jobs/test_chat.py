"""The terminal chat with random weights, its input from a pipe."""

import importlib
import io
import json
import re
import sys

import pytest

from pa_jax.jobs import chat, setup
from pa_jax.profile import facts, store

SEAT = "travel/flight_seat"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """An agent with random weights, and its store."""
    folder = tmp_path_factory.mktemp("chat")
    config = importlib.import_module("configs.chat").get_config("tiny")
    config.store = f"sqlite:///{folder}/new/profiles.db"
    config.agent.max_new_tokens = 4
    agent, closing = chat.open_agent(config)
    yield agent
    for close in closing:
        close()


@pytest.fixture
def talk(opened, monkeypatch, capsys, tmp_path):
    """What the chat writes when it reads these lines."""

    def run(*lines, user="me"):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        terminal = chat.Terminal(opened, user, tmp_path)
        terminal.talk()
        return capsys.readouterr().out, terminal.report()

    return run


def teach(opened, user, words="The user likes window seats.", slot=SEAT, turn=0):
    op = facts.FactOp("add", words, slot, None, "positive", "stated", 0.9)
    source = facts.Source(900, turn, "I like window seats")
    opened.profiles.apply(user, [op], source, now=setup.utc_now())


def test_a_reply_comes_and_is_counted(talk, opened):
    text, report = talk("I like tea.", "", "/quit", "never read", user="ann")
    assert text.count("agent> ") == 1 and "never read" not in text
    (turn,) = opened.profiles.journal.turns_of("ann")
    assert turn.words == "I like tea." and turn.reply in text
    seconds = report["seconds"]
    stages = sum(seconds[stage] for stage in ("inferred", "applied", "decided", "replied"))
    assert report["turns"] == 1 and 0 < stages <= seconds["whole"]


def test_bytes_that_are_no_text_end_nothing(opened, monkeypatch, capsys, tmp_path):
    lines = b"I like tea.\nI like \xe9clairs.\nI like cake.\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines), encoding="utf-8"))
    chat.Terminal(opened, "eve", tmp_path).talk()
    assert capsys.readouterr().out.count("agent> ") == 3
    said = [turn.words for turn in opened.profiles.journal.turns_of("eve")]
    assert said == ["I like tea.", "I like \ufffdclairs.", "I like cake."]


def test_what_is_known_and_why(talk, opened):
    teach(opened, "cyd")
    text, _ = talk("/profile", "/why 900.0.0", "/why WINDOW", "/why nothing", "/why", user="cyd")
    line = r"The user likes window seats\. \[travel/flight_seat, stated, 0\.90\] 900\.0\.0"
    assert len(re.findall(line, text)) == 3
    assert text.count('last heard in: "I like window seats"') == 2
    assert text.count("added in turn 900.0") == 2
    assert text.count("! no fact has that id or those words") == 2
    assert "cyd: 1 facts known" in text


def test_forgetting_one_of_several(talk, opened):
    teach(opened, "dan")
    teach(opened, "dan", "The user likes soft seats.", slot="other/x", turn=1)
    text, _ = talk("/forget seats", "/forget window", "/profile", user="dan")
    assert "! several facts say that; name one by its id:" in text
    assert "- The user likes window seats." in text and "retracted" in text
    held = opened.profiles.facts("dan", now=setup.utc_now())
    assert [fact.statement for fact in held] == ["The user likes soft seats."]


def test_editing_puts_the_users_words_in_a_facts_place(talk, opened):
    teach(opened, "joe")
    teach(opened, "joe", "The user likes soft seats.", slot="other/x", turn=1)
    text, report = talk(
        "/edit seats = I like tea",
        "/edit window = I'm allergic to cashews=nuts",
        "/edit 900.1.0=",
        "/edit 900.1.0 = Bob likes tea",
        "/edit soft",
        "/edit = I like tea",
        "/why 900.0.0",
        "/why cashews",
        user="joe",
    )
    new = "The user is allergic to cashews=nuts."
    held = opened.profiles.facts("joe", now=setup.utc_now())
    assert [fact.statement for fact in held] == ["The user likes soft seats.", new]
    at, line = "901.0.0", re.escape(f"{new} [food/allergies, stated, 1.00]")
    assert re.search(rf"  \+ {line} {at} added\n", text)
    assert re.search(r"  - The user likes window seats\. .* 900\.0\.0 superseded\n", text)
    assert "! several facts say that" in text
    assert "! the statement has no words" in text
    assert "! 'Bob likes tea' is no single statement about the user" in text
    assert text.count("! /edit needs a fact, = and what it should say") == 2
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.search(rf'{day} superseded in turn 901\.0 by "{re.escape(new)}" {at}\n', text)
    old = r'"The user likes window seats\." 900\.0\.0'
    assert re.search(rf"{day} added in turn 901\.0\n", text)
    assert re.search(rf"{day} replaced {old} in turn 901\.0\n", text)
    assert f'last heard in: "{new}"' in text
    assert report["turns"] == 0


def test_unknown_commands_give_one_clear_line(talk):
    text, report = talk("/frobnicate now", "/as", "/help")
    assert "! unknown command '/frobnicate'; /help lists them.\n" in text
    assert "! /as needs a user's id.\n" in text
    assert "/erase          delete everything" in text
    assert "/edit FACT = NEW STATEMENT\n" in text
    assert report["turns"] == 0


def test_as_changes_the_user_and_keeps_them_apart(talk, opened):
    teach(opened, "eva")
    text, _ = talk(
        "/as eva", "/profile", "/as fred", "/profile", "/as x\0y", "/profile", user="gus"
    )
    assert text.count("likes window seats") == 1
    assert "eva: 1 facts known" in text and "fred: 0 facts known" in text
    assert "! user id 'x\\x00y' has 3 characters" in text
    assert text.count("nothing yet") == 2


def test_erase_asks_first_and_takes_the_export_along(talk, opened, tmp_path):
    teach(opened, "hal")
    text, _ = talk("/export", "/erase", "no", "/profile", user="hal")
    assert "nothing deleted" in text and "likes window seats" in text
    (exported,) = tmp_path.glob("export-*.json")
    assert json.loads(exported.read_text()) == opened.profiles.export("hal")
    text, _ = talk("/erase", "hal", "/profile", user="hal")
    assert "deleted: 1 facts in 1 versions" in text and "none is left" in text
    assert "nothing yet" in text
    assert not exported.exists() and "hal" not in opened.profiles.users()


def test_a_turn_that_was_cut_off_is_answered_at_the_next_start(talk, opened):
    opened.profiles.journal.begin("ida", "I like tea.", now=setup.utc_now())
    text, _ = talk(user="ida")
    (turn,) = opened.profiles.journal.turns_of("ida")
    assert f"(finished from last time) I like tea.\nagent> {turn.reply}" in text


def test_the_job_end_to_end(monkeypatch, capsys, tmp_path):
    """Also what open_agent and the fixture above leave out: the report, and closing."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("/profile\n"))
    config = importlib.import_module("configs.chat").get_config("tiny")
    config.store = f"sqlite:///{tmp_path}/p.db"
    chat.run(config, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "report.json").read_text())["turns"] == 0
    assert store.ProfileStore(config.store).users() == ()
    assert "nothing yet" in capsys.readouterr().out
