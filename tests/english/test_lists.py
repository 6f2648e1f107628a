"""Compound lines are their statements; what is asked to be forgotten leaves a list."""

import pytest

from pa_jax.data.synth import truth
from pa_jax.english import lists
from pa_jax.profile import taxonomy

COMPOUND = {
    "The user loves very spicy food, and never eats meat.": (
        "The user loves very spicy food.",
        "The user never eats meat.",
    ),
    "I love very spicy food, and I never eat meat.": (
        "I love very spicy food.",
        "I never eat meat.",
    ),
    "The user likes tea but dislikes coffee": ("The user likes tea.", "The user dislikes coffee."),
    "The user is vegan and has a peanut allergy.": (
        "The user is vegan.",
        "The user has a peanut allergy.",
    ),
    "The user loves jazz, hates techno and plays the saxophone.": (
        "The user loves jazz.",
        "The user hates techno.",
        "The user plays the saxophone.",
    ),
    "The user works as a nurse and usually cycles to work.": (
        "The user works as a nurse.",
        "The user usually cycles to work.",
    ),
    "The user's sister is vegan and lives in Oslo.": (
        "The user's sister is vegan.",
        "The user's sister lives in Oslo.",
    ),
    "The user's flat is small and has a balcony.": (
        "The user's flat is small.",
        "The user's flat has a balcony.",
    ),
    "The user has two cats and trains for a marathon.": (
        "The user has two cats.",
        "The user trains for a marathon.",
    ),
    "The user drinks tea when working, but hates coffee.": (
        "The user drinks tea when working.",
        "The user hates coffee.",
    ),
    "The user lives in Bergen; the user speaks Norwegian.": (
        "The user lives in Bergen.",
        "the user speaks Norwegian.",
    ),
    "The user rides a bike and has a son who is four and has asthma.": (
        "The user rides a bike.",
        "The user has a son who is four and has asthma.",
    ),
    "The user is 34 years old, is married and cannot swim.": (
        "The user is 34 years old.",
        "The user is married.",
        "The user cannot swim.",
    ),
}
WHOLE = """The user likes bread and butter.
The user has a son who is four and has asthma.
The user likes planes and trains.
The user wants to move to Oslo and work in a bakery.
I want to learn to cook and eat well.
The user stays in when it rains and is cold.
The user likes and collects stamps.
The user enjoys walks and runs.
The user likes fish and chips, bread and jam.
The user prefers tea to coffee and juice.
At work, the user drinks tea and avoids coffee."""


@pytest.mark.parametrize("line", COMPOUND)
def test_a_compound_line_is_its_statements(line):
    assert lists.parts(line) == list(COMPOUND[line])


@pytest.mark.parametrize("line", WHOLE.splitlines())
def test_one_statement_stays_whole(line):
    assert lists.parts(line) == [line]


def test_no_synthetic_statement_is_taken_apart():
    for slot in taxonomy.Taxonomy.load().subcategories[::4]:
        for text in (*truth.variants(slot.path, slot.values[0], truth.LIKE),):
            assert lists.parts(text) == [text]


def test_kinds_of_a_thing_are_statements_of_their_own_and_names_are_not_cut():
    assert lists.parts("The user loves Thai, Greek and Ethiopian food.") == [
        "The user loves Thai food.",
        "The user loves Greek food.",
        "The user loves Ethiopian food.",
    ]
    for line in ("The user likes Drum and Bass music.", "The user buys Marks and Spencer food."):
        assert lists.parts(line) == [line]
