"""Refusals are recognised, answers and other requests are not taken for one."""

import pytest

from pa_jax.english import refusals

REFUSALS = (
    "I'd rather not say.",
    "I would prefer not to answer that, sorry.",
    "Rather not. Just give me a list.",
    "I don't want to talk about it.",
    "I won't tell you.",
    "That's none of your business!",
    "Not your concern.",
    "mind your own business",
    "Skip that.",
    "skip this question please",
    "Hmm, skip.",
    "Pass.",
    "I'll pass on that one, thanks",
    "No comment.",
    "Next question, please.",
    "That's private.",
    "This is a bit personal, sorry.",
    "Please don't ask me about that.",
    "I'd keep that to myself.",
    "I’m not comfortable sharing that.",
    "Let's skip that one, and now give me the plan.",
)
ANSWERS = (
    "",
    "A window seat, please.",
    "I don't mind, either is fine.",
    "No preference.",
    "I'd rather have the aisle.",
    "I'd rather not fly at night.",
    "I prefer not eating meat.",
    "I don't want to eat late.",
    "Skip the dessert.",
    "I usually skip breakfast.",
    "A mountain pass in spring.",
    "Pass me the recipe for bread.",
    "I don't talk about work at dinner; a quiet place then.",
    "My boss says it's none of his business.",
    "Keep it to my usual budget.",
    "He told me “I'd rather not say.” What did he mean?",
    "A private room, please.",
    "Which questions should I ask in an interview?",
    "I can't tell you how much I love window seats!",
)


@pytest.mark.parametrize("words", REFUSALS)
def test_a_refusal_is_recognised(words):
    assert refusals.declined(words)
    assert not refusals.declined_all(words)


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_is_no_refusal(words):
    assert not refusals.declined(words)


@pytest.mark.parametrize(
    "words",
    ("Stop asking me things.", "No more questions, please.", "Don't ask me anything else."),
)
def test_asking_for_no_questions_at_all_declines_this_one_too(words):
    assert refusals.declined_all(words)
    assert refusals.declined(words)


def test_a_megabyte_is_read_in_no_time():
    assert not refusals.declined("I'd rather " * 100_000)
