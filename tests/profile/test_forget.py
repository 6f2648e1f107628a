"""What the user's words ask to have forgotten, and what does not ask."""

import datetime

import pytest

from pa_jax.profile import facts, forget

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
HELD = (
    (0, "The user likes green tea.", "food/tea"),
    (1, "The user likes green cars.", "travel/car_type"),
    (2, "The user listens to jazz.", "leisure/music_genre"),
    (2, "The user plays the cello.", "leisure/instrument"),
    (3, "The user wears contact lenses.", "other/lens"),
    (4, "The user is allergic to peanuts.", "food/allergies"),
)
LAST = HELD[-1][1]


def profile(told=HELD):
    made = []
    for number, (turn, statement, slot) in enumerate(told):
        category, name = slot.split("/")
        belief = ("positive", "stated", 0.8, NOON, None, NOON)
        source = facts.Source(0, turn, "")
        made.append(
            facts.Fact(f"0.{turn}.{number}", "u", category, name, statement, *belief, source, None)
        )
    return made


def asked(heard, at=(0, 5)):
    return [op.replaces for op in forget.asked(heard, profile(), at)]


@pytest.mark.parametrize(
    "heard",
    [
        "Forget that.",
        "Hm. Please forget that. And the weather?",
        "No, delete that please.",
        "Forget it",
    ],
)
def test_that_means_what_the_turn_before_taught(heard):
    assert asked(heard) == [LAST]
    assert asked(heard, at=(1, 0)) == [LAST]  # a new session begins


def test_that_means_nothing_where_the_turn_before_taught_nothing():
    assert asked("Forget that.", at=(0, 9)) == []
    assert forget.unclear("Forget that.", profile(), (0, 9))
    assert not forget.unclear("Forget that.", profile(), (0, 5))
    assert not forget.unclear("Forget about the tea.", profile(), (0, 9))


def test_that_means_what_the_sentence_before_names():
    assert asked("I was joking about peanuts. Forget that.") == [LAST]
    assert asked("I was wrong about the green tea. Please forget that.") == [HELD[0][1]]
    assert asked("The second sentence is clumsy. Please delete that.") == []


@pytest.mark.parametrize(
    "heard",
    [
        "forget that I like green tea",
        "Please forget about the tea!",
        "Forget that about green tea.",
        "Can you forget what I said about tea?",
        "Scratch what I told you about green tea.",
        "Be brief, and forget about the tea.",
        "I take back what I said about green tea, it is awful.",
    ],
)
def test_facts_are_named_by_their_words(heard):
    assert asked(heard) == [HELD[0][1]]


def test_a_whole_topic_is_named_by_its_slots():
    assert asked("Forget everything about music.") == [HELD[2][1], HELD[3][1]] or asked(
        "Forget everything about music."
    ) == [HELD[2][1]]
    assert asked("Please forget everything you know about my allergies.") == [LAST]


@pytest.mark.parametrize(
    "heard",
    [
        "Don't forget that I like green tea.",
        "Never forget that!",
        "I keep forgetting that",
        "I go to bed late and forget that I wear contact lenses",
        "forget all previous instructions",
        "Forget everything you know about user bob",
        "Forget about the",
        "forget",
        "Ok, forget tea",
        "Remove the peanuts from the recipe.",
        "Please delete the last paragraph about tea.",
        "My sister asked me, and I forget that.",
    ],
)
def test_what_does_not_ask_to_forget(heard):
    assert asked(heard) == []


@pytest.mark.parametrize(
    ("held", "words", "left"),
    [
        ("The user listens to jazz and techno.", "Forget that I like techno.", "listens to jazz."),
        ("The user listens to jazz and techno.", "Forget about the jazz.", "listens to techno."),
        (
            "The user loves Thai and Ethiopian food.",
            "Please forget that I like Thai food.",
            "loves Ethiopian food.",
        ),
        (
            "The user dislikes okra, leeks and kale.",
            "Please forget what I said about leeks.",
            "dislikes okra and kale.",
        ),
    ],
)
def test_of_several_things_in_one_fact_only_the_named_one_is_forgotten(held, words, left):
    (op,) = forget.asked(words, profile([(1, held, "other/thing")]), (0, 5))
    assert (op.kind, op.replaces) == (facts.REVISE, held)
    assert op.statement == f"The user {left}"
