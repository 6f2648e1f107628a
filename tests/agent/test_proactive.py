"""The rule that decides to ask, and the needs it rests on."""

import dataclasses
import datetime

import pytest

from configs import common
from pa_jax.agent import proactive
from pa_jax.jobs import setup
from pa_jax.profile import facts, taxonomy

NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
SEAT, LUGGAGE, TEA = "travel/flight_seat", "travel/luggage", "food/tea"
NEEDS = ((SEAT, 0.8), (LUGGAGE, 0.4))


def config(**changed):
    cfg = setup.section(proactive.AskConfig, common.asking("tiny"))
    plain = {"sure": 0.8, "enough": 0.7, "gain": 1.0, "cost": 0.3, "budget": 2, "cooldown": 1}
    return dataclasses.replace(cfg, **(plain | changed))


def fact(slot, *, confidence=1.0, days=0, statement="The user prefers this."):
    category, subcategory = slot.split("/")
    then = NOW - datetime.timedelta(days=days)
    return facts.Fact(
        "0.0.0", "u", category, subcategory, statement, "positive", "stated",
        confidence, then, None, then, facts.Source(0, 0, ""), None,
    )  # fmt: skip


def request(*profile, **changed):
    plain = {
        "words": "Book me a flight.",
        "profile": profile,
        "asked": frozenset(),
        "declined": frozenset(),
        "questions": 0,
        "since": 0,
    }
    return proactive.Request(**(plain | changed))


def decide(asked, needs=NEEDS, **changed):
    return proactive.decision(asked, needs, cfg=config(**changed), now=NOW)


def test_the_most_valuable_question_is_asked():
    made = decide(request())
    assert made.slot == SEAT
    assert made.question == taxonomy.Taxonomy.load().get(SEAT).question
    assert made.coverage == 0
    assert made.value == pytest.approx(0.8 * 1.0 - 0.3)
    assert "Flight seat" in made.why


def test_what_is_known_in_part_is_worth_less():
    made = decide(request(fact(SEAT, confidence=0.6)))
    assert made.coverage == pytest.approx(0.8 * 0.75 / 1.2)
    assert made.slot == LUGGAGE  # 0.4 - 0.3 against 0.8 x 0.25 - 0.3
    assert made.value == pytest.approx(0.1)


def test_an_answer_changes_what_comes_next():
    assert decide(request(fact(SEAT), questions=1, since=2)).slot == LUGGAGE
    assert decide(request(fact(LUGGAGE), questions=1, since=2)).slot == SEAT


def test_a_stale_fact_does_not_cover():
    half = 540  # days, in which a travel fact of 1 falls below decay.STALE_BELOW
    assert decide(request(fact(SEAT, days=2 * half))).coverage == 0
    retired = dataclasses.replace(fact(SEAT, days=1), valid_to=NOW)
    assert decide(request(retired)).coverage == 0


@pytest.mark.parametrize(
    ("changed", "cfg", "why"),
    [
        ({"profile": (fact(SEAT), fact(LUGGAGE))}, {}, "covers 100%"),
        ({"profile": (fact(SEAT),)}, {"enough": 0.6}, "covers 67%"),
        ({"questions": 2, "since": 9}, {}, "budget of 2"),
        ({"questions": 1, "since": 1}, {}, "1 turns old"),
        ({"asked": frozenset({SEAT, LUGGAGE})}, {}, "asked about or declined"),
        ({"asked": frozenset({SEAT}), "declined": frozenset({LUGGAGE})}, {}, "or declined"),
        ({"declined": frozenset({proactive.ANY})}, {}, "no questions"),
        ({}, {"cost": 0.9}, "worth -0.10"),
        ({}, {"budget": 0}, "budget of 0"),
    ],
)
def test_reasons_against_a_question(changed, cfg, why):
    made = decide(request(**changed), **cfg)
    assert made.slot is None and made.question is None
    assert why in made.why


def test_a_declined_slot_gives_way_to_the_next():
    assert decide(request(declined=frozenset({SEAT}))).slot == LUGGAGE
    assert decide(request(asked=frozenset({SEAT}))).slot == LUGGAGE


def test_nothing_needed_is_covered():
    made = decide(request(), needs=())
    assert made.coverage == 1 and made.slot is None and made.value == -0.3


def test_a_cooldown_of_none_asks_in_the_turn_that_answers():
    assert decide(request(questions=1, since=1), cooldown=0).slot == SEAT
