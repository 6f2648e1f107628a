"""Trees are exact: logits, loss and every gradient leaf equal one flat sequence a path."""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.core.typing import Array
from pa_jax.infer import engine, score
from pa_jax.models import config, decoder, tree
from pa_jax.rl import loss

TINY = dataclasses.replace(config.PRESETS["tiny"], vocab=300, width=32, mlp=48)
FAMILIES = {
    "llama": TINY,
    "qwen3": dataclasses.replace(TINY, family="qwen3", qk_norm=True),
    "qwen2": dataclasses.replace(TINY, family="qwen2", qkv_bias=True, tied=False),
    "qwen3_moe": dataclasses.replace(
        TINY,
        family="qwen3_moe",
        qk_norm=True,
        experts=4,
        experts_per_token=2,
        norm_topk=True,
    ),
}
CFG = loss.LossConfig(clip_low=0.1, clip_high=0.15, beta=0.3)
TEMPERATURE = 0.8
TRUNK = [7, 1, 5]
BRANCH = [[4, 0, 2], [1, 3, 4], [2, 4, 1]]
LEAF = [
    [[3, 1], [2, 0], [1, 3]],
    [[0, 2], [3, 3], [1, 1]],
    [[2, 2], [1, 3], [3, 0]],
]
USED = [[True, True, True], [True, False, True], [True, True, True]]
SPEC = tree.TreeSpec(7, 3, 4, 2, 3)
LONGEST = SPEC.trunk + SPEC.branch + SPEC.leaf


@functools.cache
def build(family: str, impl: str = "blocks") -> tuple[nnx.GraphDef, nnx.State]:
    """A model whose biases and norms are away from 0 and 1, so that each of them matters."""

    def make():
        key = jax.random.key(7)
        state = nnx.state(
            decoder.Decoder(FAMILIES[family], key=key, dtype="float32", attention=impl)
        )
        leaves, treedef = jax.tree.flatten(state)
        noise = jax.random.split(jax.random.key(8), len(leaves))
        leaves = [
            x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, noise, strict=True)
        ]
        return jax.tree.unflatten(treedef, leaves)

    graph = nnx.graphdef(decoder.abstract(FAMILIES[family], dtype="float32", attention=impl))
    return graph, jax.jit(make)()


def trees(leaves: bool, seed: int = 0) -> score.TreeIds:
    """Ragged trees whose padding holds random token ids."""
    rng = np.random.default_rng(seed)
    n, (g, c, j, q) = len(TRUNK), (SPEC.branches, SPEC.branch, SPEC.leaves, SPEC.leaf)

    def ids(*shape: int) -> Array:
        return jnp.asarray(rng.integers(0, TINY.vocab, shape), jnp.int32)

    trunk, branch = ids(n, SPEC.trunk), ids(n, g, c)
    if not leaves:
        empty = jnp.zeros((n, g, 0, 0), jnp.int32)
        return score.TreeIds(trunk, branch, empty, tree.lengths(TRUNK, BRANCH))
    return score.TreeIds(trunk, branch, ids(n, g, j, q), tree.lengths(TRUNK, BRANCH, LEAF))


def group(seed: int = 1) -> loss.GroupBatch:
    """Trees of depth 2 with ratios on both sides of the clip and one branch left out."""
    made = trees(leaves=False)
    keys = jax.random.split(jax.random.key(seed), 3)
    shape = made.branch.shape
    base = -jnp.log(TINY.vocab) + jnp.zeros(shape)
    return loss.GroupBatch(
        trees=made,
        old_logp=base + 0.5 * jax.random.normal(keys[0], shape),
        reference_logp=base + 0.5 * jax.random.normal(keys[1], shape),
        advantage=jax.random.normal(keys[2], shape[:2]),
        used=jnp.array(USED),
        tokens=jnp.full((3,), float(np.sum(np.array(BRANCH) * np.array(USED)))),
    )


