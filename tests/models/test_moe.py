"""Experts by ragged matmul equal every expert on every token, forward and backward."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pa_jax.core import mesh as meshes
from pa_jax.models import moe

TOKENS, WIDTH, MLP, EXPERTS = 11, 6, 5, 4


def weights():
    keys = jax.random.split(jax.random.key(0), 5)
    x = jax.random.normal(keys[0], (TOKENS, WIDTH))
    router = jax.random.normal(keys[1], (WIDTH, EXPERTS))
    shapes = [(EXPERTS, WIDTH, MLP), (EXPERTS, WIDTH, MLP), (EXPERTS, MLP, WIDTH)]
    return x, router, tuple(jax.random.normal(k, s) for k, s in zip(keys[2:], shapes, strict=True))


def by_loops(x, weight, expert, stacks):
    """One token and one expert at a time."""
    gate, up, down = (np.asarray(s, np.float64) for s in stacks)
    out = np.zeros(x.shape)
    for b, token in enumerate(np.asarray(x, np.float64)):
        for w, e in zip(np.asarray(weight)[b], np.asarray(expert)[b], strict=True):
            a = token @ gate[e]
            out[b] += w * ((a / (1 + np.exp(-a)) * (token @ up[e])) @ down[e])
    return out


@pytest.mark.parametrize("top", [1, 2, 4])
def test_ragged_equals_dense_equals_loops(top):
    x, router, stacks = weights()
    weight, expert = moe.route(x, router, top, True)
    want = by_loops(x, weight, expert, stacks)
    np.testing.assert_allclose(moe.ragged(x, weight, expert, stacks), want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moe.dense(x, weight, expert, stacks), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("normalise", "joined"), [(True, 0), (False, 0), (True, 99)])
def test_gradients_of_ragged_equal_dense(normalise, joined, monkeypatch):
    """With gate and up in one product, and in two."""
    monkeypatch.setattr(moe, "JOINED", joined)

    def total(run):
        def of(x, router, stacks):
            weight, expert = moe.route(x, router, 2, normalise)
            return jnp.sum(jnp.sin(run(x, weight, expert, stacks)))

        return jax.jit(jax.grad(of, argnums=(0, 1, 2)))(*weights())

    got, want = total(moe.ragged), total(moe.dense)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.abs(b).max()))


def test_gate_and_up_are_one_product_where_rows_outweigh_weights(monkeypatch):
    x, router, stacks = weights()
    weight, expert = moe.route(x, router, 2, True)
    called, ragged_dot = [], jax.lax.ragged_dot
    monkeypatch.setattr(
        jax.lax, "ragged_dot", lambda *args, **kw: called.append(1) or ragged_dot(*args, **kw)
    )
    for joined, products in ((0, 2), (99, 3)):
        monkeypatch.setattr(moe, "JOINED", joined)
        called.clear()
        moe.ragged(x, weight, expert, stacks)
        assert len(called) == products


def test_every_token_on_one_expert_drops_none():
    x, _, stacks = weights()
    expert = jnp.full((TOKENS, 1), 2)
    weight = jnp.full((TOKENS, 1), 0.5)
    want = by_loops(x, weight, expert, stacks)
    np.testing.assert_allclose(moe.ragged(x, weight, expert, stacks), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("load", ["even", "one expert", "none"])
def test_blocks_of_choices_equal_dense_forward_and_backward(load, monkeypatch):
    """Eight chips' worth of blocks on one chip, which holds all experts: as skewed as it gets."""
    monkeypatch.setattr(moe, "LANES", 1)
    monkeypatch.setattr(moe, "SLACK", 1.0)
    monkeypatch.setattr(moe, "JOINED", 0)
    assert moe._block(TOKENS * 2, 8) == 3  # so eight blocks, the last of one choice

    def total(run):
        def of(x, router, stacks):
            weight, expert = moe.route(x, router, 2, True)
            if load != "even":
                expert = jnp.full_like(expert, 1 if load == "one expert" else EXPERTS)
            return jnp.sum(jnp.sin(run(x, weight, expert, stacks)))

        return jax.jit(jax.value_and_grad(of, argnums=(0, 1, 2)))(*weights())

    got, want = total(functools.partial(moe.ragged, parts=8)), total(moe.dense)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * max(float(jnp.abs(b).max()), 1e-3))


