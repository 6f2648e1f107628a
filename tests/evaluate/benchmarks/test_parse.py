"""Parsers on replies that models do write: strict ones take nothing but what was asked for."""

import pytest

from pa_jax.evaluate import metrics
from pa_jax.evaluate.benchmarks import parse


@pytest.mark.parametrize(
    ("reply", "strict", "lenient"),
    [
        ("<choice>B</choice>", "B", "B"),
        (" <choice> C </choice>\n", "C", "C"),
        ("<choice>[D]</choice>", None, "D"),
        ("I would take <choice>A</choice> because it is vegan.", None, "A"),
        ("<choice>A</choice><choice>B</choice>", None, "A"),
        ("<choice>B", None, "B"),  # cut off before the tag was closed
        ("<choice>Based on this, C</choice>", None, "B"),  # a word's capital counts, as there
        ("<choice>b</choice>", None, None),
        ("<choice>E</choice>", None, None),
        ("<choice></choice> B", None, None),
        ("<choice><b>C</b></choice>", None, "C"),
        ("<choice>A<br>B</choice>", None, None),
        ("<CHOICE>D</CHOICE>", None, "D"),
        ("<choice>&#66;</choice>", None, "B"),
        ("B", None, None),
        ("", None, None),
        ("3 < 4, so <choice>A</choice>", None, "A"),
    ],
)
def test_choices(reply, strict, lenient):
    assert parse.choice(reply) == strict
    assert parse.lenient_choice(reply) == lenient


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        ("<answer>Yes</answer>", True),
        ("It does not. <answer> no. </answer>", False),
        ("<answer>Yes</answer> or <answer>No</answer>", None),
        ("<answer>Not sure</answer>", None),
        ("Yes", None),
        ("", None),
        (None, None),
    ],
)
def test_a_verdict_is_one_plain_yes_or_no(answer, want):
    assert parse.yes(answer) is want


def texts(**said):
    return {name: f"<answer>{said.get(name, 'No')}</answer>" for name in parse.QUESTIONS}


def test_plain_answers_are_read_alike_by_both_parsers():
    said = texts(acknowledges="Yes", violates="Yes", helpful="Yes")
    want = metrics.Answers(acknowledges=True, violates=True, hallucinates=False, helpful=True)
    assert parse.strict_answers(said) == parse.lenient_answers(said) == want


def test_a_missing_verdict_is_a_failure_and_not_a_correct_reply():
    for name in ("violates", "helpful", "acknowledges"):
        said = texts(helpful="Yes", violates="Yes") | {name: None}
        assert parse.strict_answers(said) is None
    lenient = parse.lenient_answers(dict.fromkeys(parse.QUESTIONS))
    assert metrics.following_error(lenient) == ""  # PrefEval's code counts it as correct


def test_hallucination_is_asked_only_of_replies_that_name_a_preference():
    said = texts(acknowledges="No", helpful="Yes") | {"hallucinates": "no idea"}
    assert parse.strict_answers(said) == metrics.Answers(False, False, False, True)
    assert parse.strict_answers(said | texts(acknowledges="Yes") | {"hallucinates": ""}) is None
    assert not parse.lenient_answers(texts(hallucinates="Yes")).hallucinates


def test_the_lenient_parser_takes_any_no_for_unhelpful():
    assert not parse.lenient_answers(texts(helpful="I do not know")).helpful
    assert parse.lenient_answers(texts(helpful="maybe")).helpful


@pytest.mark.parametrize(
    ("answer", "want"),
    [("4", 4), (" 5.\n", 5), ("Score: 4", None), ("6", None), ("4/5", None), (None, None)],
)
def test_a_score_stands_alone(answer, want):
    assert parse.score(answer) == want
