"""Copies and turned stances in a snippet are found, and what only looks like one is not."""

import pytest

from pa_jax.dialogue import faults, schema, snippet


def episode(*, user="", gold=None, profile=()):
    return schema.Episode("u/1", "u", profile, "", user, gold)


KNOWN = ("The user likes tea.", "The user lives in Graz.")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The user likes tea.", ["The user likes tea."]),
        ("the user loves tea", ["the user loves tea"]),
        ("The user dislikes tea.", []),  # turned, but no copy
        ("The user likes cake.\nThe user lives in Graz.", ["The user lives in Graz."]),
        ('"I like cake."', ['"I like cake."']),
        ("The user says: I like cake.", ["The user says: I like cake."]),
        ("The user likes cake.", []),
        (snippet.NOTHING, []),
        ("", []),
    ],
)
def test_statements_of_the_profile_and_quotations_are_copies(text, found):
    one = episode(user="I like cake.", gold="The user likes cake.", profile=KNOWN)
    assert faults.copies(one, text) == found


def test_what_gold_says_again_is_no_copy():
    again = episode(user="Still tea!", gold="The user likes tea.", profile=KNOWN)
    assert faults.copies(again, "The user likes tea.") == []
    unknown = episode(user="Still tea!", profile=KNOWN)
    assert faults.copies(unknown, "The user likes tea.") == ["The user likes tea."]


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("The user is allergic to peanuts.", "The user prefers peanuts."),
        ("The user likes tea.", "The user dislikes tea."),
        ("The user does not eat meat.", "The user eats meat."),
        ("The user hates long meetings.", "The user likes long meetings."),
        ("The user prefers tea over coffee.", "The user prefers coffee over tea."),
        ("The user likes jazz.\nThe user is allergic to wool.", "The user wants wool."),
    ],
)
def test_the_right_object_with_the_wrong_stance(gold, text):
    assert faults.wrong_stances(episode(gold=gold), text) == [text]
    assert faults.wrong_stances(episode(gold=gold), gold) == []
    assert faults.wrong_stances(episode(gold=gold), f"{gold}\n{text}") == [text]


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("The user dislikes tea.\nThe user likes green tea.", "The user likes green tea."),
        ("The user dislikes long meetings.", "The user likes long walks."),
        ("The user is allergic to peanuts.", "The user cannot eat peanuts."),
        ("The user is allergic to peanuts.", "The user avoids peanuts."),
        ("The user's son is allergic to eggs.", "The user likes eggs."),
        ("The user prefers tea over coffee.", "The user dislikes coffee."),
        ("The user likes tea.", "The user dislikes rain."),
        ("The user likes tea.", snippet.NOTHING),
    ],
)
def test_other_objects_and_the_same_side_are_no_wrong_stance(gold, text):
    assert faults.wrong_stances(episode(gold=gold), text) == []


def test_without_gold_the_users_own_stance_tells():
    one = episode(user="I can't stand olives, what goes on a pizza?")
    assert faults.wrong_stances(one, "The user likes olives.") == ["The user likes olives."]
    assert faults.wrong_stances(one, "The user dislikes olives.") == []
    assert faults.wrong_stances(one, "The user likes pizza.") == []
    other = episode(user="My brother hates olives.")
    assert faults.wrong_stances(other, "The user likes olives.") == []
