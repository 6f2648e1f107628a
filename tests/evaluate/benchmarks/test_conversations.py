"""Conversations as a benchmark: what is read, what counts, and that every system can run on it."""

import json

import pytest

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.evaluate.benchmarks import conversations, jury, protocol
from pa_jax.evaluate.systems import baselines

ANA = {
    "user_id": "ana",
    "sessions": [
        [
            {"user": "Kiwis make my lips swell.", "gold": "The user is allergic to kiwis."},
            {"user": "I run on Sundays.", "gold": "The user runs on Sundays."},
            {"user": "Nice weather!", "gold": "No new preference.", "assistant": "It is."},
        ],
        [{"user": "I swim now, no more running.", "gold": "The user swims."}],
    ],
    "holds": ["kiwi", "swim"],
    "gone": ["runs on", "likes kiwi"],
    "against": ["kiwi"],
    "probes": [{"user": "A fruit salad, please.", "respect": ["kiwi"]}],
}
BEN = {
    "user_id": "ben",
    "sessions": [[{"user": "I live in Riga.", "gold": "The user lives in Riga."}]],
    "holds": ["Riga"],
}


def write(folder, *people):
    path = folder / "people.jsonl"
    path.write_text("".join(json.dumps(person) + "\n" for person in people))
    return str(path)


def read(path):
    return conversations.read(path, quarantine_lib.Quarantine(None))


@pytest.fixture
def people(tmp_path):
    return read(write(tmp_path, ANA, BEN))


def run(people, tools, chosen, known=None):
    task = conversations.Conversations(conversations.ConversationsConfig("", 2), people)
    (chunk,) = task.chunks()
    return [row for rows in task.run(chunk, chosen, tools, known or {}) for row in rows]


def judged(tools, answer):
    asked = []

    def text(chats):
        asked.extend(chat[0].content for chat in chats)
        return [answer] * len(chats)

    return protocol.Tools(tools.model, jury.ByText(text), tools.user, tools.cfg), asked


def test_what_a_line_says(people):
    ana, ben = people
    assert ana.gold == ("The user is allergic to kiwis.", "The user swims.")  # runs: gone
    assert [m.content for m in ana.history][2:4] == ["Nice weather!", "It is."]
    assert ana.probes == (
        conversations.Probe("A fruit salad, please.", ("The user is allergic to kiwis.",)),
    )
    assert ben.gold == ("The user lives in Riga.",) and ben.probes == () and ben.against == ()


def test_measures_by_hand(people):
    held = ("The user likes kiwis.", "The user swims.", "The user owns a swimming pool.")
    assert conversations.profile_measures(people[0], held) == {
        "held": 1.0,
        "faults": 1.0,
        "turned": 1.0,
        "precision": pytest.approx(1 / 3),  # the second
        "recall": 0.5,
        "facts": 3.0,
    }
    empty = conversations.profile_measures(people[0], ())
    assert empty == dict.fromkeys(empty, 0.0)


@pytest.mark.parametrize(
    "statement, is_turned",
    [
        ("The user is allergic to kiwis.", False),
        ("The user cannot stand kiwi.", False),
        ("The user breaks out in hives from kiwis.", False),
        ("The user does not eat kiwis.", False),
        ("The user wants kiwis only.", True),
        ("The user prefers a kiwi.", True),
        ("The user swims.", False),
    ],
)
def test_a_turned_stance(statement, is_turned):
    assert conversations.turned(statement, ("kiwi",)) == is_turned


def test_phrases_count_from_a_words_start():
    assert conversations.mentions("The user loves Kiwis.", "kiwi")
    assert not conversations.mentions("The user is a zookiwi.", "kiwi")


def test_each_system_gets_its_rows_and_the_oracle_is_right(people, tools):
    with_judge, asked = judged(tools, "<answer>Yes</answer>")
    names = ("no_history", "full_history", "memory_bank", "oracle", "inferred")
    chosen = baselines.choose(names)
    rows = run(people, with_judge, chosen)
    ids = ["ana", "ana/0", "ben"]
    by_system = {name: [r for r in rows if r["system"] == name] for name in chosen}
    assert all(sorted(r["id"] for r in of) == ids for of in by_system.values())
    assert len(asked) == len(chosen) and all("allergic to kiwis" in text for text in asked)
    oracle = {row["id"]: row["measures"] for row in by_system["oracle"]}
    assert oracle["ana"] == {
        "held": 1.0,
        "faults": 0.0,
        "turned": 0.0,
        "precision": 1.0,
        "recall": 1.0,
        "facts": 2.0,
    }
    assert oracle["ana/0"] == {"respected": 1.0}
    blank = {row["id"]: row["measures"] for row in by_system["no_history"]}
    assert blank["ana"] == {"held": 0.0, "faults": 0.0}  # holds no statements: its text counts
    told = {row["id"]: row["measures"] for row in by_system["full_history"]}
    assert told["ben"]["held"] == 1.0
    assert {row["part"] for row in rows} == {"profile", "probes"}


