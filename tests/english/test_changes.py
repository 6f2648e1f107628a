"""Words about a change count where they stand."""

import pytest

from pa_jax.english import changes, endings, statements


def named(statement):
    return statements.parse(statement).named


@pytest.mark.parametrize(
    ("heard", "given_up"),
    [
        ("I gave up window seats, the hottest curry it is.", True),
        ("The days of window seats are over.", True),
        ("No window seats any more.", True),
        ("An aisle seat instead of window seats, please.", True),
        ("You still have me down for window seats, I think. That's out of date.", True),
        ("Remember window seats? I'm done with that.", True),
        ("I gave up coffee but I love window seats.", False),
        ("I gave up coffee. Window seats are fine.", False),
        ("My sister gave up window seats.", False),
        ("Window seats or the hottest curry.", False),
    ],
)
def test_what_is_given_up_is_named_in_the_clause_that_gives_it_up(heard, given_up):
    assert endings.gives_up(heard, named("The user likes window seats.")) is given_up


def test_a_topic_is_given_up_by_its_name():
    topic = frozenset({"flight", "seat"})
    heard = "Scratch what I told you about flight seats."
    assert endings.gives_up(heard, named("The user prefers the aisle."), topic)
    assert not endings.gives_up("Scratch what I told you.", frozenset({"aisle"}), topic)


@pytest.mark.parametrize(
    ("heard", "adds"),
    [
        ("I also like it hot", True),
        ("Hot food too", True),
        ("Hot food. Also, recommend a book", False),
        ("Also, recommend a book about hot food", False),
        ("It is hot", False),
    ],
)
def test_an_addition_counts_in_the_clause_about_it(heard, adds):
    assert changes.adds(heard, named("The user likes hot food.")) is adds


def test_an_announcement_counts_in_the_clause_about_it():
    hot = named("The user likes hot food.")
    assert any(map(changes.turns, changes.near("From now on only hot food, please", hot)))
    assert not any(map(changes.turns, changes.near("From now on be brief. I like hot food", hot)))


def test_what_is_for_once_is_told():
    assert changes.passing("This time I want a beach.", frozenset({"beach"}))
    assert not changes.passing("This time be brief. I like a beach.", frozenset({"beach"}))


@pytest.mark.parametrize("heard", ["I meant Hanna, not Anna.", "Scratch that, 500.", "My mistake."])
def test_corrections(heard):
    assert changes.corrects(heard)
