"""Facts and operations refuse what cannot be true."""

import dataclasses
import datetime

import pytest

from pa_jax.profile import facts

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def _fact(**changes):
    fact = facts.Fact(
        id="f1",
        user="u1",
        category="food",
        subcategory="tea",
        statement="The user drinks green tea.",
        polarity="positive",
        authority="stated",
        confidence=0.9,
        valid_from=NOON,
        valid_to=None,
        recorded_at=NOON,
        source=facts.Source(session=0, turn=3, quote="green tea, always"),
        superseded_by=None,
    )
    return dataclasses.replace(fact, **changes)


def _op(**changes):
    op = facts.FactOp(
        kind=facts.ADD,
        statement="The user drinks green tea.",
        slot="food/tea",
        replaces=None,
        polarity="positive",
        authority="inferred",
        confidence=0.5,
    )
    return dataclasses.replace(op, **changes)


def test_slot_is_the_path():
    assert _fact().slot == "food/tea"


def test_a_fact_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _fact().confidence = 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user": " "}, "Fact.user is ' '"),
        ({"statement": ""}, "Fact.statement is ''"),
        ({"polarity": "good"}, "polarity='good': choose one of positive, negative, neutral"),
        ({"authority": "guessed"}, "authority='guessed': choose one of stated, inferred"),
        ({"confidence": 1.01}, "confidence=1.01"),
        ({"confidence": float("nan")}, "confidence=nan"),
        ({"valid_from": NOON.replace(tzinfo=None)}, "valid_from=.* is not in UTC"),
        ({"valid_to": NOON - datetime.timedelta(seconds=1)}, "lies before valid_from"),
        ({"superseded_by": "f1"}, "superseded by itself"),
    ],
)
def test_impossible_facts_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _fact(**changes)


def test_times_of_another_zone_are_refused():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    with pytest.raises(ValueError, match="recorded_at=.* is not in UTC"):
        _fact(recorded_at=NOON.astimezone(zone))


def test_each_kind_takes_what_it_needs():
    assert _op().replaces is None
    revise = _op(kind=facts.REVISE, replaces="The user drinks black tea.")
    assert (revise.statement, revise.replaces) == (
        "The user drinks green tea.",
        "The user drinks black tea.",
    )
    assert (
        _op(kind=facts.RETRACT, statement=None, replaces="The user drinks tea.").kind == "retract"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "delete"}, "kind='delete': choose one of add, revise, retract"),
        ({"statement": None}, "statement of 'add' is None"),
        ({"replaces": "old"}, "replaces='old' with kind 'add'"),
        ({"kind": "revise"}, "replaces of 'revise' is None"),
        ({"kind": "retract", "replaces": "old"}, "statement='The user .* with kind 'retract'"),
        ({"slot": "food/teas"}, "nearest is 'food/tea'.*other/LABEL"),
        ({"slot": "other/"}, "FactOp.slot='other/'"),
        ({"slot": "other/a/b"}, "FactOp.slot='other/a/b'"),
        ({"confidence": -0.1}, "confidence=-0.1"),
    ],
)
def test_impossible_operations_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _op(**changes)


def test_what_fits_nowhere_takes_a_proposed_label():
    assert _op(slot="other/beekeeping").slot == "other/beekeeping"
