import collections
import itertools
import json

import numpy as np
import pytest

from pa_jax.data import pipeline
from pa_jax.dialogue import schema

BUCKETS = (4, 8, 16)


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


def start(episodes, rows=4, seed=0, index=0, count=1, buckets=BUCKETS):
    cfg = pipeline.PipelineConfig(rows=rows, buckets=buckets, seed=seed)
    return pipeline.batches(
        episodes,
        lambda some: [encode(episode) for episode in some],
        cfg,
        process_index=index,
        process_count=count,
    )


def until_epoch(iterator, epochs):
    """Batches until that many epochs were looked at and what they left was flushed."""
    found = []
    while iterator.epoch < epochs:
        found.append(next(iterator))
    return found


def same(first, second):
    assert first.episodes == second.episodes
    np.testing.assert_array_equal(first.prompt_ids, second.prompt_ids)
    np.testing.assert_array_equal(first.prompt_len, second.prompt_len)


def test_a_batch_is_padded_prompts_of_one_bucket():
    episodes = make_episodes(ragged(50, 16))
    for batch in itertools.islice(start(episodes), 40):
        assert batch.prompt_ids.dtype == batch.prompt_len.dtype == np.int32
        n, p = batch.prompt_ids.shape
        assert n == len(batch.episodes) == 4 and p in BUCKETS
        for row, episode in enumerate(batch.episodes):
            ids = encode(episode)
            assert batch.prompt_len[row] == len(ids)
            assert batch.prompt_ids[row].tolist() == ids + [0] * (p - len(ids))


def test_the_bucket_is_the_smallest_that_holds_the_longest_row():
    batches = until_epoch(start(make_episodes(ragged(50, 16))), 5)
    for batch in batches:
        longest = max(batch.prompt_len)
        assert batch.prompt_ids.shape[1] == min(b for b in BUCKETS if b >= longest)


def test_within_an_epoch_all_rows_of_a_batch_fit_its_bucket_and_no_smaller_one():
    """Only what is left at an epoch's end goes out padded further than its own bucket."""
    iterator = start(make_episodes(ragged(60, 16)))
    mixed_at = []
    for _ in range(60):
        batch = next(iterator)
        if len({min(b for b in BUCKETS if b >= n) for n in batch.prompt_len}) > 1:
            mixed_at.append(iterator.get_state()["taken"])
    assert all(taken % 60 == 0 for taken in mixed_at)


@pytest.mark.parametrize("lengths", [ragged(37, 16), ragged(40, 4), [3] * 20 + [16]])
def test_every_epoch_serves_every_episode_once_but_for_those_that_wait(lengths):
    episodes = make_episodes(lengths)
    iterator = start(episodes)
    served = collections.Counter()
    inside = 0
    while iterator.epoch < 6:
        served.update(episode.id for episode in next(iterator).episodes)
        done = int(iterator.epoch)
        if iterator.epoch > done:  # past the edge, so what the last epoch left is flushed
            inside += 1
            assert sum(max(0, done - served[e.id]) for e in episodes) < 4
            assert max(served.values()) <= done + 1
    assert inside > 6


def waiting(iterator):
    return iterator.get_state()["waiting"].values()


def test_a_rare_length_does_not_wait_until_a_batch_of_it_has_gathered():
    episodes = make_episodes([3] * 22 + [16])  # one long prompt among short ones
    batches = until_epoch(start(episodes), 3)
    assert "e22" in {episode.id for batch in batches for episode in batch.episodes}


def test_what_an_epoch_leaves_goes_out_longest_first():
    first = next(start(make_episodes([3, 3, 3, 7, 16])))
    assert first.prompt_ids.shape == (4, 16)
    assert [e.id for e in first.episodes[:2]] == ["e4", "e3"]
    assert {e.id for e in first.episodes[2:]} < {"e0", "e1", "e2"}


def test_one_bucket_and_rows_that_divide_give_exact_epochs():
    iterator = start(make_episodes([4] * 24))
    epochs = [[e.id for b in itertools.islice(iterator, 6) for e in b.episodes] for _ in range(4)]
    for order in epochs:
        assert sorted(order) == sorted(f"e{i}" for i in range(24))
    assert len({tuple(order) for order in epochs}) == 4  # another order each epoch


def test_neighbouring_seeds_share_no_epoch_order():
    def orders(seed):
        iterator = start(make_episodes([4] * 24), seed=seed)
        return [
            tuple(e.id for b in itertools.islice(iterator, 6) for e in b.episodes) for _ in range(3)
        ]

    assert orders(5) == orders(5)
    assert len({order for seed in range(4) for order in orders(seed)}) == 12


def test_resume_at_every_position_over_two_epochs_is_exact():
    episodes = make_episodes(ragged(37, 20))  # some too long for the largest bucket
    iterator = start(episodes)
    states, batches = [], []
    while iterator.epoch < 2.5:
        states.append(json.dumps(iterator.get_state()))
        batches.append(next(iterator))
    end = iterator.get_state()
    assert end["skipped"] > 0 and len(batches) > 16
    for at, state in enumerate(states):
        resumed = start(episodes)
        resumed.set_state(json.loads(state))
        assert json.dumps(resumed.get_state()) == state
        for batch in batches[at:]:
            same(next(resumed), batch)
        assert resumed.get_state() == end


def test_set_state_goes_back_on_a_used_iterator():
    iterator = start(make_episodes(ragged(37, 16)))
    state = iterator.get_state()
    first = [next(iterator) for _ in range(15)]
    end = iterator.get_state()
    iterator.set_state(state)
    for batch in first:
        same(next(iterator), batch)
    assert iterator.get_state() == end


@pytest.mark.parametrize("count", [2, 4])
def test_processes_together_read_what_one_reads(count):
    episodes = make_episodes(ragged(37, 20))
    whole = start(episodes, rows=8)
    parts = [start(episodes, rows=8, index=index, count=count) for index in range(count)]
    for _ in range(30):
        batch, slices = next(whole), [next(part) for part in parts]
        assert sum((part.episodes for part in slices), ()) == batch.episodes
        ids = np.concatenate([part.prompt_ids for part in slices])
        np.testing.assert_array_equal(ids, batch.prompt_ids)
        lengths = np.concatenate([part.prompt_len for part in slices])
        np.testing.assert_array_equal(lengths, batch.prompt_len)
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
        batches = until_epoch(iterator, 3)
    assert {e.id for b in batches for e in b.episodes} == {"e0", "e2", "e4", "e5"}
    assert iterator.skipped == iterator.get_state()["skipped"] == 2 * 3
    assert "largest bucket holds 16" in caplog.text


def test_all_too_long_is_an_error():
    with pytest.raises(ValueError, match="All 5 prompts are longer than the largest bucket, 16"):
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
        start(episodes, buckets=(4,)),
    ):
        with pytest.raises(ValueError, match="saved data position"):
            other.set_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 6, "count": 4}, "rows=6 must divide by the number of processes, 4.*use 8 rows"),
        ({"rows": 0}, "rows=0"),
        ({"buckets": (8, 4)}, "each larger than the last"),
        ({"buckets": ()}, "each larger than the last"),
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
    held = sum(map(len, waiting(iterator)))
    assert held <= 3 * 31
    assert 0 <= Many.read - (20 * 32 + held) < pipeline.AHEAD * 32
