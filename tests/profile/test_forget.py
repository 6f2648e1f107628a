"""What the user's words ask to have forgotten, and what does not ask."""

import dataclasses
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


TOLD = {  # what was told in four languages, and in which words
    "German": (
        ("The user likes tea.", "Ich trinke gern Tee."),
        ("The user lives in Kassel.", "Ich wohne in Kassel."),
        ("The user has hay fever.", "Ich habe Heuschnupfen."),
        ("The user plays the violin.", "Ich spiele Geige im Orchester."),
    ),
    "French": (
        ("The user is vegan.", "Je suis végane."),
        ("The user works as a nurse.", "Je travaille comme infirmière à Lille."),
        ("The user has a dog called Rex.", "Mon chien s'appelle Rex."),
        ("The user loves crêpes.", "J'adore les crêpes."),
    ),
    "Spanish": (
        ("The user has asthma.", "Tengo asma desde niña."),
        ("The user likes swimming.", "Me gusta nadar en el mar."),
        ("The user has a sister in Lima.", "Mi hermana vive en Lima."),
        ("The user hates onions.", "Odio la cebolla."),
    ),
    "Chinese": (
        ("The user likes tea.", "我喜欢喝茶。"),
        ("The user lives in Chengdu.", "我住在成都。"),
        ("The user has a cat.", "我家有一只猫。"),
        ("The user learns to swim.", "我在学游泳。"),
    ),
}


@pytest.mark.parametrize(
    ("language", "heard", "gone"),
    [
        ("German", "Vergiss, dass ich Geige spiele.", 3),
        ("German", "Kannst du das mit dem Heuschnupfen vergessen?", 2),
        ("German", "Bitte lösch, was ich über Kassel gesagt habe.", 1),
        ("German", "Merk dir das bitte nicht.", 3),
        ("German", "Lösch das wieder.", 3),
        ("German", "Vergiss das mit der Geige bitte.", 3),
        ("German", "Könntest du meinen Heuschnupfen aus deinen Notizen streichen?", 2),
        ("German", "Ich vergesse ständig meine Schlüssel.", None),
        ("German", "Vergiss nicht, dass ich in Kassel wohne.", None),
        ("German", "Vergiss bitte nie, dass ich in Kassel wohne.", None),
        ("German", "Vergiss ja nicht meine Geige.", None),
        ("German", "Vergiss das mit dem Tee.", 0),
        ("German", "Vergiss das mit dem Hut.", None),  # of which nothing is held
        ("German", "Vergiss, was ich gerade gesagt habe.", 3),
        ("German", "Ich habe die Geige zu Hause vergessen.", None),
        ("German", "Lösch den letzten Absatz aus dem Text.", None),
        ("German", "Wie kann ich Kassel vergessen?", None),
        ("French", "Oublie que je suis végane.", 0),
        ("French", "Tu peux oublier mon chien ?", 2),
        ("French", "Efface ce que je t'ai dit sur mon travail d'infirmière.", 1),
        ("French", "Oublie ça.", 3),
        ("French", "Supprime-le, s'il te plaît.", 3),
        ("French", "Ne note pas ça.", 3),
        ("French", "Oublie ce que je viens de dire.", 3),
        ("French", "J'oublie toujours mon parapluie.", None),
        ("French", "N'oublie pas que je suis végane.", None),
        ("French", "J'ai oublié mon chien chez ma mère.", None),
        ("French", "Supprime le deuxième paragraphe.", None),
        ("Spanish", "Olvida lo de mi hermana.", 2),
        ("Spanish", "Borra de tu memoria lo de la cebolla.", 3),
        ("Spanish", "¿Puedes olvidar que tengo asma?", 0),
        ("Spanish", "Olvídalo.", 3),
        ("Spanish", "No lo apuntes, por favor.", 3),
        ("Spanish", "Elimina eso.", 3),
        ("Spanish", "Siempre olvido las llaves.", None),
        ("Spanish", "No olvides que tengo asma.", None),
        ("Spanish", "Mi hermana olvida todo.", None),
        ("Spanish", "Borra la última frase.", None),
        ("Chinese", "忘掉我住在成都这件事。", 1),
        ("Chinese", "请删除我养猫的记录。", 2),
        ("Chinese", "请忘记我学游泳的事。", 3),
        ("Chinese", "忘了吧。", 3),
        ("Chinese", "别记这个。", 3),
        ("Chinese", "你可以把喝茶那条删掉吗？", 0),
        ("Chinese", "我忘了带伞。", None),
        ("Chinese", "别忘了我喜欢喝茶。", None),
        ("Chinese", "我不会忘记成都的。", None),
        ("Chinese", "把第二段删掉。", None),
    ],
)
def test_other_languages_name_what_is_to_go_by_the_words_it_was_told_in(language, heard, gone):
    """`gone` is the place of what goes, None where the words ask for nothing."""
    told = [(turn, text, "other/x") for turn, (text, _) in enumerate(TOLD[language])]
    quotes = [quote for _, quote in TOLD[language]]
    held = [
        dataclasses.replace(fact, source=dataclasses.replace(fact.source, quote=quote))
        for fact, quote in zip(profile(told), quotes, strict=True)
    ]
    found = [op.replaces for op in forget.asked(heard, held, (0, 4))]
    assert found == ([] if gone is None else [TOLD[language][gone][0]])
