"""Dialogues and episodes from a function of the user's own."""

import dataclasses
import json

import pytest

from pa_jax.data import dialogues, source
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.dialogue import snippet

CFG = dialogues.DataConfig("", "", "explicit", 1, 1, 0, False, "gold", 0.5)
CODE = """
from pa_jax.dialogue import schema, snippet


def turns(n):
    return (
        schema.Turn(f"Hello, I am {n}.", gold=snippet.NOTHING),
        schema.Turn(f"I take size {n}.", gold=f"The user takes size {n}."),
    )


def dialogues(path):
    for n in range(50):
        yield schema.Dialogue(f"{path}d{n}", f"u{n}", turns(n))


def episodes(path):
    for n in range(50):
        gold = snippet.NOTHING if n % 2 else f"The user takes size {n}."
        yield schema.Episode(f"e{n}", f"u{n}", ("The user has a cat.",), "", f"Size {n}.", gold)


def flawed(path):
    yield from dialogues(path)
    yield "text"
    yield next(episodes(path))
    yield schema.Dialogue("d0", "u0", turns(0))
    yield schema.Dialogue("late", "u0", (schema.Turn("a", session=1), schema.Turn("b")))
    yield schema.Dialogue("long", "u0", (schema.Turn("a", gold="1\\n2"),))


def few_flaws(path):
    for n in range(2):
        yield from dialogues(f"{n}/")
    yield "text"


def breaks(path):
    yield from dialogues(path)
    raise OSError("the disk is gone")


def nothing(path):
    return None


def empty(path):
    return []
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The config of a function of the module own_data_code."""
    name = f"own_data_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda function, **how: dataclasses.replace(CFG, source=f"{name}:{function}", **how)


def opened(cfg, split, path=None):
    return list(source.open_episodes(cfg, split=split, quarantine_path=path))


def test_dialogues_are_decomposed_and_a_fifth_of_users_held_out(mine):
    cfg = mine("dialogues", path="x/")
    train, held, both = (opened(cfg, split) for split in dialogues.SPLITS)
    assert len(both) == 50 and both[7].id == "x/d7/1" and both[7].gold == "The user takes size 7."
    users = {e.user_id for e in train}, {e.user_id for e in held}
    assert not users[0] & users[1] and len(users[0] | users[1]) == 50 and 3 < len(users[1]) < 20
    assert all(dialogues.held_out(user) for user in users[1])
    whole = opened(dataclasses.replace(cfg, keep_empty=True), "all")
    assert len(whole) == 100 and whole[0].gold == snippet.NOTHING


def test_episodes_come_as_they_are(mine):
    made = opened(mine("episodes"), "all")
    assert len(made) == 25 and made[1].id == "e2" and made[1].profile == ("The user has a cat.",)
    with quarantine_lib.Quarantine(None) as bad, pytest.raises(ValueError, match="yields episodes"):
        dialogues.open_dialogues(mine("episodes"), "train", bad)


def test_it_mixes_with_other_sources(mine):
    cfg = mine("dialogues")
    cfg = dataclasses.replace(cfg, source=f"{cfg.source}=1,synthetic=1")
    made = opened(cfg, "heldout")
    assert {e.user_id for e in made} > {e.user_id for e in opened(mine("dialogues"), "heldout")}


def test_dialogues_are_there_whole_for_chains(mine):
    with quarantine_lib.Quarantine(None) as bad:
        (part,) = dialogues.open_dialogues(mine("dialogues"), "heldout", bad)
    assert part and all(len(dialogue.turns) == 2 for dialogue in part)


def test_bad_items_are_set_aside_with_the_reason(mine, tmp_path):
    made = opened(mine("few_flaws"), "all", tmp_path / "bad.jsonl")
    assert len(made) == 100
    (row,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert row["number"] == 100 and "a str, not a schema.Dialogue" in row["reason"]


def test_too_many_bad_items_stop_the_run(mine, tmp_path):
    with pytest.raises(quarantine_lib.DataError, match="5 of the first 55 items cannot be read"):
        opened(mine("flawed"), "all", tmp_path / "bad.jsonl")
    rows = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    said = [row["reason"] for row in rows]
    wanted = ("a str", "an? Episode after a Dialogue", "'d0' came before", "in order", "letter")
    assert len(said) == 5
    for text, want in zip(said, wanted, strict=True):
        assert want.removeprefix("an? ") in text


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("breaks", "OSError after 50 items: the disk is gone"),
        ("nothing", "TypeError after 0 items"),
        ("empty", "has no episode in split 'train'"),
    ],
)
def test_a_function_that_fails_says_where(mine, function, said):
    with pytest.raises(quarantine_lib.DataError, match=said):
        opened(mine(function), "train")


def test_an_unknown_source_names_the_door():
    with pytest.raises(ValueError, match="module:function of your own"):
        opened(dataclasses.replace(CFG, source="synthetics"), "train")
