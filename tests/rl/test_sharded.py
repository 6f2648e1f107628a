"""A mesh changes where numbers are computed, not which: logits, loss, gradients, sampled tokens."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.infer import engine, score
from pa_jax.models import config, decoder, lora
from pa_jax.rl import loss
from pa_jax.train import step

DENSE = dataclasses.replace(
    config.PRESETS["tiny"], vocab=304, width=32, mlp=48, heads=8, kv_heads=4, head_dim=8
)
MIXED = dataclasses.replace(
    DENSE, family="qwen3_moe", qk_norm=True, experts=8, experts_per_token=2, norm_topk=True
)
MODELS = {"dense": DENSE, "moe": MIXED}
KINDS = [*MODELS, "dense lora", "moe lora"]
SLOW = [(8, 1, 1), (4, 2, 1), (2, 4, 1), (1, 8, 1), (1, 1, 8), (1, 2, 4)]
MESHES = [(2, 2, 2), *(pytest.param(shape, marks=pytest.mark.slow) for shape in SLOW)]
N, P, G, C = 8, 12, 2, 5


@functools.cache
def subject(kind: str) -> models.LoadedModel:
    """A random model; of "lora" with adapters that change its answers already."""
    name, _, adapters = kind.partition(" ")
    cfg = MODELS[name]
    module = decoder.Decoder(cfg, key=jax.random.key(0), dtype="float32", attention="blocks")
    if adapters:
        module = lora.add(module, lora.LoraConfig(rank=4, alpha=8.0), jax.random.key(1))
        for i, pair in enumerate(module.blocks.lora.values()):
            key = jax.random.fold_in(jax.random.key(2), i)
            pair["b"][...] = 0.1 * jax.random.normal(key, pair["b"].shape)
    return models.LoadedModel(module, cfg, None, {})


def trained(kind: str, mesh) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """Graph, what trains and what is frozen, laid out on the mesh."""
    module = subject(kind).module
    parts = lora.split(module) if module.blocks.lora else (*nnx.split(module), nnx.State({}))
    if mesh is None:
        return parts
    rules = sharding.TRAIN_RULES
    return parts[0], *(jax.device_put(x, sharding.shardings(x, mesh, rules)) for x in parts[1:])


@functools.cache
def host_batch() -> dict:
    """A ragged batch of eight trees as host arrays."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, C + 1, (N, G)).astype(np.int32)
    real = np.arange(C) < lengths[..., None]
    draw = functools.partial(rng.normal, size=(N, G, C))
    return {
        "ids": (
            rng.integers(0, 300, (N, P)).astype(np.int32),
            rng.integers(0, 300, (N, G, C)).astype(np.int32),
            np.zeros((N, G, 0, 0), np.int32),
        ),
        "lengths": (
            rng.integers(1, P + 1, N).astype(np.int32),
            lengths,
            np.zeros((N, G, 0), np.int32),
        ),
        "old_logp": (draw() * 0.3 - 5.7).astype(np.float32) * real,
        "reference_logp": (draw() * 0.3 - 5.7).astype(np.float32) * real,
        "advantage": rng.normal(size=(N, G)).astype(np.float32),
        "used": rng.random((N, G)) < 0.9,
        "tokens": np.full((N,), float(lengths.sum()), np.float32),
    }


def batch(mesh) -> loss.GroupBatch:
    made = dict(host_batch())
    trees = score.placed(made.pop("ids"), made.pop("lengths"), mesh)
    return loss.GroupBatch(
        trees=trees, **{name: sharding.put(x, mesh, "rows") for name, x in made.items()}
    )


def updated(kind: str, mesh, micro: int):
    """Loss, the log-probs before, and every parameter moved by its plain gradient."""
    graph, params, frozen = trained(kind, mesh)
    tx = optax.sgd(1.0)
    state = step.create(params, tx, mesh=mesh)
    loss_fn = functools.partial(
        loss.grpo,
        cfg=loss.LossConfig(clip_low=0.2, clip_high=0.2, beta=0.1),
        temperature=jnp.float32(1.0),
        remat="full",
    )
    where = None if mesh is None else step.layout(state, mesh)
    update = step.make_update(graph, loss_fn, tx, micro=micro, compute="float32", where=where)
    made = batch(mesh)
    with meshes.using(mesh):
        logp = score.scored(graph, step.whole(state, frozen), made.trees, jnp.float32(1.0))
        new, metrics = update(state, made, frozen)
    if mesh is not None:
        assert all(jax.tree.leaves(jax.tree.map(lambda x, s: x.sharding == s, new, where)))
    moved = jax.tree.map(lambda new, old: np.asarray(new) - np.asarray(old), new.params, params)
    return float(metrics["loss"]), np.asarray(logp), nnx.to_flat_state(moved)


@functools.cache
def alone(kind: str):
    return updated(kind, None, N)


def grid(shape):
    fsdp, tp, ep = shape
    return meshes.make(meshes.MeshConfig(fsdp, tp, ep), jax.devices()[:8])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", MESHES, ids=str)
def test_loss_logprobs_and_gradients_equal_one_device(kind, shape):
    want_loss, want_logp, want = alone(kind)
    got_loss, got_logp, got = updated(kind, grid(shape), N)
    assert got_loss == pytest.approx(want_loss, rel=1e-5)
    np.testing.assert_allclose(got_logp, want_logp, rtol=1e-5, atol=1e-5)
    for (path, a), (_, b) in zip(got, want, strict=True):
        a, b = a[...], b[...]
        assert np.linalg.norm(b) > 0, path
        assert np.linalg.norm(a - b) <= 1e-5 * max(np.linalg.norm(b), 1.0), path


def test_microbatches_take_rows_of_every_chip():
    want_loss, _, want = alone("dense")
    got_loss, _, got = updated("dense", grid((2, 2, 2)), 4)
    assert got_loss == pytest.approx(want_loss, rel=1e-5)
    for (path, a), (_, b) in zip(got, want, strict=True):
        assert np.linalg.norm(a[...] - b[...]) <= 1e-5 * max(np.linalg.norm(b[...]), 1.0), path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", MESHES, ids=str)
def test_sampled_tokens_equal_those_of_one_device(kind, shape):
    prompts = [list(range(3, 3 + n)) for n in (5, 9, 2, 7, 1, 3, 8, 4)]
    outs = []
    for mesh in (None, grid(shape)):
        sampler = engine.Engine(subject(kind), mesh=mesh, rows=8, trunks=(16,))
        outs.append(sampler.generate(prompts, n=2, max_new_tokens=6, temperature=1.0, seed=3))
    np.testing.assert_array_equal(outs[0].ids, outs[1].ids)
    np.testing.assert_allclose(outs[0].logprobs, outs[1].logprobs, atol=1e-5)
    assert len(np.unique(outs[0].ids)) > 20  # not all the same token
