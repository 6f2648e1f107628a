"""What the profile rules out is never named in a reply; what is asked for or liked may be."""

import pytest

from pa_jax.agent import avoid
from pa_jax.infer.serving import ruled_out
from pa_jax.profile import facts
from tests.agent import scripted, test_reply_prompt

OP = facts.FactOp(
    "add", "The user is allergic to eggs.", "food/allergies", None, "negative", "stated", 1.0
)
ASKED = "What could I have tonight?"


def named(*statements, message=ASKED, slot="food/cuisine"):
    held = [test_reply_prompt.fact(text, slot, turn=i) for i, text in enumerate(statements)]
    return set(avoid.words_of(held, message))


@pytest.mark.parametrize(
    ("statement", "ruled_out"),
    [
        ("The user is allergic to peanuts.", "peanut satay"),
        ("The user has a shellfish allergy.", "shellfish prawn lobster"),
        ("The user does not tolerate hazelnuts.", "hazelnut"),
        ("The user has a son who is lactose intolerant.", "milk cream cheese"),
        ("The user is lactose intolerant.", "butter yogurt"),
        ("The user has coeliac disease and cannot eat gluten.", "wheat bread pasta"),
        ("The user is vegetarian.", "chicken tuna prawn"),
        ("The user has been vegan for ten years.", "beef egg honey cheese"),
        ("The user eats only halal food.", "bacon wine"),
        ("The user keeps kosher.", "pork shrimp"),
        ("The user does not drink alcohol.", "wine gin cocktail"),
        ("The user is a recovering alcoholic and does not drink alcohol.", "wine beer"),
        ("The user is vegetarian and hates aubergines.", "aubergine chicken"),
        ("The user is allergic to milk.", "cheese"),
        ("The user does not eat fish.", "salmon tuna fish"),
        ("The user cannot have nuts.", "almond walnut peanut"),
        ("The user hates the smell of bananas.", "banana"),
        ("The user dislikes coriander.", "coriander"),
        ("The user is allergic to cats.", "cat"),
        ("The user's wife is allergic to kiwi.", "kiwi"),
        ("The user avoids caffeine.", "caffeine"),
        ("The user hates horror films.", "horror"),
        ("The user is pregnant.", "wine sashimi"),
        ("The user needs gluten-free food.", "gluten wheat bread"),
        ("The user gave up alcohol.", "beer"),
        ("The user dislikes opera but loves musicals.", "opera"),
        ("The user gets hives from strawberries.", "strawberry"),
    ],
)
def test_it_names_what_is_ruled_out(statement, ruled_out):
    assert set(ruled_out.split()) <= named(statement)


def test_of_what_is_not_eaten_a_reply_may_speak_to_who_reacts_to_it():
    reacts = "The user gets migraines from screens."
    assert named(reacts, slot="health/other_allergies") == set()


@pytest.mark.parametrize(
    "statement",
    [
        "The user likes peanuts.",
        "The user is not allergic to cats.",
        "The user is no longer vegetarian.",
        "The user is not vegan.",
        "The user used to be vegetarian.",
        "The user used to hate fish.",
        "The user does not want onions this time.",
        "The user has two children.",
        "The user lives in Ghent.",
        "The user is looking for a job.",
        "The user has no car.",
        "The user has no allergies.",
        "The user does not eat after 8 pm.",
        "The user does not drink enough water.",
        "The user does not like the cold.",
        "The user hates being late.",
        "The user is not a morning person.",
    ],
)
def test_other_facts_rule_nothing_out(statement):
    assert not named(statement)


def test_how_to_reply_is_no_topic():
    assert not named("The user does not want long answers.", slot="communication/answer_length")


def test_what_the_message_asks_for_may_be_named():
    vegetarian = "The user is vegetarian."
    assert "salmon" not in named(vegetarian, message="Which fish would my guests like?")
    assert "chicken" in named(vegetarian, message="Which fish would my guests like?")
    assert "peanut" not in named("The user is allergic to peanuts.", message="Are peanuts nuts?")


@pytest.mark.parametrize(
    ("message", "ruled_out", "asked"),
    [
        ("I adore curries but can't stand coriander. What could I cook?", "coriander", "curry"),
        ("I'm allergic to peanuts, and I've been vegan for years.", "peanut honey", ""),
        ("My boy is lactose intolerant, any ideas for a cake?", "milk cream", "cake"),
        ("I'm vegetarian. Which fish would my guests like?", "chicken", "fish salmon"),
        ("I hate olives, anchovies and capers. What could I cook?", "olive anchovy caper", ""),
        ("Why do people hate olives?", "", "olive"),
        ("I'm not vegetarian, what is in season?", "", "chicken"),
        ("Nothing with mushrooms please.", "mushroom", ""),
        ("No onions!", "onion", ""),
        ("My doctor says I can't have salt. What can I cook?", "salt", ""),
        ("I hate my job. What should I do?", "", "job"),
        ("I can't find my keys, where could they be?", "", "find key"),
        ("I don't like your answer. Try again.", "", "answer your"),
    ],
)
def test_what_the_message_itself_rules_out_is_not_named_either(message, ruled_out, asked):
    found = named(message=message)
    assert set(ruled_out.split()) <= found and not set(asked.split()) & found


def test_what_is_liked_may_be_named():
    found = named("The user dislikes Mexican food.", "The user loves Thai food.")
    assert "mexican" in found and not {"thai", "food"} & found
    assert "fish" not in named("The user is vegetarian.", "The user eats fish.")


def test_no_liking_ends_an_allergy():
    found = named("The user is allergic to peanuts.", "The user loves peanuts and satay.")
    assert {"peanut", "satay"} <= found
    assert "cheese" in named("The user is lactose intolerant.", "The user loves cheese.")


def test_safety_comes_first():
    said = ("The user dislikes tea.", "The user is allergic to kiwi.")
    held = [test_reply_prompt.fact(text, "food/cuisine", turn=i) for i, text in enumerate(said)]
    assert avoid.words_of(held, ASKED) == ("kiwi", "tea")


def test_a_word_is_written_in_both_numbers_and_wherever_it_begins():
    found = avoid.texts(("cherry", "fish"))
    wanted = (" cherry", "Cherry", " cherries", "Cherries", " fish", " fishes", " Fish", "fish")
    assert set(wanted) <= {*found} and len(set(found)) == len(found)
    assert len(avoid.texts(f"word{n}" for n in range(1000))) == ruled_out.TEXTS


@pytest.mark.parametrize("rules", [False, True])
def test_the_agent_hands_the_words_to_the_engine(profiles, rules):
    class Heard(scripted.Model):
        how: list = []

        def submit(self, prompt_ids, **how):
            self.how.append(how.get("avoid"))
            return super().submit(prompt_ids, **how)

    model = Heard()
    talk = scripted.agent(profiles, model, avoid=rules).session("ann", 0)
    profiles.apply("ann", [OP], facts.Source(0, 0, "I can't have eggs"), now=scripted.NOON)
    talk.respond("What is for brunch?")
    assert (" egg" in (model.how[-1] or ())) == rules
    assert " eggs" not in (talk.respond("How do I boil eggs?") and model.how[-1] or ())
