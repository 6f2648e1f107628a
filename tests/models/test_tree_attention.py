"""Trees are exact: every path equals the sequence it stands for, by every implementation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.models import attention, config, decoder, splash, tree

SHAPES = {
    "sequence": (tree.TreeSpec(16), [16, 1, 9], None, None),
    "depth 2": (tree.TreeSpec(12, 3, 5), [12, 1, 7], [[5, 3, 0], [1, 5, 4], [0, 0, 0]], None),
    "depth 3": (
        tree.TreeSpec(9, 2, 4, 2, 3),
        [9, 1, 5],
        [[4, 2], [0, 3], [1, 4]],
        [[[3, 1], [2, 0]], [[1, 1], [3, 2]], [[2, 3], [0, 1]]],
    ),
}


LONGEST = 17


@functools.cache
def build(impl="blocks"):
    def make():
        return decoder.Decoder(
            config.PRESETS["tiny"], key=jax.random.key(3), dtype=jnp.float32, attention=impl
        )

    graph = nnx.graphdef(nnx.eval_shape(make))
    return graph, jax.jit(lambda: nnx.state(make()))()


@functools.partial(jax.jit, static_argnames=("graph", "spec"))
def hidden_states(graph, state, ids, spec, lens):
    return nnx.merge(graph, state).on_tree(ids, spec, lens)


def paths(spec, lens):
    """(row, slots) of every path, root to each branch or leaf, as plain Python lists."""
    for n in range(lens.trunk.shape[0]):
        trunk = list(range(int(lens.trunk[n])))
        yield n, trunk
        for g in range(spec.branches):
            start = spec.trunk + g * spec.branch
            branch = trunk + list(range(start, start + int(lens.branch[n, g])))
            yield n, branch
            for j in range(spec.leaves):
                start = spec.trunk + spec.branch_slots + (g * spec.leaves + j) * spec.leaf
                yield n, branch + list(range(start, start + int(lens.leaf[n, g, j])))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("impl", ["dense", "blocks"])
def test_hidden_states_of_every_path_equal_the_flat_sequence(shape, impl):
    """Flat: a row a path, padded to one length so that one program serves all shapes."""
    spec, *given = SHAPES[shape]
    lens = tree.lengths(*given)
    ids = np.random.default_rng(0).integers(0, 512, (3, spec.slots)).astype(np.int32)
    hidden = np.asarray(hidden_states(*build(impl), ids, spec, lens))
    every = list(paths(spec, lens))
    rows, lengths = np.zeros((24, LONGEST), np.int32), np.ones(24, np.int32)
    for row, (n, slots) in enumerate(every):
        rows[row, : len(slots)], lengths[row] = ids[n, slots], len(slots)
    flat = tree.TreeSpec(LONGEST), tree.lengths(lengths)
    want = np.asarray(hidden_states(*build("dense"), rows, *flat))
    for row, (n, slots) in enumerate(every):
        np.testing.assert_allclose(hidden[n, slots], want[row, : len(slots)], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_ids_never_matter(shape):
    spec, *given = SHAPES[shape]
    lens = tree.lengths(*given)
    real = np.asarray(tree.real(spec, lens))
    rng = np.random.default_rng(0)
    ids, noise = rng.integers(0, 512, (2, 3, spec.slots)).astype(np.int32)
    other = np.where(real, ids, noise)
    one, two = (np.asarray(hidden_states(*build(), x, spec, lens)) for x in (ids, other))
    np.testing.assert_array_equal(one[real], two[real])


def inputs(spec, heads=4, kv=2, z=8):
    keys = jax.random.split(jax.random.key(5), 3)
    return [
        jax.random.normal(key, (3, spec.slots, n, z))
        for key, n in zip(keys, (heads, kv, kv), strict=True)
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("impl", ["blocks", "splash"])
def test_fast_paths_equal_the_oracle_forward_and_backward(shape, impl):
    spec, *given = SHAPES[shape]
    lens = tree.lengths(*given)
    real = tree.real(spec, lens)[..., None, None]

    def loss(run):
        def total(q, k, v):
            out = run(q, k, v)
            return jnp.sum(jnp.where(real, jnp.sin(out * 3), 0.0)), jnp.where(real, out, 0.0)

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True))(*inputs(spec))

    def fast(q, k, v):
        if impl == "splash":
            return splash.attend(q, k, v, spec, lens, interpret=True)
        return attention.tree_attention(q, k, v, spec=spec, lens=lens, impl=impl)

    (_, want), want_grad = loss(
        lambda q, k, v: attention.tree_attention(q, k, v, spec=spec, lens=lens, impl="dense")
    )
    (_, got), got_grad = loss(fast)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    for a, b in zip(got_grad, want_grad, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def test_long_trunks_are_split_into_query_blocks_exactly():
    spec = tree.TreeSpec(attention.QUERY_BLOCK * 2 + 40, 2, 3)
    lens = tree.lengths([spec.trunk, 300, 5], [[3, 1], [2, 3], [0, 2]])

    def run(impl):
        attend = functools.partial(attention.tree_attention, spec=spec, lens=lens, impl=impl)
        return np.asarray(jax.jit(attend)(*inputs(spec)))

    want, got = run("dense"), run("blocks")
    real = np.asarray(tree.real(spec, lens))
    np.testing.assert_allclose(got[real], want[real], rtol=1e-4, atol=1e-5)


def test_positions_are_depths_along_each_path():
    spec, *given = SHAPES["depth 3"]
    lens = tree.lengths(*given)
    position = np.asarray(tree.positions(spec, lens))
    for n, slots in paths(spec, lens):
        np.testing.assert_array_equal(position[n, slots], np.arange(len(slots)))


def test_unknown_implementation_names_the_choices():
    spec = tree.TreeSpec(4)
    with pytest.raises(ValueError, match=r"impl='flash'.*blocks.*dense.*splash"):
        attention.tree_attention(
            *inputs(spec), spec=spec, lens=tree.lengths([4, 4, 4]), impl="flash"
        )
