"""Gold of synthetic users under the profile's own rules: what holds is held, what ended is not."""

import datetime
import re

import pytest

from pa_jax.data.synth import truth, users
from pa_jax.dialogue import snippet
from pa_jax.english import statements
from pa_jax.profile import facts, forget, placement, update

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def operations(turn, held, number):
    """What a perfect inferencer does in a turn; statements are placed by their words."""
    ops = list(forget.asked(turn.user, held, (turn.session, number)))
    named = {op.replaces for op in ops}
    ops = [op for op in ops if op.replaces in turn.retires]
    old = list(turn.retires)
    for line in snippet.parse(turn.gold).statements:
        kind, replaces = (facts.REVISE, old.pop(0)) if old else (facts.ADD, None)
        slot, way = placement.place(line, held), statements.polarity(line)
        ops.append(facts.FactOp(kind, line, slot, replaces, way, "stated", 1.0))
    for line in set(old) - named:
        slot = placement.place(line, held)
        ops.append(facts.FactOp(facts.RETRACT, None, slot, line, "neutral", "stated", 1.0))
    return ops


@pytest.mark.parametrize("count", [120, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("split", truth.SPLITS)
def test_gold_survives_the_profile(split, count):
    wrong, ended, told = [], 0, 0
    for index in range(count):
        dialogue = users.dialogue(5, index, split=split)
        held, gold = (), []
        for number, turn in enumerate(dialogue.turns):
            held = update.apply(
                held,
                operations(turn, held, number),
                user=dialogue.user_id,
                source=facts.Source(turn.session, number, turn.user),
                now=START + datetime.timedelta(days=turn.session, minutes=number),
            ).facts
            gold = [line for line in gold if line not in turn.retires]
            gold += snippet.parse(turn.gold).statements
            ended, told = ended + len(turn.retires), told + len(turn.gold.splitlines())
        if sorted(fact.statement for fact in held) != sorted(gold):
            both = {fact.statement for fact in held} ^ set(gold)
            wrong.append((dialogue.id, both))
    assert told > 2000 and ended > 80
    assert wrong == []


@pytest.mark.parametrize("split", truth.SPLITS)
def test_every_statement_has_its_polarity(split):
    against = ("dislikes", "hates", "avoids")
    for index in range(40):
        for turn in users.dialogue(5, index, split=split).turns:
            for line in snippet.parse(turn.gold).statements:
                way = statements.polarity(line)
                if line.startswith("The user is allergic to"):
                    assert way == "negative", line
                elif line.split()[2] in against or " does not want " in line:
                    assert way == "negative", line
                elif re.match(r"The user (prefers|likes|loves|wants|enjoys) (?!no\b|\w+ing)", line):
                    assert way == "positive", line
