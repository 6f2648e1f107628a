"""Stances are found, denied and turned."""

import pytest

from pa_jax.english import stance


def test_opposites():
    turned = stance.turned("The user prefers tea.\nThe user is tall.", stance.JUDGED)
    assert turned == "The user dislikes tea.\nIt is not true that the user is tall."
    assert stance.turned(turned, stance.JUDGED) == "The user likes tea.\nThe user is tall."
    assert stance.pair("The user avoids tea.") == ("The user dislikes tea.", "The user likes tea.")


def test_the_two_vocabularies_share_no_stance():
    for line in ("prefers tea", "dislikes tea", "goes for tea", "avoids tea", "is tea"):
        text = f"The user {line}."
        made = {stance.turned(text, words) for words in (stance.JUDGED, stance.MEASURED)}
        assert len(made | {text}) == 3


@pytest.mark.parametrize(
    ("text", "against", "rest"),
    [
        ("loathes cilantro", True, "cilantro"),
        ("is sick of pasta", True, "pasta"),
        ("can not stand olives", True, "olives"),
        ("does not like tea", True, "tea"),
        ("no longer likes tea", True, "tea"),
        ("does not dislike tea", False, "tea"),
        ("prefers a dish without chili", False, "a dish without chili"),
        ("likes no calls", True, "no calls"),
        ("is into jazz", False, "jazz"),
        ("is mad about olives", False, "olives"),
        ("gave up coffee", True, "coffee"),
    ],
)
def test_the_first_stance_and_what_it_is_about(text, against, rest):
    found = stance.find(text)
    assert (found.against, found.object.strip()) == (against, rest)


def test_words_that_look_like_a_stance_are_none():
    for text in ("moved into a flat", "eats foods like pizza", "has two children"):
        assert stance.find(text).words == ""


def test_the_users_own_stance():
    assert stance.is_own("I really like oat milk")
    assert stance.is_own("oat milk is my favourite")
    assert not stance.is_own("my brother likes oat milk")
