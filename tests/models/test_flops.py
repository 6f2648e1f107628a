"""Parameters against the module's arrays, FLOPs against the products in its jaxpr."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.infer import forest
from pa_jax.models import attention, config, decoder, flops

TINY = config.PRESETS["tiny"]


def products(jaxpr) -> int:
    """FLOPs of every dot_general, bodies of scans times their length."""
    total = 0
    for eqn in jaxpr.eqns:
        times = eqn.params.get("length", 1) if eqn.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(
            list(eqn.params.values()),
            is_leaf=lambda x: isinstance(x, jax.extend.core.ClosedJaxpr | jax.extend.core.Jaxpr),
        ):
            if isinstance(inner, jax.extend.core.ClosedJaxpr):
                total += times * products(inner.jaxpr)
            elif isinstance(inner, jax.extend.core.Jaxpr):
                total += times * products(inner)
        if eqn.primitive.name == "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            depth = math.prod(eqn.invars[0].aval.shape[i] for i in contracted)
            total += 2 * depth * math.prod(eqn.outvars[0].aval.shape)
    return total


def lowered(slots: int, attend: str, remat: str = "none"):
    """State, and a scalar of it that runs every token of a row through blocks and head."""
    model = decoder.Decoder(TINY, key=jax.random.key(0), dtype="float32", attention=attend)
    graph, state = nnx.split(model)
    ids, at = jnp.zeros((1, slots), jnp.int32), jnp.arange(slots)[None]

    def total(state):
        module = nnx.merge(graph, state)
        passed = module.on_rows(ids, jnp.full_like(ids, slots), at, remat=remat)
        return jnp.sum(jnp.sin(module.logits(passed.hidden)))

    return state, total


def whole(slots: int) -> flops.Size:
    """A row in which every pair is multiplied, seen or not."""
    return flops.Size(slots, slots**2, slots)


@pytest.mark.parametrize(("slots", "attend"), [(6, "dense"), (attention.BLOCK, "blocks")])
def test_forward_counts_the_products_of_the_model(slots, attend):
    state, total = lowered(slots, attend)
    want = products(jax.make_jaxpr(total)(state).jaxpr)
    assert flops.forward(TINY, whole(slots)).total == want


@pytest.mark.parametrize("remat", ["none", "full", "dots"])
def test_training_counts_the_products_of_forward_and_backward(remat):
    slots = attention.BLOCK  # one block: the loop over those that are seen runs once
    state, total = lowered(slots, "blocks", remat)
    want = products(jax.make_jaxpr(jax.grad(total))(state).jaxpr)
    ahead = flops.forward(TINY, whole(slots))
    trained = flops.train(ahead, remat=remat)
    if remat == "full":  # JAX sees that the repeated pass can leave out a layer's last product
        want += 2 * TINY.layers * TINY.width * TINY.mlp * slots
    # `total` does not repeat the head, as scoring does
    assert trained.blocks + trained.attention + 3 * ahead.head == want
    assert trained.head == 4 * ahead.head


def test_visible_pairs_are_those_of_each_path_with_what_is_shared_once():
    trees = [
        [forest.state_of([1, 2, 3, x, y]) for x in (4, 5) for y in (6, 7, 8)],
        [forest.state_of([1, 2, 9])],
        [forest.state_of([11] * 40)],
    ]
    packed = forest.pack(trees, (16, 64))
    ends = [row.end for row in packed.rows]
    pairs = sum(
        int(((at <= at[:, None]) & (at[:, None] < end)).sum())
        for end in ends
        if len(at := np.arange(len(end)))
    )
    seen = pairs - (packed.slots - packed.tokens)  # a slot of padding sees itself
    assert packed.slots > packed.tokens
    assert flops.visible_pairs(ends, packed.tokens) == seen
    # 1, 2, 3; two behind them; three behind each of those; 9 behind 1, 2; forty in a row
    assert seen == 1 + 2 + 3 + 2 * 4 + 6 * 5 + 3 + 40 * 41 // 2
    assert packed.size == flops.Size(3 + 2 + 6 + 1 + 40, seen, 8)


def test_decoding_a_branch_costs_its_share_of_its_path():
    prompt, new = flops.causal(9, wanted=0), flops.causal(4, before=9, wanted=4)
    assert prompt + new == flops.causal(13, wanted=4)


@pytest.mark.parametrize("name", sorted(config.PRESETS))
def test_parameters_are_those_of_the_module(name):
    cfg = config.PRESETS[name]
    for other in (cfg, dataclasses.replace(cfg, tied=not cfg.tied, qkv_bias=True)):
        state = nnx.state(decoder.abstract(other, dtype="float32"))
        assert flops.parameters(other) == sum(x.size for x in jax.tree.leaves(state))


def test_smollm2_and_a_mixture_of_experts_by_hand():
    assert flops.parameters(config.PRESETS["smollm2-135m"]) == 134_515_008
    moe = config.PRESETS["qwen3-30b-a3b"]
    attention = 2048 * 128 * (32 + 4 + 4 + 32)
    experts = 8 * 3 * 2048 * 768 + 2048 * 128
    assert flops.block_weights(moe) == 48 * (attention + experts)
