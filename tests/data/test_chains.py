"""Chained turns: what was written is in the next turn's profile, and a saved state goes on."""

import dataclasses
import json

import pytest

from pa_jax.data import chains, dialogues, pipeline
from pa_jax.data import episodes as episodes_lib
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.dialogue import schema, snippet

ROWS = 3


@dataclasses.dataclass(frozen=True)
class Heap:
    """A memory that keeps every finished text."""

    texts: tuple[str, ...] = ()

    def statements(self):
        return self.texts

    def after(self, dialogue, turn, text, finished):
        return Heap((*self.texts, f"{dialogue.id}/{turn}: {text}")) if finished else self


def dialogue(number, turns, shown=lambda turn: True):
    return schema.Dialogue(
        f"d{number}",
        f"u{number}",
        tuple(
            schema.Turn(
                f"words {turn}",
                "reply",
                gold=f"The user likes {number}.{turn}." if shown(turn) else snippet.NOTHING,
            )
            for turn in range(turns)
        ),
    )


DIALOGUES = [[dialogue(0, 3), dialogue(1, 5)], [dialogue(2, 1), dialogue(3, 4), dialogue(4, 2)]]


def encode(episode):
    return [1] * (4 + len(episode.profile))


def start(share=1.0, longest=32, parts=DIALOGUES, keep_empty=False):
    plan = pipeline.PipelineConfig(ROWS, longest, seed=5)
    return chains.Chains(parts, encode, Heap(), chains.ChainConfig(plan, share, keep_empty))


def walk(iterator, steps, first=0):
    """Batches; what is written says at which step, every fourth is cut."""
    found = []
    for step in range(first, first + steps):
        found.append(next(iterator))
        iterator.heard([chains.Written(f"{step}.{k}", (step + k) % 4 > 0) for k in range(ROWS)])
    return found


def by_dialogue(batches):
    """(turn, profile, step, lane) of each dialogue's passes."""
    found = {}
    for step, batch in enumerate(batches):
        for lane, episode in enumerate(batch.episodes):
            name, _, turn = episode.id.partition("/")
            found.setdefault((name, lane), []).append((int(turn), episode.profile, step, lane))
    return found


def test_a_turn_sees_what_was_written_at_the_finished_turns_before_it_and_nothing_else():
    passes = by_dialogue(walk(start(), 12))
    assert {name for name, _ in passes} == {f"d{i}" for i in range(5)}
    for (name, _), rows in passes.items():
        told = []
        for turn, profile, step, lane in rows:
            told = told if turn else []  # a new pass begins with nothing
            assert profile == tuple(told)
            if (step + lane) % 4 > 0:
                told.append(f"{name}/{turn}: {step}.{lane}")


def test_every_turn_comes_once_a_pass_over_the_dialogues():
    passes = by_dialogue(walk(start(), 5))  # 15 turns: one pass
    first = sorted((name, row[0]) for (name, _), rows in passes.items() for row in rows)
    every = sorted((d.id, turn) for part in DIALOGUES for d in part for turn in range(len(d.turns)))
    assert len(set(first) & set(every)) >= 10 and set(first) <= set(every)


def test_gold_dialogues_of_a_mix_keep_their_gold_and_the_share_is_kept():
    many = [[dialogue(i, 2) for i in range(400)]]
    passes = by_dialogue(walk(start(share=0.3, parts=many), 266))
    own = 0
    for (name, _), rows in passes.items():
        for turn, profile, *_ in rows:
            if turn == 1:
                gold = (f"The user likes {name[1:]}.0.",)
                own += profile != gold
    assert 0.2 < own / 400 < 0.4


def test_a_saved_state_goes_on_with_the_same_batches():
    for stop in (0, 1, 4, 9):
        whole = start(share=0.5)
        walk(whole, stop)
        saved = json.loads(json.dumps(whole.get_state()))
        other = start(share=0.5)
        walk(other, 2)
        other.set_state(saved)
        for a, b in zip(walk(whole, 6, stop), walk(other, 6, stop), strict=True):
            assert a.episodes == b.episodes
            assert a.prompts == b.prompts
        assert whole.get_state() == other.get_state()


def test_turns_without_a_preference_and_long_prompts_are_passed_over():
    parts = [[dialogue(0, 6, shown=lambda turn: turn % 2), dialogue(1, 12)]]
    iterator = start(longest=8, parts=parts)
    turns = {
        episode.id for _ in range(20) for batch in walk(iterator, 1) for episode in batch.episodes
    }
    assert {"d0/1", "d0/3", "d0/5"} <= turns and not {"d0/0", "d0/2", "d0/4"} & turns
    assert iterator.skipped > 0  # four statements more, and the prompt is too long
    with pytest.raises(ValueError, match="None of 1 dialogues has a turn to train on"):
        next(start(longest=3, parts=[[dialogue(0, 2)]]))


def test_a_batch_must_be_heard_and_another_stream_is_refused():
    iterator = start()
    saved = iterator.get_state()
    next(iterator)
    for call in (iterator.get_state, iterator.__next__):
        with pytest.raises(RuntimeError, match="heard"):
            call()
    with pytest.raises(ValueError, match="must be equal to go on"):
        start(share=0.5).set_state(saved)
    with pytest.raises(ValueError, match="state_share"):
        start(share=0.0)


def test_an_episode_of_synthetic_users_differs_from_golds_in_its_profile_alone():
    cfg = dialogues.DataConfig("synthetic", "", "", 2, 1, 0, True, "gold", 0.5)
    parts = dialogues.open_dialogues(cfg, "train", quarantine_lib.Quarantine(None))
    gold = {e.id: e for d in parts[0] for e in episodes_lib.decompose(d)}
    iterator = start(parts=parts, keep_empty=True, longest=64)
    for _ in range(5):
        batch = next(iterator)
        for episode in batch.episodes:
            want = gold[episode.id]
            assert dataclasses.replace(episode, profile=want.profile) == want
        iterator.heard([chains.Written(e.gold, True) for e in batch.episodes])
