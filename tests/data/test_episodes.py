import dataclasses

import pytest

from pa_jax.data import decompose
from pa_jax.dialogue import schema, snippet

TURNS = (
    schema.Turn("I love jazz.", "Nice!", gold="Loves jazz.", slot="music/genre", kind="explicit"),
    schema.Turn("What is 2+2?", "4", gold=snippet.NOTHING, kind="distractor"),
    schema.Turn("No nuts, no milk.", "Noted.", gold="Avoids nuts.\nAvoids milk."),
    schema.Turn(
        "I'm over jazz, it's blues now.",
        "OK.",
        gold="Loves blues.\nAvoids nuts.",
        retires=("Loves jazz.",),
        session=1,
    ),
    schema.Turn("Hello again", "Hi", gold=None, session=3),
    schema.Turn("Bye", "", gold=snippet.NOTHING, session=3),
)
DIALOGUE = schema.Dialogue("d", "u", TURNS)


def test_profile_grows_by_gold_and_loses_what_is_retired():
    want = [
        (),
        ("Loves jazz.",),
        ("Loves jazz.",),
        ("Loves jazz.", "Avoids nuts.", "Avoids milk."),
        ("Avoids nuts.", "Avoids milk.", "Loves blues."),
        ("Avoids nuts.", "Avoids milk.", "Loves blues."),
    ]
    assert [episode.profile for episode in decompose(DIALOGUE)] == want


def test_context_is_the_last_reply_of_the_same_session():
    assert [e.context for e in decompose(DIALOGUE)] == ["", "Nice!", "4", "", "", "Hi"]


def test_turns_pass_into_episodes_unchanged():
    episodes = decompose(DIALOGUE)
    for name in ("user", "gold", "slot", "kind"):
        assert [getattr(e, name) for e in episodes] == [getattr(t, name) for t in TURNS]
    assert {e.user_id for e in episodes} == {"u"}
    assert len({e.id for e in episodes}) == len(TURNS)


def test_a_longer_dialogue_begins_with_the_episodes_of_a_shorter_one():
    shorter = dataclasses.replace(DIALOGUE, turns=TURNS[:3])
    assert decompose(shorter) == decompose(DIALOGUE)[:3]


def test_no_turns_no_episodes():
    assert decompose(schema.Dialogue("d", "u", ())) == []


def test_sessions_out_of_order_are_refused():
    turns = (schema.Turn("a", session=1), schema.Turn("b", session=0))
    with pytest.raises(ValueError, match="session 0 after session 1"):
        decompose(schema.Dialogue("d", "u", turns))


def test_gold_that_is_no_snippet_is_refused():
    with pytest.raises(ValueError, match="is no snippet"):
        decompose(schema.Dialogue("d", "u", (schema.Turn("a", gold="1\n2"),)))
