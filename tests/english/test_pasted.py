"""Material to work on says nothing of who pastes it; people's own words are never taken for it."""

import json

import pytest

from pa_jax.agent.inference import draft
from pa_jax.data.synth import phrases
from pa_jax.english import pasted

# A message, a snippet that a model may write of it, and what of it is kept.
MATERIAL = (
    ("Question 3 Which of the following is a mammal? Select one: bat, trout, wasp", "likes bats"),
    ("If I ____ more money, I would buy a boat.", "wants to buy a boat"),
    ("self.label.setText(name) raises a TypeError, why?", "wants a label"),
    ("Objective: draw a maze. Constraints: compact code, one file.", "wants compact code"),
    ("Simplify this text: In this work we explored mosses.", "explored mosses"),
    ("Translate into Polish: I want to feed the cats.", "wants to feed the cats"),
    ("As a plant owner, I want to see my orders so that I can plan.", "wants to see orders"),
    ("You are the project manager at a bakery. What do you do first?", "is a project manager"),
    ("62 year old woman with pain in the left hip, worse on stairs", "has pain in the left hip"),
    ("Enumerate five film titles that are short and original", "wants short and original titles"),
)
OWN = (
    ("trap and drill mainly, cant stand edm", "dislikes edm"),
    ("two cats, Pip and Bean, they chew anything green", "has two cats"),
    ("I'm allergic to nuts. Translate this menu: soup of the day", "is allergic to nuts"),
    ("I work in SQL all day, why is df.groupby(x) slow?", "works in SQL all day"),
    ("you are right, I do hate mornings", "hates mornings"),
    ("You have that wrong, I work at a bakery in Ghent now", "works at a bakery in Ghent"),
    ("Context: I'm a nurse on nights. Task: plan my meals.", "is a nurse on nights"),
    ("lost 3 points on my licence so I cycle to work", "cycles to work"),
    ("62 year old woman here, I have arthritis in both hands", "has arthritis in both hands"),
    ("In short: I moved in with my sister", "moved in with a sister"),
    ("suggest a dinner, nothing with nuts please", "does not want nuts"),
    ("assume i know calculus, always", "knows calculus"),
)


def kept(heard, told):
    turn = draft.Observed("ann", 0, 0, "", heard, ())
    return draft.Draft(turn, f"The user {told}.", True).statements


@pytest.mark.parametrize(("heard", "told"), MATERIAL)
def test_nothing_of_a_text_to_work_on_is_the_users(heard, told):
    assert not kept(heard, told)


@pytest.mark.parametrize(("heard", "told"), OWN)
def test_own_words_are_kept(heard, told):
    assert kept(heard, told) == [f"The user {told}."]


def test_a_third_of_what_training_calls_pasted_is_known_by_its_marks():
    """The others, short ones that go on with such work above all, are for the policy to learn."""
    texts = phrases.nothing(phrases.ENGLISH)["pasted"]
    assert sum(pasted.own_words(text) is not None for text in texts) >= len(texts) / 3


def test_what_people_say_of_themselves_is_no_material(real_data):
    lines = (real_data / "conversations/dev.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [turn for line in lines for session in json.loads(line)["sessions"] for turn in session]
    assert turns and all(pasted.own_words(turn["user"]) is None for turn in turns)
