import dataclasses
import time

import pytest

from pa_jax.data import decompose, episodes, source
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


def test_a_share_of_users_is_not_known_and_the_same_ones_each_time():
    of = [dataclasses.replace(decompose(DIALOGUE)[3], id=f"{number}/3") for number in range(400)]
    some = episodes.strangers(of, 0.5)
    known = [bool(one.profile) for one in some]
    assert 160 <= sum(known) <= 240
    assert known == [bool(one.profile) for one in episodes.strangers(of, 0.5)]
    for one, whole in zip(some, of, strict=True):
        assert dataclasses.replace(one, profile=whole.profile) == whole
    assert list(episodes.strangers(of, 0.0)) == of
    assert not any(one.profile for one in episodes.strangers(of, 1.0))


@pytest.mark.parametrize("labelled", [True, False])
def test_ten_thousand_turns_are_read_once_and_each_is_quick(labelled):
    gold = "Likes thing {}.\nOwns thing {}." if labelled else snippet.NOTHING
    turns = tuple(schema.Turn(f"Turn {n}.", "ok", gold=gold.format(n, n)) for n in range(10_000))
    part = [schema.Dialogue("d", "u", turns)]
    began = time.process_time()
    found = source.Episodes([part], keep_empty=True)
    numbers = [*range(0, 10_000, 50), 9_999, 0]
    got = {number: found[number] for number in numbers}
    seconds = (time.process_time() - began) / len(numbers)
    assert seconds < 0.005
    last = got[9_999]
    assert (last.id, last.context, len(last.profile)) == ("d/9999", "ok", 19_998 * labelled)
    assert last.profile[:2] == (("Likes thing 0.", "Owns thing 0.") if labelled else ())


def test_steps_are_the_episodes_by_number():
    steps = episodes.Steps(DIALOGUE)
    assert len(steps) == len(TURNS) and list(steps) == decompose(DIALOGUE)
    assert steps[-1] == decompose(DIALOGUE)[-1]
    with pytest.raises(IndexError):
        steps[len(TURNS)]


def test_what_is_taken_back_and_said_again_is_the_newest():
    said = ("Likes tea.", "Likes jam.", snippet.NOTHING, "Likes tea.", snippet.NOTHING)
    gone = ((), (), ("Likes tea.",), (), ())
    turns = [schema.Turn("x", gold=g, retires=r) for g, r in zip(said, gone, strict=True)]
    profiles = [e.profile for e in decompose(schema.Dialogue("d", "u", tuple(turns)))]
    assert profiles[3:] == [("Likes jam.",), ("Likes jam.", "Likes tea.")]


def test_no_turns_no_episodes():
    assert decompose(schema.Dialogue("d", "u", ())) == []


def test_sessions_out_of_order_are_refused():
    turns = (schema.Turn("a", session=1), schema.Turn("b", session=0))
    with pytest.raises(ValueError, match="session 0 after session 1"):
        decompose(schema.Dialogue("d", "u", turns))


def test_gold_that_is_no_snippet_is_refused():
    with pytest.raises(ValueError, match="is no snippet"):
        decompose(schema.Dialogue("d", "u", (schema.Turn("a", gold="1\n2"),)))
