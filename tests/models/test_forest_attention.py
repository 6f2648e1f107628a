"""Forests are exact: every path equals the sequence it stands for, by every implementation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.infer import forest
from pa_jax.models import attention, config, decoder

LONGEST = 24


def sequences(seed, count):
    """Random paths over few tokens, so that many begin alike; some end where others go on."""
    rng = np.random.default_rng(seed)
    made = [rng.integers(0, 3, rng.integers(1, LONGEST + 1)) for _ in range(count)]
    made += [one[: len(one) // 2 + 1] for one in made[:3]]
    return sorted((x.astype(np.int32) for x in made), key=lambda x: x.tolist())


@functools.cache
def build(impl):
    def make():
        return decoder.Decoder(
            config.PRESETS["tiny"], key=jax.random.key(3), dtype=jnp.float32, attention=impl
        )

    graph = nnx.graphdef(nnx.eval_shape(make))
    return graph, jax.jit(lambda: nnx.state(make()))()


@functools.partial(jax.jit, static_argnames="graph")
def hidden_states(graph, state, ids, end, position):
    return nnx.merge(graph, state).on_rows(ids, end, position).hidden


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("impl", ["dense", "blocks"])
def test_hidden_states_of_every_path_equal_the_flat_sequence(seed, impl):
    paths = sequences(seed, 20)
    row = forest.laid_out(paths, 512)
    assert row.used < sum(map(len, paths))
    ids = np.where(np.arange(512) < row.used, row.ids, 7 + seed)  # padding of any id
    got = np.asarray(hidden_states(*build(impl), ids[None], row.end[None], row.position[None]))[0]
    flat = np.zeros((len(paths), LONGEST), np.int32)
    for one, ids in zip(flat, paths, strict=True):
        one[: len(ids)] = ids
    at = np.broadcast_to(np.arange(LONGEST, dtype=np.int32), flat.shape)
    want = np.asarray(hidden_states(*build("dense"), flat, np.full_like(flat, LONGEST), at))
    for slots, of_path in zip(row.slots, want, strict=True):
        np.testing.assert_allclose(got[slots], of_path[: len(slots)], rtol=2e-4, atol=2e-5)


def random_end(rng, slots, filled):
    """`end` of a row of random trees: each node's subtree ends in that of its parent."""
    end = np.arange(1, slots + 1, dtype=np.int32)

    def grow(start, stop):
        while start < stop:
            cut = int(rng.integers(start + 1, stop + 1))
            own = int(rng.integers(start + 1, cut + 1))
            end[start:own] = cut
            grow(own, cut)
            start = cut

    grow(0, filled)
    return end


@pytest.mark.parametrize(("t", "s"), [(700, 700), (130, 130), (40, 300)])
def test_blocks_equal_the_oracle_forward_and_backward(t, s):
    rng = np.random.default_rng(t)
    end = jnp.asarray(np.stack([random_end(rng, s, s), random_end(rng, s, s * 2 // 3)]))
    keys = jax.random.split(jax.random.key(5), 3)
    shapes = (2, t, 4, 8), (2, s, 2, 8), (2, s, 2, 8)
    q, k, v = (jax.random.normal(key, x) for key, x in zip(keys, shapes, strict=True))

    def run(impl):
        def total(q, k, v):
            out = attention.forest_attention(q, k, v, end, impl=impl)
            return jnp.sum(jnp.sin(out * 3)), out

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True))(q, k, v)

    ((_, want), want_grad), ((_, got), got_grad) = run("dense"), run("blocks")
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    for a, b in zip(got_grad, want_grad, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def test_unknown_implementation_names_the_choices():
    q, end = jnp.zeros((1, 4, 2, 8)), jnp.full((1, 4), 4)
    with pytest.raises(ValueError, match=r"impl='flash'.*blocks.*dense.*pallas"):
        attention.forest_attention(q, q, q, end, impl="flash")
