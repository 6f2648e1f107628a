"""Blocks of a forest equal the dense oracle, forward and backward, and skip what nobody sees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pa_jax.models import attention

# rows, queries, keys, query heads, key heads
SHAPES = {
    "grouped heads, several rows": (3, 100, 100, 4, 2),
    "behind a context": (2, 40, 110, 3, 1),
    "few queries, a head a key head": (2, 5, 35, 2, 2),
}
WIDTH = 8


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", 32)


def grow(rng, end, start, stop, depth):
    """A node and the subtrees below it fill the slots from start to stop."""
    own = stop - start if depth == 5 else int(rng.integers(0, stop - start + 1))
    end[start : start + own] = stop
    start += own
    while start < stop:
        cut = int(rng.integers(start + 1, stop + 1))
        grow(rng, end, start, cut, depth + 1)
        start = cut


def forest(rng, slots, filled):
    """`end` of a row of random trees; behind them padding of either kind."""
    end = np.where(rng.random(slots) < 0.5, np.arange(slots) + 1, 0)
    start = 0
    while start < filled:
        cut = int(rng.integers(start + 1, filled + 1))
        grow(rng, end, start, cut, 1)
        start = cut
    return end.astype(np.int32)


def forests(seed, rows, slots):
    """A full row, one with some trees, and one without any."""
    rng = np.random.default_rng(seed)
    filled = [slots, int(rng.integers(1, slots)), 0][:rows]
    return np.stack([forest(rng, slots, f) for f in filled])


def visible(end, t):
    """[n, t, s] as the contract has it."""
    s = end.shape[1]
    query, key = np.arange(s - t, s)[:, None], np.arange(s)[None]
    return (key <= query) & (query < end[:, None, :])


def inputs(n, t, s, h, kv):
    """Queries, keys, values and the gradient of the output."""
    keys = jax.random.split(jax.random.key(7), 4)
    shapes = (n, t, h, WIDTH), (n, s, kv, WIDTH), (n, s, kv, WIDTH), (n, t, h, WIDTH)
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def with_gradients(impl):
    """(output, dq, dk, dv) of (q, k, v, gradient, end), compiled."""

    def run(q, k, v, d, end):
        attend = functools.partial(attention.forest_attention, end_ns=end, impl=impl)
        out, pull = jax.vjp(lambda *qkv: attend(*qkv), q, k, v)
        return out, *pull(d)

    return jax.jit(run)


def assert_near(got, want):
    np.testing.assert_allclose(got[0], want[0], rtol=1e-5, atol=1e-5)
    for a, b in zip(got[1:], want[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * float(jnp.abs(b).max()))


def on_real(arrays, real):
    """Padding attends as it likes: its outputs are 0 here, and so are the gradients it gives."""
    return [jnp.where(real[..., None, None], x, 0.0) for x in arrays]


def test_the_oracle_is_a_softmax_over_what_is_seen():
    """One query and head at a time, in float64."""
    n, t, s, h, kv = SHAPES["behind a context"]
    q, k, v, _ = (np.asarray(x, np.float64) for x in inputs(n, t, s, h, kv))
    end = forests(0, n, s)
    got = attention.forest_attention(*map(jnp.float32, (q, k, v)), jnp.asarray(end), impl="dense")
    got = np.asarray(got)
    for row, query in np.ndindex(n, t):
        seen = [j for j in range(s) if j <= s - t + query < end[row, j]]
        for head in range(h) if seen else []:
            of = head // (h // kv)
            score = np.exp(k[row, seen, of] @ q[row, query, head] / WIDTH**0.5)
            want = score / score.sum() @ v[row, seen, of]
            np.testing.assert_allclose(got[row, query, head], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_equal_the_oracle_forward_and_backward(shape, small_blocks):
    n, t, s, *_ = SHAPES[shape]
    fast, slow = with_gradients("blocks"), with_gradients("dense")
    q, k, v, d = inputs(*SHAPES[shape])
    for seed in range(4):
        end = forests(seed, n, s)
        real = visible(end, t).any(-1)
        (d_real,) = on_real([d], real)
        got, want = (list(run(q, k, v, d_real, end)) for run in (fast, slow))
        got[:1], want[:1] = on_real(got[:1], real), on_real(want[:1], real)
        assert_near(got, want)


def test_blocks_of_their_own_size_equal_the_oracle():
    """One long path, and short ones behind half of it."""
    t = 2 * attention.BLOCK + 40
    end = np.full((1, t), t, np.int32)
    end[0, 150:200], end[0, 200:] = 200, np.arange(201, t + 1)
    arrays = inputs(1, t, t, 2, 1)
    assert_near(with_gradients("blocks")(*arrays, end), with_gradients("dense")(*arrays, end))


def test_rows_without_tokens_give_zeros_and_no_gradient(small_blocks):
    for got in with_gradients("blocks")(*inputs(1, 40, 40, 2, 1), np.zeros((1, 40), np.int32)):
        np.testing.assert_array_equal(got, np.zeros_like(got))


def test_padding_never_matters(small_blocks):
    q, k, v, d = inputs(2, 96, 96, 2, 1)
    end = np.stack([forest(np.random.default_rng(row), 96, 60) for row in range(2)])
    pad = np.arange(96) >= 60
    d = jnp.where(pad[:, None, None], 0.0, d)
    noise = [jnp.where(pad[:, None, None], 100.0 * x[:, ::-1], x) for x in (q, k, v)]
    run = with_gradients("blocks")
    for a, b in zip(run(q, k, v, d, end), run(*noise, d, end), strict=True):
        np.testing.assert_array_equal(a[:, ~pad], b[:, ~pad])


def test_blocks_that_nobody_sees_are_not_computed(small_blocks):
    """NaN in one tree and in padding does not reach the queries of another, by no arithmetic."""
    q, k, v, d = inputs(1, 128, 128, 2, 1)
    end = np.repeat([32, 96, 96, 0], 32)[None].astype(np.int32)
    bad = (np.arange(128) < 32) | (np.arange(128) >= 96)
    k, v = (jnp.where(bad[:, None, None], jnp.nan, x) for x in (k, v))
    out, dq, dk, dv = with_gradients("blocks")(q, k, v, d, end)
    for got in (out, dq, dk, dv):
        assert np.isfinite(got[:, ~bad]).all()
    assert np.isnan(out[:, :32]).any()


@pytest.mark.parametrize("seed", range(3))
def test_a_query_block_visits_the_key_blocks_it_sees(seed, small_blocks):
    """In the narrowest class that holds them; and each query block is in one class."""
    n, t, s, block = 2, 320, 640, attention.BLOCK
    end = forests(seed, n, s)
    end[1, 500:] = 0
    plan = attention._schedule(jnp.asarray(end), t)
    keys, blocks, start, count = map(np.asarray, plan)
    widths = attention._widths(s // block)
    seen = visible(end, t).reshape(n, t // block, block, s // block, block).any((0, 2, 4))
    visited = {}
    for width, first, many in zip(widths, start, count, strict=True):
        visited |= {int(i): width for i in blocks[first : first + many]}
    assert sorted(visited) == list(range(t // block))
    for i, width in visited.items():
        reach = end.reshape(n, -1, block).max((0, 2)) > s - t + i * block
        may = reach & (np.arange(s // block) * block < s - t + (i + 1) * block)
        assert set(np.flatnonzero(seen[i])) <= set(np.flatnonzero(may))
        assert set(keys[i, : may.sum()]) == set(np.flatnonzero(may))
        assert width == min(w for w in widths if w >= may.sum())


def test_trees_side_by_side_cost_what_they_cost_alone(small_blocks):
    """Eight trees of two blocks: 8 (1 + 2) pairs of blocks, where one path has 16 * 17 / 2."""
    tree = 2 * attention.BLOCK
    end = np.repeat(np.arange(tree, 8 * tree + 1, tree), tree)[None].astype(np.int32)
    plan = attention._schedule(jnp.asarray(end), 8 * tree)
    widths = attention._widths(16)
    assert sum(w * int(c) for w, c in zip(widths, plan.counts, strict=True)) == 24


@pytest.mark.parametrize("a_number", ["a row", "a prompt"])
def test_decoding_equals_the_oracle(a_number):
    """A branch's new token sees some of a shared piece, of its prompt's and of its own slots."""
    n, g, rows, kv, r = 4, 3, 2, 2, 2
    root, own, slots = 6, 5, 4
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def pair(*lead):
        return normal(*lead, kv, WIDTH), normal(*lead, kv, WIDTH)

    root_kv, own_kv, branch_kv = pair(rows, root), pair(n, own), pair(n, g, slots)
    shared = np.array([4, 0]) if a_number == "a row" else np.array([6, 2, 0, 3])
    length, step = np.array([5, 1, 3, 0]), np.array([[0], [3], [1], [2]])
    q = normal(n, g, kv * r, WIDTH)
    own_real = np.arange(slots) <= step[..., None]
    got = attention.decode_attention(
        jnp.asarray(q),
        [
            (attention.cached(*map(jnp.asarray, own_kv)), jnp.asarray(length)),
            (attention.cached(*map(jnp.asarray, root_kv)), jnp.asarray(shared)),
        ],
        attention.cached(*map(jnp.asarray, branch_kv)),
        jnp.asarray(own_real),
    )
    shared = np.repeat(shared, n // len(shared))
    seen = np.concatenate(
        [
            np.broadcast_to((np.arange(k) < of[:, None])[:, None], (n, g, k))
            for k, of in ((root, shared), (own, length))
        ]
        + [np.broadcast_to(own_real, (n, g, slots))],
        axis=-1,
    ).reshape(n * g, -1)
    flat = [
        np.concatenate(
            [
                np.repeat(np.repeat(of_root, n // rows, 0), g, 0),
                np.repeat(of_own, g, 0),
                of_branch.reshape(n * g, slots, kv, WIDTH),
            ],
            axis=1,
        )
        for of_root, of_own, of_branch in zip(root_kv, own_kv, branch_kv, strict=True)
    ]
    end = np.where(seen, seen.shape[1], 0)
    want = attention.forest_attention(
        *map(jnp.asarray, (q.reshape(n * g, 1, kv * r, WIDTH), *flat, end)), impl="dense"
    )
    np.testing.assert_allclose(got, want.reshape(got.shape), rtol=1e-5, atol=1e-5)


def test_an_unknown_implementation_names_the_choices():
    *arrays, _ = inputs(1, 4, 4, 2, 1)
    with pytest.raises(ValueError, match=r"impl='flash'.*blocks.*dense.*pallas"):
        attention.forest_attention(*arrays, jnp.full((1, 4), 4), impl="flash")