def rows_of(made: score.TreeIds):
    """Every path as a row of its own: ids [b, LONGEST] and lengths; no tree code involved.

    Rows come branch by branch (leaf by leaf where there are leaves), prompt by prompt.
    """
    ids, lengths = [], []
    for n, p in enumerate(TRUNK):
        for g, c in enumerate(BRANCH[n]):
            path = [*np.asarray(made.trunk[n, :p]), *np.asarray(made.branch[n, g, :c])]
            tails = [[]]
            if made.leaf.size:
                tails = [np.asarray(made.leaf[n, g, j, :q]) for j, q in enumerate(LEAF[n][g])]
            for tail in tails:
                row = [*path, *tail]
                lengths.append(len(row))
                ids.append(row + [0] * (LONGEST - len(row)))
    return jnp.asarray(ids, jnp.int32), jnp.asarray(lengths, jnp.int32)


def flat_grpo(logp_bt, batch: loss.GroupBatch):
    """The objective as the paper's sum over tokens, a flat list of them; rows of their own."""
    tokens = [  # prompt, branch, token
        (n, g, c)
        for n, g in np.ndindex(*batch.advantage.shape)
        for c in range(BRANCH[n][g])
        if USED[n][g]
    ]
    n, g, c = np.array(tokens).T
    row = (n * SPEC.branches + g) * SPEC.leaves  # any of the branch's leaves: leaf 0
    new = logp_bt[row, np.array(TRUNK)[n] + c]
    old, ref, a = batch.old_logp[n, g, c], batch.reference_logp[n, g, c], batch.advantage[n, g]
    ratio = jnp.exp(new - old)
    bounded = jnp.clip(ratio, 1 - CFG.clip_low, 1 + CFG.clip_high)
    gain = jnp.where(ratio * a < bounded * a, ratio * a, bounded * a)
    kl = jnp.exp(ref - new) - (ref - new) - 1
    return jnp.sum(CFG.beta * kl - gain) / len(tokens)


@functools.cache
def flat(family: str):
    """Both losses, their gradients (stacked) and all logits from plain rows, one a path.

    The GRPO loss of a branch is read off the row of its first leaf: a causal model's log-probs do
    not depend on what follows.
    """
    made, batch = trees(leaves=True), group()
    ids_bt, length_b = rows_of(made)
    weight = leaf_weights(made)
    at_bt = np.zeros(ids_bt.shape, np.float32)  # the leaf weights, where the leaf's tokens are
    for row, (n, g, j) in enumerate(np.ndindex(*made.leaf.shape[:3])):
        start, q = TRUNK[n] + BRANCH[n][g], LEAF[n][g][j]
        at_bt[row, start : start + q] = weight[n, g, j, :q]
    graph, state = build(family, "dense")

    def losses(state):
        model = nnx.merge(graph, state)
        hidden = model.on_tree(ids_bt, tree.TreeSpec(LONGEST), tree.lengths(length_b))
        logits_btv = model.logits(hidden)
        logp_btv = jax.nn.log_softmax(logits_btv[:, :-1] / TEMPERATURE)
        logp_bt = jnp.take_along_axis(logp_btv, ids_bt[:, 1:, None], axis=-1)[..., 0]
        logp_bt = jnp.pad(logp_bt, ((0, 0), (1, 0)))  # of each token given those before it
        return jnp.stack([flat_grpo(logp_bt, batch), jnp.sum(logp_bt * at_bt)]), logits_btv

    @jax.jit
    def run(state):
        value, pull, logits = jax.vjp(losses, state, has_aux=True)
        return value, jax.lax.map(pull, jnp.eye(2))[0], logits

    return run(state)


def leaf_weights(made: score.TreeIds) -> np.ndarray:
    return np.random.default_rng(4).normal(size=made.leaf.shape).astype(np.float32)


def assert_gradients_equal(got, want):
    got, want = dict(nnx.to_flat_state(got)), dict(nnx.to_flat_state(want))
    assert got.keys() == want.keys()
    for path, leaf in want.items():
        a, b = np.asarray(got[path][...]), np.asarray(leaf[...])
        norm = np.linalg.norm(b)
        assert norm > 0, f"{path}: no gradient, the comparison says nothing"
        assert np.linalg.norm(a - b) <= 1e-4 * norm, path


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_every_gradient_leaf_equal_flat_rows(family):
    graph, state = build(family)
    batch = group()

    def total(state):
        how = {"cfg": CFG, "temperature": jnp.float32(TEMPERATURE), "remat": "full"}
        return loss.grpo(nnx.merge(graph, state), batch, **how)[0]

    got, grads = jax.jit(jax.value_and_grad(total))(state)
    want, want_grads, _ = flat(family)
    np.testing.assert_allclose(got, want[0], rtol=1e-5)
    assert_gradients_equal(grads, jax.tree.map(lambda x: x[0], want_grads))


