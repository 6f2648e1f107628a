import collections.abc
import dataclasses
import itertools
import json

import numpy as np
import pytest

from pa_jax.data import pipeline
from pa_jax.dialogue import schema

LONGEST = 16


def make_episodes(lengths):
    """Episode i has a prompt of lengths[i] tokens, each of them i + 1."""
    return [
        schema.Episode(f"e{i}", "u", (), "", " ".join([str(i + 1)] * n), None)
        for i, n in enumerate(lengths)
    ]


def encode(episode):
    return [int(word) for word in episode.user.split()]


def ragged(count, longest, seed=0):
    return np.random.default_rng(seed).integers(1, longest + 1, count).tolist()


def start(episodes, rows=4, seed=0, index=0, count=1, longest=LONGEST, labelled=False):
    cfg = pipeline.PipelineConfig(rows=rows, prompt_tokens=longest, seed=seed)
    return pipeline.batches(
        episodes,
        lambda some: [encode(episode) for episode in some],
        cfg,
        process_index=index,
        process_count=count,
        labelled=labelled,
    )


def until_epoch(iterator, epochs):
    """Batches until that many epochs were looked at."""
    found = []
    while iterator.epoch < epochs:
        found.append(next(iterator))
    return found


def test_a_batch_is_episodes_with_the_prompts_they_encode_to():
    episodes = make_episodes(ragged(50, 16))
    for batch in itertools.islice(start(episodes), 40):
        assert len(batch.episodes) == 4
        assert batch.prompts == tuple(tuple(encode(episode)) for episode in batch.episodes)


@pytest.mark.parametrize("lengths", [ragged(37, 16), ragged(40, 4), [3] * 20 + [16]])
def test_every_epoch_serves_every_episode_once(lengths):
    episodes = make_episodes(lengths)
    iterator = start(episodes)
    order = [e.id for batch in until_epoch(iterator, 6) for e in batch.episodes]
    epochs = [order[k : k + len(episodes)] for k in range(0, 5 * len(episodes), len(episodes))]
    for epoch in epochs:
        assert sorted(epoch) == sorted(e.id for e in episodes)
    assert len({tuple(epoch) for epoch in epochs}) == 5  # another order each epoch


def test_only_labelled_episodes_are_served_where_that_is_asked_for():
    episodes = [
        dataclasses.replace(episode, gold="The user likes tea." if i % 3 == 0 else None)
        for i, episode in enumerate(make_episodes(ragged(30, 20)))
    ]
    iterator = start(episodes, labelled=True)
    served = {e.id for batch in until_epoch(iterator, 3) for e in batch.episodes}
    fits = {e.id for e in episodes if e.gold is not None and len(encode(e)) <= LONGEST}
    assert served == fits and 0 < len(fits) < 10
    again = start(episodes, labelled=True)
    again.set_state(iterator.get_state())
    assert next(again) == next(iterator)


@pytest.mark.parametrize("lengths", [[3] * 9, [99] * 3 + [3] * 6])
def test_data_of_which_nothing_can_be_learnt_supervised_end_with_a_message(lengths):
    episodes = make_episodes(lengths)
    for i in range(3):
        if lengths[i] > LONGEST:
            episodes[i] = dataclasses.replace(episodes[i], gold="The user likes tea.")
    with pytest.raises(ValueError, match="None of 9 episodes has a gold snippet.*warm.steps=0"):
        next(start(episodes, labelled=True))


def test_neighbouring_seeds_share_no_epoch_order():
    def orders(seed):
        iterator = start(make_episodes([4] * 24), seed=seed)
        return [
            tuple(e.id for b in itertools.islice(iterator, 6) for e in b.episodes) for _ in range(3)
        ]

    assert orders(5) == orders(5)
    assert len({order for seed in range(4) for order in orders(seed)}) == 12


def test_resume_at_every_position_over_two_epochs_is_exact():
    episodes = make_episodes(ragged(37, 20))  # some too long
    iterator = start(episodes)
    states, batches = [], []
    while iterator.epoch < 4:
        states.append(json.dumps(iterator.get_state()))
        batches.append(next(iterator))
    end = iterator.get_state()
    assert end["skipped"] > 0 and len(batches) > 16
    for at, state in enumerate(states):
        resumed = start(episodes)
        resumed.set_state(json.loads(state))
        assert json.dumps(resumed.get_state()) == state
        for batch in batches[at:]:
            assert next(resumed) == batch
        assert resumed.get_state() == end


