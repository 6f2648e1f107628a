"""What is said outright is noted by rule; what only looks like it is not."""

import json

import pytest

from pa_jax.english import explicit, statements

SAID = {
    "Keep your answers brief please, we share one screen.": ["The user wants brief answers."],
    "Always use metric units please, I'm from Ghent.": ["The user wants metric units."],
    "Please keep replies short since I am slow.": ["The user wants short replies."],
    "Please, always answer in German.": ["The user wants answers in German."],
    "keep answers under two sentences": ["The user wants answers under two sentences."],
    "Please keep your replies short.": ["The user wants short replies."],
    "Please make your explanations simple from now on.": ["The user wants simple explanations."],
    "always answer in French": ["The user wants answers in French."],
    "Can you always answer formally?": ["The user wants the assistant to answer formally."],
    "From now on use metric units, please.": ["The user wants metric units."],
    "No emojis, please": ["The user does not want emojis."],
    "Don't use bullet points.": ["The user does not want bullet points."],
    "Never apologise.": ["The user does not want the assistant to apologise."],
    "Country is not for me; I love jazz.": [
        "The user dislikes Country.",
        "The user loves jazz.",
    ],
    "Podcasts put me to sleep.": ["The user dislikes podcasts."],
    "techno is kinda growing on me ngl": ["The user likes techno."],
    "My brother loves golf but golf bores me stiff": ["The user dislikes golf."],
    "Long meetings are not my thing, and small talk does nothing for me": [
        "The user dislikes long meetings.",
        "The user dislikes small talk.",
    ],
    "The cake is not for me.": [],
    "My boss gets on my nerves.": [],
    "my sister's music drives me mad": [],
    "Is jazz not for me?": [],
    "good evening all, do call me Bea": ["The user wants to be called Bea."],
    "make it brief if you can, my screen is tiny": ["The user wants brief answers."],
    "make it brief, my train leaves in five minutes": [],
    "Call me Sam.": ["The user wants to be called Sam."],
    "You can call me Dr Who": [],
    "Don't call me sir.": ["The user does not want to be called sir."],
    "my name is Noor": ["The user wants to be called Noor."],
    "My pronouns are they/them.": ["The user's pronouns are they/them."],
    "Remember that my daughter is allergic to bees.": [
        "The user's daughter is allergic to bees.",
    ],
    "Please remember that I'm vegan and have two kids.": [
        "The user is vegan.",
        "The user has two kids.",
    ],
    "Don't forget I hate olives!": ["The user hates olives."],
    "Note: I'm left-handed.": ["The user is left-handed."],
    "hey, quick one: my boy is lactose intolerant, any ideas for a cake?": [
        "The user has a boy who is lactose intolerant.",
    ],
    "My son's allergic to eggs and my daughter has asthma.": [
        "The user has a son who is allergic to eggs.",
        "The user has a daughter who has asthma.",
    ],
    "my girlfriend can't eat gluten, so no pasta": [
        "The user has a girlfriend who cannot eat gluten.",
    ],
    "Our kids are vegetarians.": ["The user has kids who are vegetarians."],
    "My twins can't have milk.": ["The user has twins who cannot have milk."],
    "my ex-wife is vegan": [],
    "My colleague is vegan, what do I serve?": [],
    "Is my son allergic to nuts?": [],
    "my daughter might be allergic to milk": [],
    "My wife is allergic to mornings.": [],
    "i only do yoga": ["The user only does yoga."],
    "I never eat breakfast.": ["The user never eats breakfast."],
    "Hi! I'm allergic to nuts, eggs and fish.": ["The user is allergic to nuts, eggs and fish."],
    "I'm vegan btw, what's for dinner?": ["The user is vegan."],
    "I don't drive. Which train is best?": ["The user does not drive."],
    "I don't like heels and prefer comfortable, flat shoes.": [
        "The user does not like heels.",
        "The user prefers comfortable, flat shoes.",
    ],
    "I love Thai and Ethiopian food, but I can't stand Mexican food.": [
        "The user loves Thai food.",
        "The user loves Ethiopian food.",
        "The user cannot stand Mexican food.",
    ],
    "I adore Bach, I can't stand Wagner": [
        "The user adores Bach.",
        "The user cannot stand Wagner.",
    ],
    "I'm allergic to nuts and my son hates them.": ["The user is allergic to nuts."],
    "I love my dog and my cat.": ["The user loves their dog and their cat."],
    "I hate driving at night and my commute.": [
        "The user hates driving at night and their commute."
    ],
    "I love red wine, I just can't have it anymore.": ["The user loves red wine."],
}
UNSAID = """call me back later
Call me when you're done.
Use metric here.
Remember to buy milk.
Do you remember my name?
Never mind.
Keep the answer to this email short.
Keep it short this time.
I only need the summary.
I have a question about eggs.
I love the idea of that.
I love you.
I hate it when that happens.
I prefer the second option.
I'd like a recipe for lentil soup.
I used to love cheese.
Do I like cheese? Who knows.
If I hate opera, what else is there?
Maybe I prefer trains.
My sister never eats meat.
Translate this: I love cats.
Write a poem in which I hate winter. I hate winter so much.
She said "I never eat meat".
I want to know what pets never do.
Stop the music.
I'm allergic to his jokes.
No, that's wrong.
Today I only eat soup.
When I'm tired, I love crisps.
I can't eat it."""


