"""Requests and others' stances are not the user's own."""

import pytest

from pa_jax.english import own


@pytest.mark.parametrize(
    "statement, heard",
    [
        ("The user wants the history of Lisbon.", "What's the history of Lisbon? Keep it short."),
        ("The user wants a poem about rain.", "Please write a poem about rain for my aunt."),
        ("The user likes Thai food.", "Thai food? Any ideas where?"),
        ("The user loves sushi.", "Sushi? My sister loves it."),
        ("The user wants a limerick.", "Write a limerick about frogs. Give me a limerick!"),
        ("The user loves curling.", "My boss loves curling. He is from Oslo."),
        ("The user likes oat milk.", "My brother likes oat milk. Where do I get some for him?"),
        ("The user prefers tea.", "A baker I know swears by tea."),
        ("The user drinks coffee.", "My boss gave up coffee."),
        ("The user is deaf.", "hello again: my gran is deaf, which phone suits her?"),
        ("The user turns nine in May.", "She turns nine in May."),
        ("The user cannot climb stairs.", "Our youngest son can't climb stairs yet."),
        ("The user likes olives.", "my husband is mad about olives, i don't get it"),
    ],
)
def test_requests_and_others_preferences_are_not_the_users_own(statement, heard):
    assert own.not_own(statement, heard)


@pytest.mark.parametrize(
    "statement, heard",
    [
        ("The user does not want high stools.", "High stools? Not for me."),
        ("The user likes brutalism.", "My boss hates concrete. Brutalism? Right up my street."),
        ("The user does not want cold brew.", "Our tutor swears by cold brew. Not for me."),
        ("The user finds bridge dull.", "My aunt is fond of bridge, I just find it dull."),
        ("The user wants replies in Latin.", "Could you write to me in Latin?"),
        ("The user wants weights in stones.", "I'm old, so tell me weights in stones, please."),
        ("The user wants diagrams.", "Please no essays, give me diagrams."),
        (
            "The user has a son who cannot have nuts.",
            "What can I bake when my son can't have nuts?",
        ),
        ("The user likes oat milk.", "I like oat milk. Where do I get oat milk?"),
        ("The user likes oat milk.", "Could you find a cafe, since I prefer oat milk?"),
        ("The user likes oat milk.", "Is there a cafe near? Oat milk it must be."),
        ("The user likes oat milk.", "The second one, please. Can you help?"),
        ("The user likes oat milk.", "My brother and I like oat milk."),
        ("The user dislikes CrossFit.", "My mate swears by CrossFit but I find it cultish."),
        ("The user has gout.", "My doctor is sure that I have gout."),
        ("The user has a sister who is deaf.", "My sister is deaf, which phone suits her?"),
        ("The user is vegan.", "My wife and I are vegan."),
        ("The user has a son with asthma.", "My boy has asthma, any ideas for a trip?"),
        ("The user wants exact grams.", "Give me exact grams, never cups."),
        ("The user wants long answers.", "For recipes, give me long answers."),
        ("The user has a parrot.", "There's a parrot in the kitchen."),
        ("The user cannot stand cats.", "Cats? I cant stand them."),
        ("The user takes antidepressants.", "They switched me to antidepressants in hospital."),
        ("The user's name is Ann.", "Llamo Ann, quiero leche de avena."),
    ],
)
def test_what_the_user_says_of_themselves_is_their_own(statement, heard):
    assert not own.not_own(statement, heard)


@pytest.mark.parametrize(
    ("statement", "heard", "over"),
    [
        ("The user loves fondue.", "I used to love fondue.", True),
        ("The user has a dog.", "i used to have a dog", True),
        ("The user smokes.", "I used to smoke, quit in May", True),
        ("The user likes jazz.", "I used to like jazz. I like rock.", True),
        ("The user likes rock.", "I used to like jazz. I like rock.", False),
        ("The user does not smoke.", "I used to smoke, quit in May", False),
        ("The user loves olives.", "I used to hate olives, but love them", False),
        ("The user loves tea.", "I used to love tea and still do", False),
        ("The user loves coffee.", "I love coffee, I used to love decaf coffee.", False),
        ("The user runs half marathons.", "I used to run marathons. I run half marathons.", False),
        ("The user loves fondue.", "I used to love fondue. I still live in Bern.", True),
    ],
)
def test_what_was_so_is_not_so_now(statement, heard, over):
    assert own.past(statement, heard) == over


@pytest.mark.parametrize(
    ("statement", "heard", "others"),
    [
        ("The user has a sister who loves sushi.", "My sister loves sushi.", True),
        ("The user has an older brother who hates cats.", "my big brother hates cats", True),
        ("The user has a husband who is mad about opera.", "my husband is mad about opera", True),
        ("The user has a mother-in-law who lives on toast.", "mother-in-law lives on toast", True),
        ("The user has a mate who uses Vim.", "a mate uses Vim", True),
        ("The user has a mother who uses a walker.", "my mother uses a walker", False),
        ("The user has a cat who likes herring.", "my cat likes herring", False),
        ("The user has a wife who hates skiing.", "My wife hates skiing.", False),
        ("The user has a daughter who loves mud.", "My daughter loves mud.", False),
        ("The user has an uncle who eats snails.", "My uncle eats snails every Friday.", True),
        ("The user has an uncle who eats no snails.", "My uncle eats no snails.", False),
        ("The user has a friend who watches westerns.", "A friend watches westerns.", True),
        ("The user has a son who drinks oat milk.", "My son drinks oat milk.", False),
        ("The user has a husband who is deaf.", "My husband is deaf.", False),
        ("The user has twins who hate baths.", "the twins hate baths", False),
        ("The user has a friend who likes hiking with them.", "my friend hikes with me", False),
    ],
)
def test_what_an_adult_of_another_household_likes_is_not_noted(statement, heard, others):
    assert own.not_own(statement, heard) == others