def test_set_state_goes_back_on_a_used_iterator():
    iterator = start(make_episodes(ragged(37, 16)))
    state = iterator.get_state()
    first = [next(iterator) for _ in range(15)]
    end = iterator.get_state()
    iterator.set_state(state)
    for batch in first:
        assert next(iterator) == batch
    assert iterator.get_state() == end


@pytest.mark.parametrize("count", [2, 4])
def test_processes_together_read_what_one_reads(count):
    episodes = make_episodes(ragged(37, 20))
    whole = start(episodes, rows=8)
    parts = [start(episodes, rows=8, index=index, count=count) for index in range(count)]
    for _ in range(30):
        batch, slices = next(whole), [next(part) for part in parts]
        assert sum((part.episodes for part in slices), ()) == batch.episodes
        assert sum((part.prompts for part in slices), ()) == batch.prompts
        assert all(part.get_state() == whole.get_state() for part in parts)


def test_a_position_saved_by_one_process_resumes_on_four():
    episodes = make_episodes(ragged(37, 16))
    whole = start(episodes, rows=8)
    for _ in range(7):
        next(whole)
    parts = [start(episodes, rows=8, index=index, count=4) for index in range(4)]
    for part in parts:
        part.set_state(whole.get_state())
    for _ in range(10):
        assert sum((next(part).episodes for part in parts), ()) == next(whole).episodes


def test_too_long_prompts_are_skipped_counted_and_logged(caplog):
    lengths = [4, 17, 4, 99, 4, 4]
    iterator = start(make_episodes(lengths), rows=2)
    with caplog.at_level("WARNING", logger="absl"):
        batches = [next(iterator) for _ in range(6)]
    assert {e.id for b in batches for e in b.episodes} == {"e0", "e2", "e4", "e5"}
    assert iterator.skipped == iterator.get_state()["skipped"] == 2 * 3
    assert "prompt_tokens allows 16" in caplog.text


def test_all_too_long_is_an_error():
    with pytest.raises(ValueError, match="All 5 prompts are longer than prompt_tokens=16"):
        next(start(make_episodes([17] * 5)))


def test_one_short_prompt_among_long_ones_is_no_error():
    iterator = start(make_episodes([17, 17, 17, 2, 17]), rows=2)
    batches = [next(iterator) for _ in range(3)]
    assert [e.id for b in batches for e in b.episodes] == ["e3"] * 6
    assert 5 < iterator.epoch <= 6


def test_fewer_episodes_than_rows_still_fill_batches():
    batches = list(itertools.islice(start(make_episodes([4, 9]), rows=8), 3))
    ids = [e.id for b in batches for e in b.episodes]
    assert ids.count("e0") == ids.count("e1") == 12


def test_a_position_of_another_stream_is_refused():
    episodes = make_episodes([4] * 10)
    state = start(episodes).get_state()
    for other in (
        start(episodes, rows=2),
        start(episodes, seed=1),
        start(episodes[:9]),
        start(episodes, longest=8),
    ):
        with pytest.raises(ValueError, match="saved data position"):
            other.set_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 6, "count": 4}, "rows=6 must divide by the number of processes, 4.*use 8 rows"),
        ({"rows": 0}, "rows=0"),
        ({"longest": 0}, "prompt_tokens=0"),
        ({"index": 1}, "process 1 must be below it"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        start(make_episodes([4] * 10), **change)


def test_no_episodes_and_empty_prompts_are_errors():
    with pytest.raises(ValueError, match="no episodes"):
        start([])
    with pytest.raises(ValueError, match="e0 has an empty prompt"):
        next(start(make_episodes([0])))


def test_a_million_episodes_start_at_once_and_hold_few():
    """Random access: little is read ahead of what the batches need."""

    class Many(collections.abc.Sequence):
        read = 0

        def __len__(self):
            return 10**6

        def __getitem__(self, index):
            if not 0 <= index < len(self):
                raise IndexError(index)
            Many.read += 1
            return schema.Episode(f"e{index}", "u", (), "", "1 " * (1 + index % 16), None)

    iterator = start(Many(), rows=32)
    assert Many.read < 10  # the run-time type check looks at an item or two
    Many.read = 0
    for _ in range(20):
        next(iterator)
    assert 0 <= Many.read - 20 * 32 < pipeline.AHEAD * 32
