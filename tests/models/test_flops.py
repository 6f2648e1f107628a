"""Parameters against the module's arrays, FLOPs against the products in its jaxpr."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.models import config, decoder, flops, tree
from pa_jax.models.tree import TreeSpec

TINY = config.PRESETS["tiny"]
SPEC = TreeSpec(7, 3, 5, 2, 4)
SHAPES = [SPEC, TreeSpec(6), TreeSpec(5, 2, 3)]


def products(jaxpr) -> int:
    """FLOPs of every dot_general, loop bodies times their length."""
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


def lowered(spec: TreeSpec, remat: str = "none"):
    """Module, and a scalar of its parameters that runs every token through blocks and head."""
    model = decoder.Decoder(TINY, key=jax.random.key(0), dtype="float32", attention="dense")
    graph, state = nnx.split(model)
    lens = tree.lengths(
        [spec.trunk],
        jnp.full((1, spec.branches), spec.branch),
        jnp.full((1, spec.branches, spec.leaves), spec.leaf),
    )
    ids = jnp.zeros((1, spec.slots), jnp.int32)

    def total(state):
        module = nnx.merge(graph, state)
        return jnp.sum(jnp.sin(module.logits(module.on_tree(ids, spec, lens, remat=remat))))

    return state, total


@pytest.mark.parametrize("spec", SHAPES)
def test_forward_counts_the_products_of_the_model(spec):
    state, total = lowered(spec)
    want = products(jax.make_jaxpr(total)(state).jaxpr)
    # the dense oracle multiplies every pair, seen or not
    got = flops.passed(TINY, tokens=spec.slots, pairs=spec.slots**2, projected=spec.slots)
    assert got.total == want


@pytest.mark.parametrize("remat", ["none", "full", "dots"])
def test_training_counts_the_products_of_forward_and_backward(remat):
    state, total = lowered(SPEC, remat)
    want = products(jax.make_jaxpr(jax.grad(total))(state).jaxpr)
    ahead = flops.passed(TINY, tokens=SPEC.slots, pairs=SPEC.slots**2, projected=SPEC.slots)
    trained = flops.train(ahead, remat=remat)
    if remat == "full":  # JAX sees that the repeated pass can leave out a layer's last product
        want += 2 * TINY.layers * TINY.width * TINY.mlp * SPEC.slots
    # `total` does not repeat the head, as scoring does
    assert trained.blocks + trained.attention + 3 * ahead.head == want
    assert trained.head == 4 * ahead.head


@pytest.mark.parametrize("spec", SHAPES)
def test_visible_pairs_are_those_of_the_mask(spec):
    index = np.arange(spec.slots)
    assert flops.visible_pairs(spec) == tree.visible(spec, index[:, None], index).sum()


def test_decoding_a_branch_costs_its_share_of_the_tree():
    whole = flops.forward(TINY, TreeSpec(9, 1, 4), projected=4)
    trunk = flops.forward(TINY, TreeSpec(9), projected=0)
    assert flops.decode(TINY, trunk=9, tokens=4, projected=4).total == whole.total - trunk.total


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
