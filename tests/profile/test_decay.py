"""Certainty halves with each half-life; budgets choose what is most certain and relevant."""

import dataclasses
import datetime
import json
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pa_jax.profile
from pa_jax.profile import decay, facts, promote, render

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
FILE = pathlib.Path(pa_jax.profile.__file__).with_name("taxonomy.json")
CONTENT = json.loads(FILE.read_text(encoding="utf-8"))


def fact(number=0, statement="The user naps.", confidence=0.8, category="food", days=0, turn=None):
    time = NOON + days * DAY
    return facts.Fact(
        id=f"0.{number}.0",
        user="ann",
        category=category,
        subcategory="spice_level",
        statement=statement,
        polarity="positive",
        authority="stated",
        confidence=confidence,
        valid_from=time,
        valid_to=None,
        recorded_at=time,
        source=facts.Source(0, number if turn is None else turn, ""),
        superseded_by=None,
    )


@pytest.mark.parametrize("category", CONTENT["categories"], ids=lambda c: c["id"])
def test_a_half_life_halves(category):
    known = fact(category=category["id"])
    days = category["half_life_days"]
    assert decay.confidence_at(known, now=NOON + days * DAY) == pytest.approx(0.4)
    assert decay.confidence_at(known, now=NOON + 2 * days * DAY) == pytest.approx(0.2)


def test_other_and_categories_that_went_age_by_the_half_life_of_other():
    days = CONTENT["other_half_life_days"]
    for category in ("other", "a category of last year"):
        aged = decay.confidence_at(fact(category=category), now=NOON + days * DAY)
        assert aged == pytest.approx(0.4)


def test_nothing_decays_before_it_was_recorded():
    assert decay.confidence_at(fact(), now=NOON - DAY) == 0.8


def test_stale_facts_come_least_certain_first():
    sure, faint, fainter = fact(0), fact(1, confidence=0.25), fact(2, confidence=0.1)
    assert decay.stale([sure, faint, fainter], now=NOON) == (fainter, faint)
    assert decay.stale([sure], now=NOON + 1000 * DAY) == (sure,)


def test_a_label_is_promoted_once_and_for_good():
    label = None
    for day in range(promote.PROMOTE_AFTER + 2):
        label = promote.see(label, "bees", now=NOON + day * DAY)
    promoted = NOON + (promote.PROMOTE_AFTER - 1) * DAY
    assert label == promote.Label("bees", day + 1, NOON, NOON + day * DAY, promoted)


def words(text):
    return len(text.split())


def choose(profile, *, max_tokens=1000, relevance=lambda fact: 1.0, now=NOON):
    return render.choose(profile, now=now, relevance=relevance, max_tokens=max_tokens, count=words)


def test_all_that_fits_comes_oldest_first():
    profile = [fact(2, days=2), fact(0), fact(10, days=1), fact(9, days=1)]
    assert [known.id for known in choose(profile)] == ["0.0.0", "0.9.0", "0.10.0", "0.2.0"]


def test_the_most_certain_is_chosen_first_then_the_newest():
    unsure, old, new = fact(0, confidence=0.5), fact(1), fact(2)
    assert choose([unsure, old, new], max_tokens=8) == (old, new)  # "- The user naps." has 4
    assert choose([old, new], max_tokens=4) == (new,)


def test_safety_goes_before_all_else():
    allergy = dataclasses.replace(
        fact(0, "The user is allergic to nuts.", 0.1), subcategory="allergies"
    )
    sure, new = fact(1), fact(2, days=3)
    assert choose([sure, new, allergy]) == (allergy, sure, new)
    assert choose([sure, new, allergy], max_tokens=7) == (allergy,)
    old = NOON + 3000 * DAY
    assert choose([allergy, sure], max_tokens=7, now=old) == (allergy,)


def test_relevance_weighs_certainty():
    unsure, sure = fact(0, confidence=0.5), fact(1, "The user skis.")
    relevance = {"0.0.0": 1.0, "0.1.0": 0.1}
    assert choose([unsure, sure], max_tokens=4, relevance=lambda f: relevance[f.id]) == (unsure,)


def test_a_fact_too_long_leaves_its_room_to_the_next():
    long, short = fact(0, "The user " + "very " * 20 + "much naps.", 0.9), fact(1)
    assert choose([long, short], max_tokens=6) == (short,)


def test_age_counts_against_certainty():
    old, new = fact(0, confidence=0.9), fact(1, confidence=0.6, days=600)
    assert choose([old, new], max_tokens=4, now=NOON + 600 * DAY) == (new,)


def test_no_room_at_all_is_refused():
    with pytest.raises(ValueError, match="max_tokens=0 has no room for .*allow 1 or more"):
        choose([], max_tokens=0)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.text(st.sampled_from("ab \n"), min_size=1, max_size=12), max_size=8),
    st.integers(7, 60),
)
def test_the_rendered_choice_is_within_the_budget_however_tokens_join(texts, budget):
    def count(text):  # joins cost: not the sum over lines
        return len(text) + 2 * text.count("\n-")

    profile = [fact(n, f"x{text}") for n, text in enumerate(texts)]
    chosen = render.choose(
        profile, now=NOON, relevance=lambda f: 1.0, max_tokens=budget, count=count
    )
    text = render.render([f.statement for f in chosen], max_chars=10_000)
    assert count(text) <= budget
