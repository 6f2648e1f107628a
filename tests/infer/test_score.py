"""Log-probs on trees equal a full softmax over plain sequences."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.infer import score
from pa_jax.models import tree

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]
COMPLETIONS = [[[1, 2, 3], [4], []], [[7, 7, 7, 7, 7]], [[3, 1], [2]]]
LEAVES = [
    [[[21, 22], [23]], [[24], [25, 26]], [[27], [28]]],
    [[[29], [30, 31, 32]]],
    [[[33], [34]], [[35, 36], [37]]],
]
LONGEST = 16


@pytest.fixture(scope="module")
def model():
    return models.load("random:tiny", dtype="float32")


@pytest.fixture(scope="module")
def full(model):
    """Log-softmax after every token of one plain sequence, all logits at once: [t, v]."""
    graph, state = nnx.split(model.module)

    @jax.jit
    def run(state, ids, length):
        module = nnx.merge(graph, state)
        hidden = module.on_tree(ids, tree.TreeSpec(LONGEST), tree.lengths(length))
        return jax.nn.log_softmax(module.logits(hidden))[0]

    def of(ids):
        row = np.zeros((1, LONGEST), np.int32)
        row[0, : len(ids)] = ids
        return np.asarray(run(state, jnp.asarray(row), jnp.array([len(ids)])))[: len(ids)]

    return of


def test_logprobs_equal_the_full_softmax(model, full):
    got = score.logprobs(model, PROMPTS, COMPLETIONS, rows=2)
    assert [[len(x) for x in row] for row in got] == [[len(c) for c in r] for r in COMPLETIONS]
    for prompt, completions, scored in zip(PROMPTS, COMPLETIONS, got, strict=True):
        for ids, logp in zip(completions, scored, strict=True):
            assert logp.dtype == np.float32
            if not ids:
                continue
            after = full([*prompt, *ids])[len(prompt) - 1 : -1]
            np.testing.assert_allclose(logp, after[np.arange(len(ids)), ids], atol=1e-4)


def test_logprobs_do_not_depend_on_the_company(model):
    alone = score.logprobs(model, PROMPTS[2:], COMPLETIONS[2:], rows=2)[0]
    together = score.logprobs(model, PROMPTS, COMPLETIONS, rows=2)[2]
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_prompts_without_completions_give_empty_lists(model):
    got = score.logprobs(model, PROMPTS, [[], [[7]], []], rows=2)
    assert [len(row) for row in got] == [0, 1, 0]


def test_entropy_and_temperature_of_every_branch_token(model, full):
    graph, state = nnx.split(model.module)
    trees = score.pack(PROMPTS, COMPLETIONS)
    run = jax.jit(
        lambda s, t: score.branch_logprobs(nnx.merge(graph, s), trees, t), static_argnums=()
    )
    logp, entropy = map(np.asarray, run(state, jnp.float32(2.0)))
    for n, prompt in enumerate(PROMPTS):
        for g, ids in enumerate(COMPLETIONS[n]):
            assert not logp[n, g, len(ids) :].any() and not entropy[n, g, len(ids) :].any()
            if not ids:
                continue
            warm = full([*prompt, *ids])[len(prompt) - 1 : -1].astype(np.float64) / 2.0
            warm -= np.log(np.exp(warm).sum(axis=-1, keepdims=True))
            want = warm[np.arange(len(ids)), ids]
            np.testing.assert_allclose(logp[n, g, : len(ids)], want, atol=1e-4)
            want = -(np.exp(warm) * warm).sum(axis=-1)
            np.testing.assert_allclose(entropy[n, g, : len(ids)], want, atol=1e-4)


def test_leaf_tokens_and_labels_are_read_after_their_own_path(model, full):
    graph, state = nnx.split(model.module)
    trees = score.pack(PROMPTS, COMPLETIONS, LEAVES)
    label = [40, 41, 300]

    @jax.jit
    def run(state):
        module = nnx.merge(graph, state)
        logp = score.node_logprobs(module, trees, jnp.float32(1.0))[1]
        return logp, score.leaf_labels(module, trees, jnp.array(label))[0]

    logp, labels = map(np.asarray, run(state))
    for n, prompt in enumerate(PROMPTS):
        for g, ids in enumerate(COMPLETIONS[n]):
            for j, leaf in enumerate(LEAVES[n][g]):
                after = full([*prompt, *ids, *leaf])
                np.testing.assert_allclose(labels[n, g, j], after[-1, label], atol=1e-4)
                before = after[len(prompt) + len(ids) - 1 : -1]
                want = before[np.arange(len(leaf)), leaf]
                np.testing.assert_allclose(logp[n, g, j, : len(leaf)], want, atol=1e-4)


def test_chunks_equal_one_softmax_forward_and_backward(model, monkeypatch):
    """23 slots in chunks of 5, ten of them real and scattered: values, entropy and gradients."""
    monkeypatch.setattr(score, "CHUNK", 5)
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(23, model.config.width)), jnp.float32)
    token = jnp.asarray(rng.integers(0, model.config.vocab, 23), jnp.int32)
    real = jnp.asarray(np.isin(np.arange(23), rng.permutation(23)[:10]))
    embed, graph = model.module.embed[...], nnx.split(model.module)[0]

    def chunked(embed, hidden):
        module = nnx.merge(graph, nnx.state(model.module))
        module.embed = nnx.Param(embed)
        rows = (x[None] for x in (hidden, token, real))
        logp, entropy = (x[0] for x in score.token_logprobs(module, *rows, jnp.float32(0.5)))
        return jnp.sum(jnp.sin(logp)), (logp, entropy)

    def plain(embed, hidden):
        logp_bv = jax.nn.log_softmax(2 * hidden @ embed.T)
        logp = jnp.where(real, logp_bv[jnp.arange(23), token], 0.0)
        entropy = jnp.where(real, -jnp.sum(jnp.exp(logp_bv) * logp_bv, axis=-1), 0.0)
        return jnp.sum(jnp.sin(logp)), (logp, entropy)

    got, want = (
        jax.jit(jax.value_and_grad(f, argnums=(0, 1), has_aux=True))(embed, hidden)
        for f in (chunked, plain)
    )
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_pack_pads_to_buckets_and_keeps_every_token():
    trees = score.pack(PROMPTS, COMPLETIONS, LEAVES, rows=4)
    assert trees.trunk.shape[0] == 4 and trees.branch.shape[:2] == (4, 3)
    for n, row in enumerate(COMPLETIONS):
        p = int(trees.lens.trunk[n])
        assert trees.trunk[n, :p].tolist() == PROMPTS[n]
        for g, ids in enumerate(row):
            assert trees.branch[n, g, : int(trees.lens.branch[n, g])].tolist() == ids
            for j, leaf in enumerate(LEAVES[n][g]):
                assert trees.leaf[n, g, j, : int(trees.lens.leaf[n, g, j])].tolist() == leaf
    assert not trees.lens.branch[1, 1:].any() and not trees.lens.branch[3].any()


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="empty prompt"):
        score.pack([[1], []], [[[2]], [[3]]])


def test_a_prompt_past_the_largest_bucket_names_the_limit():
    model = types.SimpleNamespace(module=nnx.Dict())
    with pytest.raises(ValueError, match=rf"100000 tokens, at most {max(score.TRUNKS)}"):
        score.logprobs(model, [[1] * 100_000], [[[2]]])
