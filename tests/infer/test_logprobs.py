"""Chunks against one softmax over whole logits: values, entropies and every gradient."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.infer import logprobs
from pa_jax.models import config, decoder, lora, quant
from pa_jax.plan import hlo

TINY = dataclasses.replace(config.PRESETS["tiny"], vocab=70, width=32, layers=1, mlp=32)
ROWS, PLACES, WANTED = 2, 11, (7, 3)
KINDS = ("tied", "untied", "adapters", "untied adapters", "int8", "untied int8 adapters")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Two places of each row: eleven places are six chunks, of which the last two hold nothing."""
    monkeypatch.setattr(logprobs, "CHUNK", 5)


def built(kind):
    cfg = dataclasses.replace(TINY, tied="untied" not in kind)
    model = decoder.Decoder(cfg, key=jax.random.key(1), dtype="float32", attention="dense")
    if "int8" in kind:
        model = quant.quantise(model)
    if "adapters" in kind:
        model = lora.add(model, lora.LoraConfig(rank=2, alpha=2.0), jax.random.key(2))
    return model


def inputs():
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(ROWS, PLACES, TINY.width)), jnp.float32)
    token = jnp.asarray(rng.integers(0, TINY.vocab, (ROWS, PLACES)), jnp.int32)
    return hidden, token, jnp.array(WANTED)


def real():
    return np.arange(PLACES) < np.array(WANTED)[:, None]


def whole(model, hidden, token, temperature):
    """As token_logprobs, all logits at once."""
    logp_nwv = jax.nn.log_softmax(model.logits(hidden) / temperature)
    logp = jnp.take_along_axis(logp_nwv, token[..., None], axis=-1)[..., 0]
    entropy = -jnp.sum(jnp.exp(logp_nwv) * logp_nwv, axis=-1)
    return jnp.where(real(), logp, 0.0), jnp.where(real(), entropy, 0.0)


def chunked(model, hidden, token, temperature):
    return logprobs.token_logprobs(model, hidden, token, jnp.array(WANTED), temperature)


def slopes(model, of, *, trains):
    """Compiled: values and entropies of (hidden, temperature), and a sum's gradients by states.

    And by the projection, where it trains.
    """
    name = "embed" if model.cfg.tied else "head"
    graph, some, rest = nnx.split(model, lambda path, _: trains and path == (name,), ...)
    _, token, _ = inputs()

    def total(some, hidden, temperature):
        logp, entropy = of(nnx.merge(graph, some, rest), hidden, token, temperature)
        return jnp.sum(jnp.sin(logp)), (logp, entropy)

    run = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))

    def values(hidden, temperature):
        (_, values), (d_weight, d_hidden) = run(some, hidden, jnp.float32(temperature))
        return [*values, d_hidden, *jax.tree.leaves(d_weight)]

    return values


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_one_softmax(kind):
    model, (hidden, *_) = built(kind), inputs()
    trains = kind in ("tied", "untied")
    ours, plain = (slopes(model, of, trains=trains) for of in (chunked, whole))
    for temperature in (1.0, 0.5):
        got, want = ours(hidden, temperature), plain(hidden, temperature)
        assert len(got) == 3 + trains
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["tied", "untied adapters"])
def test_nothing_behind_the_wanted_places_is_computed(kind):
    """NaN from the first chunk on that holds none of any row reaches neither value nor gradient."""
    hidden = inputs()[0].at[:, 8:].set(jnp.nan)
    logp, entropy, d_hidden, *d_weight = slopes(built(kind), chunked, trains=True)(hidden, 1.0)
    for got in map(np.asarray, (logp, entropy)):
        assert (got[real()] != 0).all() and not got[~real()].any()
    assert np.isfinite(d_hidden).all() and not np.asarray(d_hidden)[~real()].any()
    assert np.isfinite(d_weight[0]).all() and (kind == "tied") == bool(d_weight[0].any())


@pytest.mark.parametrize("kind", ["tied", "untied", "int8"])
def test_labels_are_read_off_the_whole_softmax(kind):
    model, (hidden, _, wanted) = built(kind), inputs()
    label = jnp.array([3, 69, 0])
    hidden = hidden.at[:, 8:].set(jnp.nan)
    got = np.asarray(jax.jit(logprobs.label_logprobs)(model, hidden, label, wanted))
    want = jax.nn.log_softmax(model.logits(hidden))[..., label]
    np.testing.assert_allclose(got[real()], want[real()], rtol=1e-5, atol=1e-5)
    assert got.shape == (ROWS, PLACES, 3) and not got[:, 8:].any()


def test_no_place_wanted_gives_zeros():
    model, (hidden, token, _) = built("tied"), inputs()
    none = jnp.zeros(ROWS, jnp.int32)
    for got in logprobs.token_logprobs(model, hidden, token, none, jnp.float32(1.0)):
        np.testing.assert_array_equal(got, np.zeros((ROWS, PLACES)))


@pytest.mark.parametrize("tied", [True, False])
def test_on_a_mesh_the_projections_gradient_is_summed_over_chips_behind_the_chunks(tied):
    """Two rows a data shard, the vocabulary cut in two."""
    cfg = dataclasses.replace(TINY, tied=tied)
    model = decoder.Decoder(cfg, key=jax.random.key(1), dtype="float32", attention="dense")
    graph, state = nnx.split(model)
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(8, PLACES, cfg.width)).astype(np.float32)
    token = jnp.asarray(rng.integers(0, cfg.vocab, (8, PLACES)), jnp.int32)
    wanted = jnp.array([7, 3, 0, 9, 11, 1, 2, 5])

    def total(state, hidden):
        model = nnx.merge(graph, state)
        of = logprobs.token_logprobs(model, hidden, token, wanted, jnp.float32(1.0))
        return jnp.sum(jnp.sin(of[0]))

    want = jax.device_get(jax.jit(jax.grad(total, argnums=(0, 1)))(state, jnp.asarray(hidden)))
    mesh = meshes.make(meshes.MeshConfig(2, 2, 2))
    with meshes.using(mesh):
        where = sharding.shardings(state, mesh, sharding.TRAIN_RULES)
        laid = jax.device_put(state, where), sharding.put(hidden, mesh, "rows")
        run = jax.jit(jax.grad(total, argnums=(0, 1)), out_shardings=(where, None))
        run = run.lower(*laid).compile()
    for got, known in zip(*map(jax.tree.leaves, (run(*laid), want)), strict=True):
        np.testing.assert_allclose(got, known, rtol=1e-5, atol=1e-5)
    program, inside, outside = hlo.parse(run.as_text()), 0, 0
    bodies = {i.called("body") for c in program.computations.values() for i in c if i.op == "while"}
    for name, computation in program.computations.items():
        for each in computation:
            of_weight = any({cfg.vocab // 2, cfg.width} <= {*s.dims} for s in each.shapes)
            if each.op.startswith(("all-reduce", "reduce-scatter")) and of_weight:
                inside, outside = inside + (name in bodies), outside + (name not in bodies)
    assert bodies and outside and not inside, (inside, outside)
