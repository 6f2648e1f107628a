"""Imports that are wrong are refused whole, and the message says where."""

import copy
import dataclasses
import datetime
import json

import pytest

from pa_jax.profile import facts, portable, promote, turns, update

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
SPICE = "food/spice_level"
BELIEF = ("positive", "stated", 0.9)
LATER = NOON + datetime.timedelta(minutes=3)


def _fact(name, statement, **changes):
    fields = {"valid_to": None, "superseded_by": None} | changes
    return facts.Fact(
        id=name,
        user="ann",
        category="food",
        subcategory="spice_level",
        statement=statement,
        polarity="positive",
        authority="stated",
        confidence=0.5,
        valid_from=NOON,
        recorded_at=NOON,
        source=facts.Source(0, 1, "mild, please"),
        **fields,
    )


def _record(fact, version, event, turn, known_from, known_to):
    more = {"version": version, "event": event, "known_from": known_from, "known_to": known_to}
    return portable.Record(**vars(fact), by=facts.Place(0, turn), **more)


def _profile():
    mild, hot = _fact("0.1.0", "The user likes mild food."), _fact("0.2.0", "The user likes chili.")
    closed = _fact("0.1.0", mild.statement, valid_to=LATER, superseded_by="0.2.0")
    receipt = update.Outcome(0, "revised", "0.2.0", ("0.1.0",), "")
    return portable.Profile(
        "ann",
        (
            _record(mild, 0, "added", 1, NOON, LATER),
            _record(closed, 1, "superseded", 2, LATER, None),
            _record(hot, 0, "added", 2, LATER, None),
        ),
        (portable.AppliedTurn(0, 2, LATER, (receipt,)),),
        (promote.Label("bees", 1, NOON, NOON, None),),
        _journal(),
    )


def _journal():
    """A turn that was only received, and one that was answered."""
    begun = turns.start("ann", 0, 2, "mild,\nplease", "travel/flight_seat", NOON)
    op = facts.FactOp(
        "revise", "The user likes chili.", SPICE, "The user likes mild food.", *BELIEF
    )
    asked = {"asked": SPICE, "question": "How hot?", "why": "spice_level is open"}
    made = {"snippet": "The user likes chili.", "ops": (op,), "dropped": ("not said",)}
    made |= {"needs": (turns.Need(SPICE, 0.5),), "answer": "Noted."} | asked
    replied = dataclasses.replace(begun, session=1, times=(NOON, NOON, NOON, LATER, LATER), **made)
    return (begun, replied)


def test_loading_what_was_dumped_gives_the_same():
    data = portable.dump(_profile())
    assert portable.load(data) == _profile()
    assert portable.load(json.dumps(data)) == _profile()
    assert data["facts"][1]["valid_to"] == "2026-03-01T12:03:00+00:00"