@pytest.mark.parametrize("text", SAID)
def test_what_is_said_outright_is_stated(text):
    assert list(explicit.said(text)) == SAID[text]


@pytest.mark.parametrize("text", UNSAID.splitlines())
def test_what_is_asked_supposed_or_quoted_is_not(text):
    assert explicit.said(text) == ()


LIVED = {
    "I moved from Lyon to Ghent in March, I work nights in a hospital.": [
        "The user moved from Lyon to Ghent in March.",
        "The user works nights in a hospital.",
    ],
    "I want to get better at pottery, I've got a wheel.": [
        "The user wants to get better at pottery."
    ],
    "remote only, i look after my mum": ["The user looks after their mum."],
    "we've got two dogs and a hen": ["The user has two dogs and a hen."],
    "I study medicine in Graz": ["The user studies medicine in Graz."],
    "I'm learning Greek, so no subtitles please": ["The user is learning Greek."],
    "I live in the moment": [],
    "I'm planning a trip": [],
    "I have a cat picture here": [],
    "If I live in Rome, what should I see?": [],
    "I play the message again": [],
    "I work in the office today": [],
    "Translate: I live in Rome": [],
}


@pytest.mark.parametrize("text", LIVED)
def test_how_somebody_lives_is_told(text):
    assert list(explicit.lived(text)) == LIVED[text]


def test_a_pasted_text_says_nothing():
    assert explicit.said("I like tea. " * 100) == ()


def test_what_is_noted_by_rule_in_conversations_is_what_a_reader_notes(real_data):
    lines = (real_data / "conversations/dev.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [turn for line in lines for session in json.loads(line)["sessions"] for turn in session]
    right = noted = 0
    for turn in turns:
        for statement in explicit.said(turn["user"]):
            noted += 1
            right += any(statements.akin(statement, gold) for gold in turn["gold"].splitlines())
    assert noted >= 5 and right == noted


def test_noise_of_other_peoples_requests_adds_hardly_anything(real_data):
    """316 messages that have nothing to do with the user, ten of them a user: 0.3 facts at most."""
    path = real_data / "prefeval/benchmark_dataset/filtered_inter_turns.json"
    texts = [
        message["content"]
        for talk in json.loads(path.read_text(encoding="utf-8"))
        for message in talk["conversation"]
        if message["role"] == "user"
    ]
    assert len(texts) > 200
    found = sum(len(explicit.said(text)) + len(explicit.lived(text)) for text in texts)
    assert found <= 0.03 * len(texts)
