"""What is known of users, as it is said to them."""

import pytest

from pa_jax.english import second_person


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("The user is allergic to peanuts.", "You are allergic to peanuts."),
        ("The user likes tea.", "You like tea."),
        ("The user has two children.", "You have two children."),
        ("The user never eats meat.", "You never eat meat."),
        ("The user no longer lives in Ghent.", "You no longer live in Ghent."),
        ("The user doesn't watch sports.", "You don't watch sports."),
        ("The user does not like rum.", "You do not like rum."),
        ("The user's sister loves sushi.", "Your sister loves sushi."),
        ("The user watches films.", "You watch films."),
        ("The user tries new dishes.", "You try new dishes."),
        ("The user uses a Mac.", "You use a Mac."),
        ("The user misses home.", "You miss home."),
        ("The user goes to bed early.", "You go to bed early."),
        ("The user cannot stand opera.", "You cannot stand opera."),
        ("The user was born in Rome.", "You were born in Rome."),
        ("The user prefers tea and avoids coffee.", "You prefer tea and avoid coffee."),
        ("The user likes cats and dogs.", "You like cats and dogs."),
        ("The user likes snacks and drinks.", "You like snacks and drinks."),
        ("The user eats meat and drinks wine.", "You eat meat and drink wine."),
        ("The user strongly dislikes noise, and wants quiet.", "You strongly dislike noise, and "
         "want quiet."),
        ("Spicy food is what the user likes.", "Spicy food is what you like."),
        ("Tea was given to the user as a present.", "Tea was given to you as a present."),
        ("The user has a sister who loves tea and hates rum.", "You have a sister who loves tea "
         "and hates rum."),
        ("The user is a vegetarian, and so is their boss.", "You are a vegetarian, and so is their "
         "boss."),
        ("The user's boss thinks the user works too much.", "Your boss thinks you work too much."),
        ("The user needs the user manual in German.", "You need the user manual in German."),
        ("The user's is the red one.", "Yours is the red one."),
        ("The user isn't and wasn't a fan of jazz.", "You aren't and weren't a fan of jazz."),
        ("The user travels, cooks, and reads, and wishes to do more.", "You travel, cook, and read,"
         " and wish to do more."),
        ("The user likes snacks, drinks and cakes.", "You like snacks, drinks and cakes."),
        ("The user hurt himself skiing.", "You hurt yourself skiing."),
        ("The user taught a son to dress himself.", "You taught a son to dress himself."),
        ("Der Nutzer mag keinen Koriander.", "Der Nutzer mag keinen Koriander."),
        ("El usuario prefiere café.", "El usuario prefiere café."),
        ("<b>The user likes tea.</b>", "<b>you like tea.</b>"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_statement_is_said_to_its_user(statement, told):
    assert second_person.told(statement) == told


def test_they_are_the_user_where_the_user_spoke_of_nobody_else():
    said = "The user loves their dog."
    assert second_person.told(said, "I love my dog") == "You love your dog."
    assert second_person.told(said, "I love their dog") == "You love their dog."
    assert second_person.told(said) == "You love their dog."
    of_parents = "The user's parents love their garden."
    assert second_person.told(of_parents, "my parents love it") == (
        "Your parents love their garden."
    )


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("The user prefers window seats when they fly.", "You prefer window seats when you fly."),
        ("The user keeps their keys in the hall.", "You keep your keys in the hall."),
        ("The user hums while they cook their soup.", "You hum while you cook your soup."),
        ("The user likes trains when they are empty.", "You like trains when they are empty."),
        ("The user likes dogs and their noses.", "You like dogs and their noses."),
        ("The user likes people who know their trade.", "You like people who know their trade."),
    ],
)
def test_what_its_user_wrote_as_a_fact_is_the_users(written, told):
    assert second_person.told(written, written) == told
