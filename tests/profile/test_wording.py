"""Statements that say the same, and words that announce a change."""

import pytest

from pa_jax.profile import taxonomy, wording


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The user likes tea.", "the user  LOVES the Tea"),
        ("The user prefers dishes with fish.", "The user prefers a dish with fish"),
        ("The user studies maps.", "The user study map"),
        ("The user likes ﬁsh.", "The user likes fish."),
    ],
)
def test_same_key(left, right):
    assert wording.key(left) == wording.key(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The user likes C++.", "The user likes C#."),
        ("The user likes tea over coffee.", "The user likes coffee over tea."),
        ("The user has two cats.", "The user has three cats."),
        ("The user goes by he.", "The user goes by she."),
        ("The user likes tea.", "The user hates tea."),
        ("用户喜欢茶", "用户喜欢咖啡"),
        ("The user is 🙂.", "The user is 🙃."),
        ("the", "a"),
    ],
)
def test_other_key(left, right):
    assert wording.key(left) != wording.key(right)


def test_a_topic_is_shared_by_what_is_for_it_and_against_it():
    ways = ("likes", "hates", "does not like", "doesn't like", "no longer likes", "avoids")
    assert {wording.topic(f"The user {way} tea.") for way in ways} == {"tea"}
    negated = [wording.negated(f"The user {way} tea.") for way in ways]
    assert negated == [False, True, True, True, True, True]
    assert not wording.negated("The user does not dislike tea.")
    assert not wording.negated("The user likes tea.")


def test_no_two_values_of_the_taxonomy_have_one_topic():
    slots = taxonomy.Taxonomy.load().subcategories
    lines = [f"The user goes for {value} {slot.when}." for slot in slots for value in slot.values]
    lines += [example for slot in slots for example in slot.examples]
    assert len({wording.topic(line) for line in lines}) == len(lines) > 2000


def test_used_to_names_what_ended():
    assert wording.ended("The user used to live in Rome.") == "The user live in Rome."
    assert wording.ended("The user is used to noise.") is None
    assert wording.ended("The user once a week swims.") is None


@pytest.mark.parametrize(
    ("quote", "change", "also"),
    [
        ("I used to run, now I swim", True, False),
        ("From now on only mild food, please", True, False),
        ("from this month on I eat fish", True, False),
        ("I don't eat meat anymore", True, False),
        ("I also like it hot", False, True),
        ("It is too hot", False, False),
        ("I run", False, False),
    ],
)
def test_cues(quote, change, also):
    assert (wording.announces_change(quote), wording.adds(quote)) == (change, also)


def test_clean_leaves_one_line_without_control_characters():
    assert wording.clean(" a\n\tb\x00c\x1b\u2028d\ud800 ", 50) == "a b c d"
    assert wording.clean("שלום \u202eabc", 50) == "שלום \u202eabc"
    assert wording.clean("x" * 10, 10) == "x" * 10
    assert wording.clean("x" * 11, 10) == "x" * 7 + "..."


def test_labels_have_one_spelling():
    spellings = ("Board games", " board-GAMES ", "board_games", "Board/games!")
    assert {wording.label(text) for text in spellings} == {"board_games"}
    assert wording.label("!!!") == "unnamed"
    assert len(wording.label("x" * 500)) == wording.MAX_LABEL_CHARS
