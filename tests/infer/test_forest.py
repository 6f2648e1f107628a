"""Rows against the trie of their paths, written out: its nodes, sorted, are the row's slots."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pa_jax.infer import forest

TOKEN = st.integers(0, 3)  # few, so that beginnings coincide; 0 is what padding holds
TABLES = [(64,), (40, 100), (40, 48, 64, 256), forest.LENGTHS]


@st.composite
def nodes(draw, depth=1):
    """A node's tokens, the paths that end with it, and what stands below it."""
    own = draw(st.lists(TOKEN, min_size=int(depth == 1), max_size=6))
    ends = draw(st.lists(st.integers(0, 40), max_size=2))
    below = draw(st.lists(nodes(depth + 1), max_size=3)) if depth < 5 else []
    return own, ends, below


def paths_of(node, above=()):
    """The paths of a node and of all below it; an even number is a continuation's length."""
    own, ends, below = node
    ids = [*above, *own]
    for number in ends:
        cut = 1 + number // 2 % len(ids)
        yield forest.state_of(ids) if number % 2 else forest.follows(ids[:cut], ids[cut:])
    for child in below:
        yield from paths_of(child, ids)


FORESTS = st.lists(st.one_of(nodes(), st.none()))


def trees_of(drawn):
    """The paths of each root; of none, a tree without paths."""
    return [[] if node is None else list(paths_of(node)) for node in drawn]


sometimes = settings(max_examples=60, deadline=None, derandomize=True)


def asked(path):
    """(what the predicting token's path is, what it should predict), a target."""
    first = len(path.ids) - len(path.targets) + 1
    return [(path.ids[: first + j], target) for j, target in enumerate(path.targets)]


def by_row(trees, packed):
    """The paths of each row; those that want nothing are in none."""
    of = [[] for _ in packed.rows]
    for tree, places in zip(trees, packed.places, strict=True):
        for path, (row, place) in zip(tree, places, strict=True):
            assert len(place) == len(path.targets)
            if path.targets:
                of[row].append(path)
    return of


@sometimes
@given(FORESTS, st.sampled_from(TABLES), st.booleans())
def test_rows_are_the_tries_of_their_paths(drawn, lengths, even):
    trees = trees_of(drawn)
    packed = forest.pack(trees, lengths, even=even)
    used = 0
    for row, paths in zip(packed.rows, by_row(trees, packed), strict=True):
        trie = sorted({path.ids[:k] for path in paths for k in range(1, len(path.ids) + 1)})
        t, real = len(row.ids), len(trie)
        assert 0 < real <= t and t in lengths
        used += real
        assert row.ids[:real].tolist() == [node[-1] for node in trie]
        assert row.position[:real].tolist() == [len(node) - 1 for node in trie]
        assert row.end[real:].tolist() == list(range(real + 1, t + 1))
        query, key = np.arange(t)[:, None], np.arange(t)
        seen = (key <= query) & (query < row.end)
        above = [[q[: len(k)] == k for k in trie] for q in trie]
        np.testing.assert_array_equal(seen[:real, :real], above)
        assert not seen[real:, :real].any() and not seen[:real, real:].any()
    assert packed.tokens == used
    assert packed.slots == sum(len(row.ids) for row in packed.rows)
    if even:
        assert len({len(row.ids) for row in packed.rows}) <= 1


@sometimes
@given(FORESTS, st.sampled_from(TABLES))
def test_places_hold_what_every_path_asks_for(drawn, lengths):
    trees = trees_of(drawn)
    packed = forest.pack(trees, lengths)
    for tree, places in zip(trees, packed.places, strict=True):
        for path, (number, place) in zip(tree, places, strict=True):
            for (before, target), k in zip(asked(path), place, strict=True):
                row = packed.rows[number]
                slot = row.at[k]
                seen = (np.arange(len(row.ids)) <= slot) & (slot < row.end)
                assert tuple(row.ids[seen]) == before and row.token[k] == target
                assert k < row.wanted
    for row, paths in zip(packed.rows, by_row(trees, packed), strict=True):
        different = {one for path in paths for one in asked(path)}
        assert row.wanted == len(different)  # equal wants of two paths are one place
        assert row.at.shape == row.token.shape == row.ids.shape
        assert not row.at[row.wanted :].any() and not row.token[row.wanted :].any()


def path(context, *continuation):
    return forest.follows(context, continuation)


def test_a_small_forest_by_hand():
    """Root 5 6 with 7 8 and 7 9 behind it, and a tree that begins with 5 alone; 1: a last token."""
    trees = [[path([5, 6], 7, 8, 1), path([5, 6], 7, 9, 1)], [path([5], 2, 1), path([5], 1)]]
    packed = forest.pack(trees, (8, 16))
    (row,) = packed.rows
    assert row.ids.tolist() == [5, 2, 6, 7, 8, 9, 0, 0]
    assert row.end.tolist() == [6, 2, 6, 6, 5, 6, 7, 8]
    assert row.position.tolist() == [0, 1, 1, 2, 3, 3, 0, 0]
    got = [
        [[(row.at[k], row.token[k]) for k in place] for _, place in tree] for tree in packed.places
    ]
    assert got == [
        [[(2, 7), (3, 8), (4, 1)], [(2, 7), (3, 9), (5, 1)]],
        [[(0, 2), (1, 1)], [(0, 1)]],
    ]
    assert row.wanted == 8 and packed.tokens == 6 and packed.slots == 8


