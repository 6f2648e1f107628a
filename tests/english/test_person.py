"""Who a text speaks of, and how it is said in the third person."""

import pytest

from pa_jax.english import person


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I strictly avoid tea.", "The user strictly avoids tea."),
        ("I have a dog and walk my dog.", "The user has a dog and walk their dog."),
        ("I'm vegan.", "The user is vegan."),
        ('"I don\'t like tea."', "The user doesn't like tea."),
        ("As a nurse, I work nights.", "As a nurse, they work nights."),
        ("I cannot stand tea. I try coffee.", "The user cannot stand tea. The user tries coffee."),
    ],
)
def test_third_person(text, expected):
    assert person.third_person(text) == expected
    assert person.first_person(expected) == 0


def test_speaking_as_the_user_is_told():
    assert person.first_person("I love my cat.") == 1
    assert person.first_person("The user loves cats.\nI do.") == 0.5
    assert person.first_person('The user says "I love cats".') == 0


def test_replies_to_the_user_are_not_about_the_user():
    assert person.about_user("The user likes tea.")
    assert person.about_user("I like tea.")
    assert not person.about_user("Here are three teas:")


@pytest.mark.parametrize(
    "statement",
    ["Ich mag keinen Fisch.", "J'aime le thé.", "Soy alérgico al marisco.", "我喜欢茶。"],
)
def test_statements_in_other_languages_may_be_about_the_user(statement):
    assert person.about_user(statement)


def test_whose():
    assert person.whose("The user's sister loves sushi.") == "sister"
    assert person.whose("The user's little brother loves sushi.") == "brother"
    assert person.whose("The user's name is Ann.") == ""
    assert person.whose("The user has a sister.") == ""