def test_a_half_written_file_is_no_json():
    text = json.dumps(portable.dump(_profile()))
    for cut in (0, 1, len(text) // 2, len(text) - 1):
        with pytest.raises(ValueError, match="no JSON.*written to its end"):
            portable.load(text[:cut])


def _paths(data, path=()):
    """Every place in the data."""
    yield path
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _paths(value, (*path, key))


def _parent(data, path):
    for key in path[:-1]:
        data = data[key]
    return data


ALL_PATHS = [path for path in _paths(portable.dump(_profile())) if path]


@pytest.mark.parametrize("path", ALL_PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_field_that_is_missing_or_of_another_kind_is_refused(path):
    whole = portable.dump(_profile())
    for damage in ("remove", "retype"):
        data = copy.deepcopy(whole)
        parent = _parent(data, path)
        if damage == "retype":
            parent[path[-1]] = {"an": ["object"]}
        elif isinstance(parent, dict):
            del parent[path[-1]]
        else:
            continue
        with pytest.raises(ValueError, match="profile import"):
            portable.load(data)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "mem0", "format 'mem0' version 2; this pa_jax reads 'pa_jax.profile'"),
        (("version",), 3, "version 3; this pa_jax reads .* upgrade pa_jax"),
        (
            ("facts", 0, "subcategory"),
            "spice_levle",
            "facts.0.: .*the nearest is 'food/spice_level'",
        ),
        (("facts", 0, "polarity"), "good", "facts.0.: Fact.polarity='good': choose one of"),
        (("facts", 0, "confidence"), 1.5, "facts.0.: Fact.confidence=1.5"),
        (("facts", 0, "confidence"), True, "confidence is a bool; it must be a valid number"),
        (("facts", 0, "valid_from"), "2026-03-01T12:00:00", "valid_from: .* is not in UTC; end it"),
        (("facts", 0, "valid_from"), "noon", "facts.0..valid_from: 'noon' is no ISO 8601 time"),
        (("facts", 0, "statement"), "a\nb", "facts.0..statement: it must be one line"),
        (("facts", 0, "statement"), "x" * 1001, "statement: it must be one line of at most 1000"),
        (("facts", 0, "source", "quote"), "x" * 1001, "quote: it must be one line of at most"),
        (("facts", 0, "source", "turn"), -1, "source.turn: -1; it must be from 0"),
        (("facts", 0, "event"), "hacked", "event: 'hacked': choose one of added"),
        (("facts", 0, "version"), 1, "fact '0.1.0' lacks a version"),
        (("facts", 0, "known_to"), None, "versions of fact '0.1.0' do not follow one another"),
        (("facts", 1, "superseded_by"), "9.9.9", "superseded by one that is not in it"),
        (("facts", 0, "source", "quote"), "a\0b", "quote: it has a character that no database"),
        (("user",), "\ud800", "user: it has a character that no database stores"),
        (("facts", 0, "id"), "1" * 101, "id: it has 101 characters; allow 100"),
        (("labels", 0, "name"), "Board games", "name: .* not in its one spelling 'board_games'"),
        (("turns",), None, "profile import.turns is a NoneType; it must be a list"),
        (("journal", 0, "words"), "a\x1bb", r"journal\[0\].words: it is not as a journal keeps it"),
        (("journal", 0, "words"), "x" * 16_001, "at most 16000 characters"),
        (("journal", 0, "declined"), "food/none", r"journal\[0\].declined: slot='food/none'"),
        (("journal", 0, "times"), [], r"journal\[0\]: Turn.times has 0 entries; give a time"),
        (("journal", 0, "ops"), [], r"journal\[0\]: Turn.ops is \(\) in a turn that is received"),
        (("journal", 1, "ops"), None, r"journal\[1\]: Turn.ops is None in a turn that is replied"),
        (("journal", 1, "answer"), None, "Turn.answer is None in a turn that is replied"),
        (("journal", 1, "question"), None, "asked and Turn.question go together"),
        (("journal", 1, "ops", 0, "kind"), "drop", "FactOp.kind='drop': choose one of"),
        (("journal", 1, "times", 0), LATER.isoformat(), "none before the one it follows"),
        (("journal", 1, "times", 0), "noon", r"times\[0\]: 'noon' is no ISO 8601 time"),
        (("journal", 1, "needs", 0, "slot"), "food/none", "slot='food/none'"),
        (("labels", 0), "bees", r"labels\[0\] is a str; it must be an object"),
    ],
)
def test_a_wrong_value_is_named(path, value, message):
    data = portable.dump(_profile())
    _parent(data, path)[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        portable.load(data)


def test_a_profile_of_version_1_has_no_journal():
    data = portable.dump(_profile()) | {"version": 1}
    del data["journal"]
    assert portable.load(data) == dataclasses.replace(_profile(), journal=())


def test_doubled_turns_and_labels_are_refused():
    for part in ("turns", "labels", "journal"):
        data = portable.dump(_profile())
        data[part] *= 2
        with pytest.raises(ValueError, match=f"two of its {part} are the same"):
            portable.load(data)


@pytest.mark.parametrize("data", [None, [], "[]", 3])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(ValueError, match="it must be an object"):
        portable.load(data)