def test_equal_candidates_are_one():
    trees = [[path([1, 2], 3, 4)] * 5, [path([1, 2], 3, 4), path([1, 2], 3)]]
    packed = forest.pack(trees, (64,))
    assert packed.tokens == 3 and packed.rows[0].wanted == 2
    places = [place.tolist() for tree in packed.places for _, place in tree]
    assert places == [[0, 1]] * 6 + [[0]]


def test_many_wants_of_few_tokens_have_a_row_that_holds_them():
    """Forty continuations of one token each stand nowhere in the row, but each is a place."""
    packed = forest.pack([[path([1, 2, 3], k) for k in range(40)]], (16, 64))
    assert len(packed.rows) == 1 and packed.rows[0].wanted == 40
    equal = forest.pack([[path([1, 2, 3], *range(10))] * 40], (16, 64))
    assert len(equal.rows) == 1 and len(equal.rows[0].ids) == 16


def test_nothing_wanted_takes_no_row():
    packed = forest.pack([[], [path([1, 2])]])
    assert packed.rows == [] and packed.tokens == packed.slots == 0
    assert [len(place) for tree in packed.places for _, place in tree] == [0]


def rng_paths(rng, count, context, continuation):
    prompt = rng.integers(0, 999, int(rng.integers(*context))).tolist()
    return [
        forest.follows(prompt, rng.integers(0, 999, int(rng.integers(*continuation))).tolist())
        for _ in range(count)
    ]


def test_real_lengths_fill_rows():
    """GRPO's: 64 prompts of 120 to 280 tokens, 8 completions each of 4 to 30."""
    rng = np.random.default_rng(0)
    trees = [rng_paths(rng, 8, (120, 280), (4, 30)) for _ in range(64)]
    for even in (False, True):
        packed = forest.pack(trees, (512, 1024, 2048), even=even)
        assert packed.tokens >= 0.9 * packed.slots
        assert not even or len({len(row.ids) for row in packed.rows}) == 1


def test_a_tree_that_fits_a_row_stays_in_one():
    rng = np.random.default_rng(1)
    trees = [rng_paths(rng, 3, (5, 20), (1, 12)) for _ in range(30)]
    packed = forest.pack(trees, (64,))
    assert all(len({row for row, _ in places}) == 1 for places in packed.places)
    longer = rng_paths(rng, 12, (20, 21), (11, 12))  # 20 + 12 * 10: three rows of 64
    packed = forest.pack([*trees, longer], (64,))
    assert len({row for row, _ in packed.places[-1]}) == 3


def test_few_tokens_take_the_smallest_row_that_holds_them():
    for count, length in ((1, 64), (64, 64), (65, 128), (128, 128), (129, 256)):
        packed = forest.pack([[forest.state_of(range(count))]], (64, 128, 256))
        assert [len(row.ids) for row in packed.rows] == [length]


def test_a_path_longer_than_every_row_is_named():
    with pytest.raises(ValueError, match=r"a path \(see judge.lengths\) of 65 tokens, at most 64 "):
        forest.pack([[forest.state_of(range(65))]], (32, 64), key="judge.lengths")


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(ValueError, match="an empty context"):
        forest.follows([], [1])
    with pytest.raises(ValueError, match="no tokens"):
        forest.state_of([])


def test_rows_are_stacked_with_empty_ones_behind():
    (row,) = forest.pack([[path([1, 2], 3, 4)]], (8,)).rows
    rows = forest.stacked([row], 3)
    np.testing.assert_array_equal(rows.ids[0], row.ids)
    assert rows.wanted.tolist() == [2, 0, 0]
    for empty in (rows, forest.stacked([], 3, length=8)):
        assert (empty.end[1:] == np.arange(1, 9)).all() and not empty.ids[1:].any()


@sometimes
@given(st.lists(st.lists(TOKEN, max_size=8), min_size=1, max_size=6))
def test_common_is_the_longest_beginning_of_all(sequences):
    least = min(map(len, sequences))
    same = [k for k in range(least + 1) if len({tuple(one[:k]) for one in sequences}) == 1]
    assert forest.common(sequences) == max(same)


def test_rows_without_room_for_any_tree_to_come_are_not_looked_at(monkeypatch):
    """A tree of 110 tokens and 8 branches of 29 fills a row of 512 as far as any other may."""
    looked, takes = [], forest._Row.takes
    monkeypatch.setattr(
        forest._Row, "takes", lambda self, *args: looked.append(1) or takes(self, *args)
    )
    rng = np.random.default_rng(2)
    trees = [rng_paths(rng, 8, (100, 120), (30, 31)) for _ in range(60)]
    assert len(forest.pack(trees, (512,)).rows) == 60
    assert not looked  # one after the other, 60 rows would be looked at 1,770 times
    forest.pack(trees, (1024,))
    assert looked
