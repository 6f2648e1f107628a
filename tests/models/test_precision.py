"""Mixed precision: bfloat16 matrices under float32 activations, beside float32 throughout."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import keys
from pa_jax.jobs import setup
from pa_jax.models import config as shapes
from pa_jax.models import decoder, lora, precision, quant
from pa_jax.plan import phases

TIED = shapes.PRESETS["tiny"]
UNTIED = shapes.DecoderConfig(**vars(TIED) | {"tied": False})
IDS = jnp.array([[5, 9, 2, 7, 1, 3], [8, 8, 4, 0, 0, 0]])


def made(cfg, dtype):
    """A decoder of the same draws, with adapters that count."""
    module = decoder.Decoder(cfg, key=jax.random.key(0), dtype=dtype, attention="dense")
    module = lora.add(module, lora.LoraConfig(4, 8.0), keys.stream_key(0, keys.Stream.LORA, 0))
    for i, pair in enumerate(module.blocks.lora.values()):
        b = jax.random.normal(jax.random.key(i), pair["b"].shape)
        pair["b"] = nnx.LoRAParam(0.1 * b, **pair["b"].get_metadata())
    return module


def loss(module):
    """Mean negative log-prob of the ids, as training takes it."""
    n, t = IDS.shape
    place = jnp.broadcast_to(jnp.arange(t), (n, t))
    out = module.on_rows(IDS, jnp.full((n, t), t), place, remat="dots")
    logp = jax.nn.log_softmax(module.logits(out.hidden))[:, :-1]
    return -jnp.take_along_axis(logp, IDS[:, 1:, None], -1).mean()


def grads(module):
    graph, params, frozen = lora.split(module)
    return jax.jit(jax.value_and_grad(lambda p: loss(nnx.merge(graph, p, frozen))))(params)


def cosine(one, other):
    flat = [jnp.concatenate([x.reshape(-1) for x in jax.tree.leaves(t)]) for t in (one, other)]
    return float(jnp.vdot(*flat) / jnp.linalg.norm(flat[0]) / jnp.linalg.norm(flat[1]))


def test_matrices_are_narrow_and_all_else_is_wide():
    state = nnx.to_flat_state(nnx.state(made(UNTIED, "mixed")))
    narrow = {path[-1] for path, x in state if x.dtype == jnp.bfloat16}
    assert narrow == {"embed", "head", *decoder.PROJECTIONS}
    assert {str(x.dtype) for path, x in state if path[-1] not in narrow} == {"float32"}


@pytest.mark.parametrize("cfg", [TIED, UNTIED], ids=["tied", "untied"])
def test_loss_and_gradients_are_those_of_float32_to_rounding(cfg):
    wide, wide_grads = grads(made(cfg, "float32"))
    mixed, mixed_grads = grads(made(cfg, "mixed"))
    assert float(mixed) == pytest.approx(float(wide), rel=5e-3) and mixed != wide
    assert {str(x.dtype) for x in jax.tree.leaves(mixed_grads)} == {"float32"}
    assert cosine(mixed_grads, wide_grads) > 0.999


def test_a_product_rounds_to_bfloat16_and_adds_up_in_float32():
    x = jax.random.normal(jax.random.key(1), (3, 4096))
    weight = jax.random.normal(jax.random.key(2), (4096, 5)).astype(jnp.bfloat16)
    rounded = x.astype(jnp.bfloat16).astype(jnp.float32)
    want = np.asarray(rounded, np.float64) @ np.asarray(weight, np.float64)
    np.testing.assert_allclose(precision.product(x, weight), want, rtol=0, atol=1e-3)
    one = jax.grad(lambda x: (precision.product(x, weight) * 3.0).sum())(x)
    want = 3.0 * np.asarray(weight, np.float64).sum(1)
    np.testing.assert_allclose(one[0], want, rtol=0, atol=1e-4)


@pytest.mark.parametrize("cfg", [TIED, UNTIED], ids=["tied", "untied"])
def test_held_as_bits_nothing_changes_and_no_pass_widens_a_stack_or_a_table(cfg):
    plain, held = made(cfg, "mixed"), precision.held(made(cfg, "mixed"))
    bits = {path[-1] for path, x in nnx.to_flat_state(nnx.state(held)) if x.dtype == jnp.uint16}
    assert bits == {"embed", *decoder.PROJECTIONS}
    (one, one_grads), (other, other_grads) = grads(plain), grads(held)
    # where a bit pattern is read is XLA's to choose, and with it the order of some sums
    assert float(one) == pytest.approx(float(other), rel=1e-6)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(near, one_grads, other_grads)
    for layer, again in zip(plain.apart(), held.apart(), strict=True):
        jax.tree.map(np.testing.assert_array_equal, layer, again)

    graph, params, frozen = lora.split(held)
    step = jax.jit(jax.grad(lambda p, f: loss(nnx.merge(graph, p, f))))
    program = step.lower(params, frozen).compile().as_text()
    shapes_of = [frozen["blocks"][name].shape for name in decoder.PROJECTIONS]
    for shape in (*shapes_of, frozen["embed"].shape):
        assert f"f32[{','.join(map(str, shape))}]" not in program


def test_bits_are_quantised_merged_and_cast_as_what_they_stand_for():
    plain, held = made(UNTIED, "mixed"), precision.held(made(UNTIED, "mixed"))

    def equal(one, other):
        jax.tree.map(np.testing.assert_array_equal, nnx.state(one), nnx.state(other))

    equal(quant.quantise(plain), quant.quantise(held))
    plain, held = (
        models.as_dtype(models.LoadedModel(lora.merge(x), UNTIED, None, {}), "float32").module
        for x in (plain, held)
    )
    equal(plain, held)


def test_mixed_weights_are_not_trained():
    config = importlib.import_module("configs.sft").get_config("tiny")
    config.model.dtype = "mixed"
    with pytest.raises(ValueError, match="model.lora.rank=0: its matrices are frozen; set a rank"):
        setup.load_model(config)


def test_a_mixed_model_can_be_planned():
    made = phases._abstract(TIED, "mixed", "dense", False)
    assert (made.embed.dtype, made.final_norm.dtype) == precision.DTYPES