def test_routing_takes_the_most_probable_experts_with_their_softmax_weights():
    x, router, _ = weights()
    logits = np.asarray(x, np.float64) @ np.asarray(router, np.float64)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    best = np.argsort(-share, axis=1)[:, :2]
    want = np.take_along_axis(share, best, axis=1)
    weight, expert = moe.route(x, router, 2, False)
    np.testing.assert_array_equal(expert, best)
    np.testing.assert_allclose(weight, want, rtol=1e-4)
    weight, _ = moe.route(x, router, 2, True)
    np.testing.assert_allclose(weight, want / want.sum(axis=1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize(
    "shape",
    [
        (2, 2, 2),
        (8, 1, 1),
        *(pytest.param(x, marks=pytest.mark.slow) for x in [(1, 1, 4), (2, 1, 4), (1, 2, 4)]),
    ],
)
@pytest.mark.parametrize("rows", [8, 3])
def test_experts_over_a_mesh_equal_one_device_forward_and_backward(shape, rows, monkeypatch):
    monkeypatch.setattr(moe, "LANES", 1)  # more than one block
    fsdp, tp, ep = shape
    devices = jax.devices()[: fsdp * tp * ep]
    mesh = meshes.make(meshes.MeshConfig(fsdp, tp, ep), devices)
    keys = jax.random.split(jax.random.key(1), 2)
    _, router, stacks = weights()
    stacks = tuple(jnp.concatenate([s, s[..., :1]], -1) for s in stacks[:2]) + (
        jnp.concatenate([stacks[2], stacks[2][:, :1]], 1),
    )  # width 6, so that tp = 2 divides it
    x = 0.3 * jax.random.normal(keys[0], (rows, 5, WIDTH))  # sin() of large sums would magnify

    def total(x, router, stacks):
        y, load = moe.mixture(x, router, stacks, None, top=2, normalise=True)
        return jnp.sum(jnp.sin(y)), (y, load)

    run = jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True)
    want = jax.jit(run)(x, router, stacks)
    with jax.set_mesh(mesh):
        got = jax.jit(run)(x, router, stacks)
    (_, (_, load)), _ = got
    assert int(load.sum()) == rows * 5 * 2  # every choice counted once
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * float(jnp.abs(b).max()))


def harsh_ragged_dot(lhs, rhs, sizes, *, preferred_element_type):
    """`jax.lax.ragged_dot` of a kernel that leaves NaN past the groups, in gradients as well."""

    def inside(x, sizes, otherwise):
        return jnp.where((jnp.arange(x.shape[0]) < sizes.sum())[:, None], x, otherwise)

    def dot(lhs, rhs, sizes):
        return RAGGED_DOT(lhs, rhs, sizes, preferred_element_type=preferred_element_type)

    @jax.custom_vjp
    def of(lhs, rhs, sizes):
        return inside(dot(lhs, rhs, sizes), sizes, jnp.nan)

    def back(kept, g):
        lhs, rhs, sizes = kept  # it reads the groups alone
        _, pull = jax.vjp(lambda a, b: dot(a, b, sizes), inside(lhs, sizes, 0), rhs)
        g_lhs, g_rhs = pull(inside(g, sizes, 0))
        return inside(g_lhs, sizes, jnp.nan), g_rhs, None

    of.defvjp(lambda *given: (of(*given), given), back)
    return of(lhs, rhs, sizes)


RAGGED_DOT = jax.lax.ragged_dot


@pytest.mark.parametrize("parts", [1, 8])
def test_what_a_kernel_leaves_past_its_groups_goes_nowhere(parts, monkeypatch):
    """Two of four experts are this chip's: the others' choices add nothing, back and forth."""
    monkeypatch.setattr(moe, "LANES", 1)
    monkeypatch.setattr(jax.lax, "ragged_dot", harsh_ragged_dot)
    mine = EXPERTS // 2

    def total(run):
        def of(x, router, stacks):
            weight, expert = moe.route(x, router, 2, True)
            stacks = tuple(s[:mine] for s in stacks)
            return jnp.sum(jnp.sin(run(x, weight, expert, stacks)))

        return jax.jit(jax.value_and_grad(of, argnums=(0, 1, 2)))(*weights())

    def others_dropped(x, weight, expert, stacks):
        return moe.dense(x, jnp.where(expert < mine, weight, 0), expert % mine, stacks)

    got, want = total(functools.partial(moe.ragged, parts=parts)), total(others_dropped)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.abs(b).max()))


def test_bfloat16_rounds_no_more_than_it_must():
    """Against float64: within a few roundings of what the experts' sum is made of."""
    x, router, stacks = weights()
    weight, expert = moe.route(x, router, 2, True)
    low = [a.astype(jnp.bfloat16) for a in (x, *stacks)]
    got = moe.ragged(low[0], weight, expert, tuple(low[1:])).astype(jnp.float32)
    want = by_loops(low[0].astype(jnp.float32), weight, expert, low[1:])
    assert got.dtype == jnp.float32 and np.abs(got - want).max() < 0.02 * np.abs(want).max()
