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
from pa_jax.infer import sampler as samplers
from pa_jax.infer import score
from pa_jax.models import config, decoder, lora
from pa_jax.rl import groups, loss
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
# By default each once: all weights and adapters, dense and experts.
SEEN = ["dense", "moe lora"]
KINDS = [kind if kind in SEEN else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
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
def host_batch(shards: int) -> tuple[loss.GroupBatch, groups.Groups]:
    """A ragged batch of eight groups in rows of 32, `shards` a call, as host arrays."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, C + 1, (N, G))
    prompts = [rng.integers(0, 300, rng.integers(1, P + 1)).tolist() for _ in range(N)]
    completions = [[rng.integers(0, 300, n).tolist() for n in row] for row in lengths]
    packed = groups.pack(prompts, completions, lengths=(32,), shards=shards)
    of_tokens = (rng.normal(size=(2, N, G, C)) * 0.3 - 5.7).astype(np.float32)
    used = rng.random((N, G)) < 0.9
    reference = np.zeros(packed.rows.token.shape, np.float32)
    spread = packed.of_tokens(of_tokens[1])
    for at in zip(*np.nonzero(packed.real), strict=True):
        reference[(*at[:2], packed.place[at])] = spread[at]
    batch = loss.GroupBatch(
        rows=packed.rows,
        place=packed.place,
        completion=packed.number,
        used=packed.of_completions(used),
        weight=packed.of_completions((used / lengths.sum()).astype(np.float32)),
        old_logp=packed.of_tokens(of_tokens[0]),
        advantage=packed.of_completions(rng.normal(size=(N, G)).astype(np.float32)),
        reference_logp=reference,
        tokens=np.full(packed.place.shape[:2], float(lengths.sum()), np.float32),
    )
    return batch, packed


def updated(kind: str, mesh):
    """Loss, the log-probs of all tokens before, and every parameter moved by its gradient."""
    graph, params, frozen = trained(kind, mesh)
    tx = optax.sgd(1.0)
    state = step.create(params, tx, mesh=mesh)
    loss_fn = functools.partial(
        loss.grpo,
        cfg=loss.LossConfig(
            clip_low=0.2,
            clip_high=0.2,
            beta=0.1,
            updates=1,
            minibatches=1,
            normalise="token",
            ratio="sequence",
        ),
        temperature=jnp.float32(1.0),
        remat="full",
    )
    where = None if mesh is None else step.layout(state, mesh)
    update = step.make_update(graph, loss_fn, tx, compute="float32", where=where)
    host, packed = host_batch(sharding.data_shards(mesh))
    made = jax.tree.map(lambda x: sharding.put(x, mesh, None, "rows"), host)
    logp, whole = np.zeros((N, G, C), np.float32), step.whole(state, frozen)
    with meshes.using(mesh):
        of_calls = [
            score.scored(graph, whole, jax.tree.map(lambda x, k=k: x[k], made.rows), None, 1.0)[0]
            for k in range(packed.count)
        ]
        new, metrics = update(state, made, jnp.int32(packed.count), frozen)
    for at in zip(*np.nonzero(packed.real), strict=True):
        whose = tuple(of[at] for of in packed.whose)
        logp[whose] = of_calls[at[0]][at[1], packed.place[at]]
    if mesh is not None:
        assert all(jax.tree.leaves(jax.tree.map(lambda x, s: x.sharding == s, new, where)))
    moved = jax.tree.map(lambda new, old: np.asarray(new) - np.asarray(old), new.params, params)
    return float(metrics["loss"]), logp, nnx.to_flat_state(moved)


@functools.cache
def alone(kind: str):
    return updated(kind, None)


def grid(shape):
    fsdp, tp, ep = shape
    return meshes.make(meshes.MeshConfig(fsdp, tp, ep), jax.devices()[:8])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", MESHES, ids=str)
def test_loss_logprobs_and_gradients_equal_one_device(kind, shape):
    want_loss, want_logp, want = alone(kind)
    got_loss, got_logp, got = updated(kind, grid(shape))
    assert got_loss == pytest.approx(want_loss, rel=1e-5)
    np.testing.assert_allclose(got_logp, want_logp, rtol=1e-5, atol=1e-5)
    for (path, a), (_, b) in zip(got, want, strict=True):
        a, b = a[...], b[...]
        assert np.linalg.norm(b) > 0, path
        assert np.linalg.norm(a - b) <= 1e-5 * max(np.linalg.norm(b), 1.0), path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", MESHES, ids=str)
def test_sampled_tokens_equal_those_of_one_device(kind, shape):
    prompts = [list(range(3, 3 + n)) for n in (5, 9, 2, 7, 1, 3, 8, 4)]
    outs = []
    for mesh in (None, grid(shape)):
        sampler = samplers.Sampler(subject(kind), mesh=mesh, rows=8, lengths=(16, 64))
        outs.append(sampler.generate(prompts, n=2, max_new_tokens=6, temperature=1.0, seed=3))
    np.testing.assert_array_equal(outs[0].ids, outs[1].ids)
    np.testing.assert_allclose(outs[0].logprobs, outs[1].logprobs, atol=1e-5)
    assert len(np.unique(outs[0].ids)) > 20  # not all the same token
