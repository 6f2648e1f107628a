"""Profiles against gold: hand-counted users, and how often different preferences pass for one."""

import datetime
import itertools

import pytest

from pa_jax.data.synth import truth
from pa_jax.dialogue import schema, snippet
from pa_jax.evaluate.profiles import match
from pa_jax.profile import facts, taxonomy

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TEA, HERBAL = (
    "The user prefers green tea at breakfast.",
    "The user prefers herbal tea at breakfast.",
)
BOAT, CATS = "The user likes sailing boats on holiday.", "The user avoids cats in the house."
NOISE = "The user wants a quiz about old shirts."


def fact(statement, number, *, slot="food/tea", ended=False):
    category, _, name = slot.partition("/")
    return facts.Fact(
        id=f"0.{number}.0",
        user="u",
        category=category,
        subcategory=name,
        statement=statement,
        polarity="positive",
        authority="stated",
        confidence=0.9,
        valid_from=NOW,
        valid_to=NOW if ended else None,
        recorded_at=NOW,
        source=facts.Source(0, number, "words"),
        superseded_by=None,
    )


def turn(gold, *, retires=(), slot=""):
    return schema.Turn("words", gold=gold, retires=retires, slot=slot)


TURNS = (
    turn(TEA, slot="food/tea"),
    turn(f"{BOAT}\n{CATS}", slot="travel/cruise"),
    turn(snippet.NOTHING),
    turn(HERBAL, retires=(TEA,), slot="food/tea"),
)


def test_gold_is_what_was_said_and_not_taken_back():
    gold = match.gold_of(TURNS)
    assert gold.held == {BOAT: "travel/cruise", CATS: "", HERBAL: "food/tea"}
    assert gold.retired == {TEA: "food/tea"}
    again = match.gold_of([*TURNS, turn(TEA, retires=(HERBAL,))])
    assert TEA in again.held and set(again.retired) == {HERBAL}
    assert match.gold_of([turn(None), turn(None)]) is None
    assert match.gold_of([]).held == {}


def test_labelled_turns_count_and_of_others_nothing_is_known():
    gold = match.gold_of([turn(None), *TURNS, turn(None)])
    whole = match.gold_of(TURNS)
    assert (gold.held, gold.retired) == (whole.held, whole.retired)
    assert gold.unlabelled == {0, 5}
    held = [fact(HERBAL, 4), fact(BOAT, 0), fact(NOISE, 0), fact(NOISE, 2), fact(TEA, 5)]
    matched = match.compare(held, gold)  # the noise of turn 0 may be right, that of 2 is not
    assert (matched.facts, matched.right, matched.unsupported, matched.stale) == (4, 2, 1, 1)


def test_counts_of_one_user():
    history = [
        fact(TEA, 0),  # stale: never ended
        fact(HERBAL, 1),
        fact("At breakfast, the user goes for herbal tea.", 2),  # the same again
        fact("The user likes sailing boats.", 3, slot="travel/city"),  # right, in a wrong slot
        fact(CATS, 4, slot="other/cats", ended=True),  # known, and wrongly ended
        fact(NOISE, 5),
    ]
    matched = match.compare(history, match.gold_of(TURNS))
    assert matched == match.Match(
        facts=5,
        gold=3,
        right=2,
        duplicate=1,
        stale=1,
        unsupported=1,
        learnt=1,
        retired=0,
        lost=1,
        slotted=2,
        in_slot=1,
    )
    mended = [fact(TEA, 0, ended=True), *history[1:]]
    assert match.compare(mended, match.gold_of(TURNS)).retired == 1


def test_shares_are_over_all_facts_and_empty_ones_are_none():
    gold = match.gold_of(TURNS)
    good = match.compare([fact(text, k) for k, text in enumerate(gold.held)], gold)
    bad = match.compare([fact(NOISE, 0)], gold)
    figures = match.summary([good, bad])
    assert figures["precision"]["mean"] == pytest.approx(3 / 4)
    assert figures["recall"]["mean"] == pytest.approx(3 / 6)
    assert figures["f1"]["mean"] == pytest.approx(2 * 0.75 * 0.5 / 1.25)
    assert figures["junk"]["mean"] == pytest.approx(1 / 4)
    assert figures["precision"]["low"] == 0.0 and figures["precision"]["high"] == 1.0
    assert figures["retired_rightly"] == {"mean": None, "low": None, "high": None, "n": 0}
    nothing = match.summary([match.compare([], gold)])
    assert nothing["precision"]["mean"] is None and nothing["recall"]["mean"] == 0.0


def test_opposites_do_not_match_and_each_statement_is_used_once():
    assert match.likeness("The user likes tea.", "The user dislikes tea.") == 0
    assert match.assign([TEA, TEA], [TEA]) == [(0, 0)]
    assert match.assign([HERBAL, TEA], [TEA, HERBAL]) == [(0, 1), (1, 0)]


def test_rewordings_match_and_other_values_of_a_slot_hardly_do():
    same = other = pairs = wordings = 0
    for slot in taxonomy.Taxonomy.load().subcategories[::4]:
        likes = [truth.variants(slot.path, v, truth.LIKE) for v in slot.values]
        for first, *rest in likes:
            wordings += len(rest)
            same += sum(match.likeness(first, x) >= match.LEVEL for x in rest)
        for a, b in itertools.combinations([row[0] for row in likes], 2):
            pairs += 1
            other += match.likeness(a, b) >= match.LEVEL
    assert same == wordings
    assert other <= 0.07 * pairs
