"""Everyday statements land in a slot that a reader accepts: our own, and those of conversations.

The statements of shared conversations are not kept here: a label names one by its place,
conversation.session.turn.line.
"""

import json
import pathlib

from pa_jax.profile import placement, taxonomy

LABELS = pathlib.Path(__file__).with_name("cases") / "placing_dev.txt"
EVERYDAY = LABELS.with_name("placing_everyday.txt")
HEALTH = LABELS.with_name("health.txt")
LEAST = 0.85


def accepted():
    """The slots that a reader accepts, by the statement's place."""
    lines = LABELS.read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines if line and not line.startswith("#"))
    return {place: frozenset(slots) for place, *slots in rows}


def told(path):
    """The gold statements of the conversations, by their place."""
    made = {}
    for person, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        for number, session in enumerate(json.loads(line)["sessions"]):
            for turn, said in enumerate(session):
                gold = [] if said["gold"].startswith("No new") else said["gold"].splitlines()
                for row, text in enumerate(gold):
                    made[f"{person}.{number}.{turn}.{row}"] = text
    return made


def test_everyday_statements_land_where_a_reader_would_look():
    lines = EVERYDAY.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" => ") for line in lines if line and not line.startswith("#")]
    assert len(rows) >= 100
    known = {slot.path for slot in taxonomy.Taxonomy.load().subcategories}
    assert {slot for _, slots in rows for slot in slots.split()} <= known
    placed = {text: placement.place(text, ()) for text, _ in rows}
    wrong = {text: placed[text] for text, slots in rows if placed[text] not in slots.split()}
    assert len(wrong) <= 0.05 * len(rows), wrong


def test_gold_statements_of_conversations_land_where_a_reader_would_look(real_data):
    labels, statements = accepted(), told(real_data / "conversations" / "dev.jsonl")
    assert labels.keys() == statements.keys()
    placed = {place: placement.place(text, ()) for place, text in statements.items()}
    wrong = {place: slot for place, slot in placed.items() if slot not in labels[place]}
    assert len(wrong) <= (1 - LEAST) * len(placed), wrong


def test_medicines_and_conditions_are_matters_of_safety():
    text = HEALTH.read_text(encoding="utf-8")
    parts = dict(part.split("]\n", 1) for part in text.split("\n[")[1:])
    safe = {slot.path for slot in taxonomy.Taxonomy.load().subcategories if slot.safety}

    def is_safety(said):
        return placement.place(f"The user {said}.", ()) in safe

    ways = ("takes {}", "is on {}", "takes {} every morning", "uses {} for the heart")
    taken = [way.format(name) for name in parts["medicines"].split() for way in ways]
    assert len(taken) > 700
    assert not [said for said in taken if not is_safety(said)]
    told = [line for line in parts["health"].splitlines() if line]
    assert not [said for said in told if not is_safety(said)]
    other = [line for line in parts["no safety"].splitlines() if line]
    assert not [said for said in other if is_safety(said)]
