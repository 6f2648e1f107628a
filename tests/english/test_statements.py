"""Statements taken apart: what says the same, on which side, where and when."""

import pytest

from pa_jax.data.synth import truth
from pa_jax.english import statements
from pa_jax.profile import taxonomy


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
    assert statements.key(left) == statements.key(right)


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
    assert statements.key(left) != statements.key(right)


def test_a_topic_is_shared_by_what_is_for_it_and_against_it():
    ways = (
        "likes",
        "hates",
        "does not like",
        "doesnt like",
        "no longer likes",
        "avoids",
        "loathes",
    )
    assert len({statements.topic(f"The user {way} tea.") for way in ways}) == 1
    against = [statements.parse(f"The user {way} tea.").against for way in ways]
    assert against == [False, True, True, True, True, True, True]
    assert not statements.parse("The user does not dislike tea.").against


def test_no_two_values_of_the_taxonomy_have_one_topic():
    slots = taxonomy.Taxonomy.load().subcategories
    lines = [f"The user goes for {value} {slot.when}." for slot in slots for value in slot.values]
    lines += [example for slot in slots for example in slot.examples]
    assert len({statements.topic(line) for line in lines}) == len(lines) > 2000


def test_used_to_names_what_ended():
    assert statements.ended("The user used to live in Rome.") == "The user lives in Rome."
    assert statements.ended("The user used to be shy.") == "The user is shy."
    assert statements.ended("The user is used to noise.") is None
    assert statements.ended("The user once a week swims.") is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("The user has a peanut allergy.", {"kind": "allergy", "core": ("peanut",)}),
        ("The user is allergic to peanuts.", {"kind": "allergy", "core": ("peanut",)}),
        ("The user is no longer allergic to eggs.", {"kind": "allergy", "against": True}),
        ("The user no longer drinks coffee.", {"kind": "habit", "verb": "drink", "against": True}),
        ("The user has no mixer.", {"kind": "have", "against": True, "core": ("mixer",)}),
        ("The user is 34 years old.", {"kind": "be", "numbers": ("34",)}),
        ("The user has two cats.", {"numbers": ("2",)}),
        ("The user needs silence at work.", {"scope": frozenset({"work"})}),
        ("When cooking, the user likes jazz.", {"core": ("jazz",)}),
        ("The user eats everything except pork.", {"exceptions": frozenset({"pork"})}),
        ("The user prefers tea over coffee.", {"over": frozenset({"coffe"})}),
        ("The user wants a beach for this trip.", {"passing": True}),
        ("The user was a smoker.", {"past": True}),
        ("The user's sister loves sushi.", {"whose": "sister"}),
        ("The user mag keinen Fisch.", {"core": ("fisch",), "against": True}),
    ],
)
def test_parts(text, parts):
    found = statements.parse(text)
    assert {name: getattr(found, name) for name in parts} == parts


@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        ("The user prefers a mild dish without chili.", "positive"),
        ("The user does not dislike crowds.", "positive"),
        ("The user never eats meat.", "negative"),
        ("The user no longer likes tea.", "negative"),
        ("The user is allergic to nuts.", "negative"),
        ("The user has two children.", "neutral"),
        ("The user is vegetarian.", "neutral"),
        ("The user isn’t keen on jazz.", "negative"),
    ],
)
def test_polarity_is_of_the_stance_not_of_its_object(text, polarity):
    assert statements.polarity(text) == polarity


def test_every_wording_of_a_synthetic_preference_has_its_polarity():
    wanted = {truth.LIKE: "positive", truth.DISLIKE: "negative"}
    for slot in taxonomy.Taxonomy.load().subcategories[::6]:
        for value in slot.values:
            for way, polarity in wanted.items():
                if way == truth.DISLIKE and not truth.can_dislike(value):
                    continue
                for text in truth.variants(slot.path, value, way):
                    assert statements.polarity(text) == polarity, text


def test_what_was_said_is_known_by_its_object_its_names_and_its_numbers():
    def said(statement, quote):
        return statements.said(statement, statements.content(quote))

    assert said("The user lives in Ghent.", "We moved to Ghent last month.") == 1
    assert said("The user no longer drinks coffee.", "I gave up coffee.") == 1
    assert said("The user is 35 years old.", "I turned 35 yesterday.") == 1
    assert said("The user likes hot curry.", "The second one, please.") == 0


@pytest.mark.parametrize(
    ("statement", "vague"),
    [
        ("The user finds them annoying.", True),
        ("The user likes that one.", True),
        ("The user does not get it.", True),
        ("The user dislikes this.", True),
        ("The user finds drones annoying.", False),
        ("The user wants that window seat.", False),
        ("The user watches This Is Us.", False),
        ("The user is called Ann.", False),
        ("The user wants it in grams.", False),
    ],
)
def test_a_statement_that_names_nothing_is_vague(statement, vague):
    assert statements.vague(statement) == vague


@pytest.mark.parametrize(
    ("statement", "side", "kind"),
    [
        ("The user sneezes from ginger.", "negative", statements.ALLERGY),
        ("The user often gets a headache after drinking red wine.", "negative", statements.ALLERGY),
        ("The user comes out in hives from nickel.", "negative", statements.ALLERGY),
        ("The user no longer swells up from wasp stings.", "positive", statements.ALLERGY),
        ("The user is sick of rain.", "negative", statements.LIKE),
        ("The user has a rash.", "neutral", statements.HAVE),
        ("The user has a headache with aura.", "neutral", statements.HAVE),
        ("The user can't live without music.", "positive", statements.LIKE),
        ("The user never leaves the house without a hat.", "positive", statements.LIKE),
        ("The user cannot eat dairy without pain.", "negative", statements.HABIT),
    ],
)
def test_what_happens_tells_a_stance(statement, side, kind):
    assert statements.polarity(statement) == side
    assert statements.parse(statement).kind == kind


def test_a_reaction_is_about_what_an_allergy_is_about():
    allergy = statements.parse("The user is allergic to ginger.")
    assert statements.parse("The user sneezes from ginger.").about == allergy.about