def test_no_verdict_is_a_failure_and_earlier_ones_are_kept(people, tools):
    silent, asked = judged(tools, "perhaps")
    chosen = baselines.choose(("oracle",))
    rows = run(people, silent, chosen)
    (probe,) = (row for row in rows if row["part"] == "probes")
    assert probe["failed"] and probe["measures"] == {}
    asked.clear()
    run(people, silent, chosen, {("oracle", "ana/0"): probe})
    assert asked == []


@pytest.mark.parametrize(
    "change, says",
    [
        ({"sessions": []}, "no turn"),
        ({"sessions": [[{"user": "Hi."}]]}, "no field 'gold'"),
        ({"holds": "kiwi"}, "holds is no list of strs"),
        ({"probes": [{"user": "x", "respect": [1]}]}, "respect is no list"),
        ({"user_id": 3}, "not a text"),
    ],
)
def test_malformed_lines_are_named(change, says, tmp_path):
    path = write(tmp_path, ANA | change)
    kept = tmp_path / "bad.jsonl"
    with pytest.raises(quarantine_lib.DataError), quarantine_lib.Quarantine(kept) as quarantine:
        conversations.read(path, quarantine)
    assert says in kept.read_text()


MESSAGES = (
    {
        "user_id": "cy",
        "session": 0,
        "messages": [
            {"role": "user", "content": "I always take the window seat."},
            {"role": "assistant", "content": "Noted."},
            {"role": "user", "content": "What is the capital of Chile?"},
        ],
        "gold": ["The user prefers window seats.", "No new preference."],
    },
    {
        "user_id": "cy",
        "session": 1,
        "messages": [{"role": "user", "content": "I swim on Mondays, nothing else."}],
        "gold": ["The user swims on Mondays."],
    },
    {"user_id": "di", "messages": [{"role": "user", "content": "Hello there."}]},
    {
        "user_id": "eve",
        "messages": [
            {"role": "user", "content": "I live in Riga."},
            {"role": "user", "content": "I love jazz."},
        ],
        "gold": [None, "The user loves jazz."],
    },
)


def test_a_file_of_messages_is_read_under_every_system(tools, tmp_path, caplog):
    with caplog.at_level("INFO"):
        people = read(write(tmp_path, *MESSAGES))
    assert [one.id for one in people] == ["cy", "eve"]  # di has no label
    assert "1 of 3 users have no gold" in caplog.text
    assert people[0].gold == ("The user prefers window seats.", "The user swims on Mondays.")
    chosen = baselines.choose(("no_history", "full_history", "oracle"))
    rows = run(people, tools, chosen)
    found = {(row["system"], row["id"]): row["measures"] for row in rows}
    assert found["oracle", "cy"] == {"shown": 1.0, "precision": 1.0, "recall": 1.0, "facts": 2.0}
    assert found["oracle", "eve"] == {"shown": 1.0, "recall": 1.0, "facts": 1.0}  # Riga: no label
    assert found["full_history", "cy"] == {"shown": 1.0}
    assert found["no_history", "cy"] == {"shown": 0.0}


def test_a_file_of_messages_without_a_label_is_refused(tmp_path):
    with pytest.raises(quarantine_lib.DataError, match="conversations.path=.*no gold"):
        read(write(tmp_path, MESSAGES[2]))


def test_a_turn_without_a_label_counts_for_nothing(tmp_path):
    turns = [
        {"user": "I live in Riga.", "gold": None},
        {"user": "Hi.", "gold": "No new preference."},
    ]
    (person,) = read(write(tmp_path, {"user_id": "f", "sessions": [turns]}))
    assert person.gold == () and len(person.history) == 2
    held = ("The user lives in Riga.",)  # may be right
    assert "precision" not in conversations.profile_measures(person, held)


def test_no_path_says_which_key(tmp_path):
    with pytest.raises(quarantine_lib.DataError, match="--config.conversations.path"):
        read("")
