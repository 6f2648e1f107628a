"""The gold statements of shared conversations land in a slot that a reader accepts.

The statements are not kept here: a label names one by its place, conversation.session.turn.line.
"""

import json
import pathlib

from pa_jax.profile import placement

LABELS = pathlib.Path(__file__).with_name("cases") / "placing_dev.txt"
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


def test_gold_statements_of_conversations_land_where_a_reader_would_look(real_data):
    labels, statements = accepted(), told(real_data / "conversations" / "dev.jsonl")
    assert labels.keys() == statements.keys()
    placed = {place: placement.place(text, ()) for place, text in statements.items()}
    wrong = {place: slot for place, slot in placed.items() if slot not in labels[place]}
    assert len(wrong) <= (1 - LEAST) * len(placed), wrong