@pytest.mark.parametrize("family", FAMILIES)
def test_leaf_loss_gradients_and_all_logits_equal_flat_rows(family):
    """Depth 3: a weighted sum of leaf log-probs, and the logits of every real slot."""
    graph, state = build(family)
    made = trees(leaves=True)
    weight = leaf_weights(made)

    def total(state):
        model = nnx.merge(graph, state)
        logp = score.node_logprobs(model, made, jnp.float32(TEMPERATURE))[1]
        return jnp.sum(logp * weight), model.logits(
            model.on_tree(made.flat(), made.spec, made.lens)
        )

    (got, got_logits), grads = jax.jit(jax.value_and_grad(total, has_aux=True))(state)
    want, want_grads, want_logits = flat(family)
    np.testing.assert_allclose(got, want[1], rtol=1e-5)
    assert_gradients_equal(grads, jax.tree.map(lambda x: x[1], want_grads))
    got_logits, want_logits = np.asarray(got_logits), np.asarray(want_logits)
    for row, (n, g, j) in enumerate(np.ndindex(*made.leaf.shape[:3])):
        branch = SPEC.trunk + g * SPEC.branch
        leaf = SPEC.trunk + SPEC.branch_slots + (g * SPEC.leaves + j) * SPEC.leaf
        p, c, q = TRUNK[n], BRANCH[n][g], LEAF[n][g][j]
        slots = [*range(p), *range(branch, branch + c), *range(leaf, leaf + q)]
        np.testing.assert_allclose(
            got_logits[n, slots], want_logits[row, : p + c + q], rtol=1e-4, atol=1e-5
        )


def test_padding_ids_change_neither_loss_nor_gradients():
    batch = group()
    real_p = jnp.arange(SPEC.trunk) < jnp.asarray(TRUNK)[:, None]
    noise = trees(leaves=False, seed=99)
    other = dataclasses.replace(
        batch,
        trees=dataclasses.replace(
            batch.trees,
            trunk=jnp.where(real_p, batch.trees.trunk, noise.trunk),
            branch=jnp.where(batch.trees.branch_real(), batch.trees.branch, noise.branch),
        ),
    )
    assert (other.trees.branch != batch.trees.branch).any()
    graph, state = build("llama")

    @jax.jit
    def run(state, batch):
        def total(state):
            how = {"cfg": CFG, "temperature": jnp.float32(1), "remat": "none"}
            return loss.grpo(nnx.merge(graph, state), batch, **how)[0]

        return jax.value_and_grad(total)(state)

    one, two = run(state, batch), run(state, other)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-9), one, two)


@pytest.mark.parametrize("family", FAMILIES)
def test_rollout_logprobs_equal_trainer_logprobs(family):
    model = types.SimpleNamespace(
        module=nnx.merge(*build(family)),
        config=FAMILIES[family],
        tokenizer=types.SimpleNamespace(eos_ids=tuple(range(40)), decode=str),
    )
    rng = np.random.default_rng(2)
    prompts = [rng.integers(0, TINY.vocab, size).tolist() for size in (5, 8, 1)]
    out = engine.Engine(model, rows=3, trunks=(8,)).generate(
        prompts, n=3, max_new_tokens=8, temperature=1.0, seed=5
    )
    assert len(set(out.lengths.ravel().tolist())) > 2  # ragged
    completions = [
        [ids[:length].tolist() for ids, length in zip(*row, strict=True)]
        for row in zip(out.ids, out.lengths, strict=True)
    ]
    scored = score.logprobs(model, prompts, completions, rows=3)
    for i, g in np.ndindex(*out.lengths.shape):
        np.testing.assert_allclose(
            out.logprobs[i, g, : out.lengths[i, g]], scored[i][g], atol=1e-4, rtol=0
        )
