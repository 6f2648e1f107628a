"""Polarity, what a turn's words name, and labels, on statements whose meaning is plain."""

import datetime

import pytest

from pa_jax.agent import statements
from pa_jax.data import synth_truth
from pa_jax.profile import facts, taxonomy

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def fact(statement, slot="food/spice_level", number=0):
    category, _, name = slot.partition("/")
    return facts.Fact(
        id=f"0.{number}.0",
        user="u",
        category=category,
        subcategory=name,
        statement=statement,
        polarity="positive",
        authority="stated",
        confidence=0.9,
        valid_from=NOW,
        valid_to=None,
        recorded_at=NOW + datetime.timedelta(seconds=number),
        source=facts.Source(0, number, "words"),
        superseded_by=None,
    )


def test_every_wording_of_a_synthetic_preference_has_its_polarity():
    wanted = {synth_truth.LIKE: "positive", synth_truth.DISLIKE: "negative"}
    for slot in taxonomy.Taxonomy.load().subcategories[::6]:
        for value in slot.values:
            for way, polarity in wanted.items():
                if way == synth_truth.DISLIKE and not synth_truth.can_dislike(value):
                    continue
                for text in synth_truth.variants(slot.path, value, way):
                    assert statements.polarity(text, slot.path) == polarity, text


@pytest.mark.parametrize(
    ("text", "slot", "polarity"),
    [
        ("The user prefers a mild dish without chili.", "food/spice_level", "positive"),
        ("The user does not dislike crowds.", "travel/crowds", "positive"),
        ("The user never eats meat.", "food/meat_and_fish", "negative"),
        ("The user no longer likes tea.", "other/tea", "negative"),
        ("The user has two children.", "other/children", "neutral"),
        ("The user is vegetarian.", "food/meat_and_fish", "positive"),
        ("The user isn’t keen on jazz.", "other/jazz", "negative"),
    ],
)
def test_polarity_is_of_the_stance_not_of_its_object(text, slot, polarity):
    assert statements.polarity(text, slot) == polarity


def test_a_fact_is_replaced_where_the_words_announce_it_and_name_the_fact():
    mild = fact("The user prefers a mild dish.", number=1)
    window = fact("The user likes window seats.", "travel/seat", number=2)
    new, held = "The user wants the hottest curry.", (mild, window)

    def replaced(words, taken=()):
        return statements.replaced(new, "food/spice_level", words, held, taken)

    assert replaced("From now on the hottest curry for me, no mild dish any more.") == mild
    assert replaced("From now on the hottest curry for me.") is None  # names no held fact
    assert replaced("The hottest curry for me, or a mild dish.") is None  # announces no change
    assert replaced("No mild dish any more.", taken={mild.id}) is None
    assert replaced("I gave up window seats, the hottest curry it is.") == window


def test_the_old_fact_of_the_same_slot_goes_first():
    held = (
        fact("The user likes curry.", "food/cuisine", number=2),
        fact("The user likes rice.", "food/spice_level", number=1),
    )
    words = "I used to like rice and curry, from now on it is pizza."
    old = statements.replaced("The user likes pizza.", "food/cuisine", words, held, ())
    assert old == held[0]


def test_a_label_is_of_the_object_and_an_own_label_comes_back():
    text = "The user prefers vintage postcards when it rains."
    assert statements.label(text, ()) == "vintage_postcard"
    held = (fact("The user collects old postcards.", "other/old_postcard"),)
    assert statements.label(text, held) == "old_postcard"
    assert statements.label("???", ()) == "unnamed"


def test_replies_to_the_user_are_not_about_the_user():
    assert statements.about_user("The user likes tea.")
    assert statements.about_user("I like tea.")
    assert not statements.about_user("Here are three teas:")


@pytest.mark.parametrize(
    "statement, words",
    [
        ("The user wants the history of Lisbon.", "What's the history of Lisbon? Keep it short."),
        ("The user wants a poem about rain.", "Please write a poem about rain for my aunt."),
        ("The user likes oat milk.", "My brother likes oat milk. Where do I get some for him?"),
        ("The user prefers tea.", "A baker I know swears by tea."),
    ],
)
def test_requests_and_others_preferences_are_not_the_users_own(statement, words):
    assert statements.not_own(statement, words)


@pytest.mark.parametrize(
    "statement, words",
    [
        ("The user likes oat milk.", "I like oat milk. Where do I get oat milk?"),
        ("The user likes oat milk.", "Could you find a cafe, since I prefer oat milk?"),
        ("The user likes oat milk.", "Is there a cafe near? Oat milk it must be."),
        ("The user likes oat milk.", "The second one, please. Can you help?"),
        ("The user likes oat milk.", "My brother and I like oat milk."),
        ("The user's name is Ann.", "Llamo Ann, quiero leche de avena."),
    ],
)
def test_what_the_user_says_of_themselves_is_their_own(statement, words):
    assert not statements.not_own(statement, words)
