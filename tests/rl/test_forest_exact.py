"""Packed groups are exact: loss and every gradient leaf equal one flat sequence a completion."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pa_jax.models import config, decoder
from pa_jax.rl import groups, loss
from pa_jax.train import step

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
CFG = loss.LossConfig(
    clip_low=0.1,
    clip_high=0.15,
    beta=0.3,
    updates=1,
    minibatches=1,
    normalise="token",
    ratio="token",
)
TEMPERATURE = 0.8
PROMPTS = [[5, 9, 2, 7, 1, 30, 31], [5, 9, 2, 8], [44]]  # two begin alike
COMPLETIONS = [
    [[3, 4, 1, 2], [3, 4, 6], [3, 4, 1, 2], []],  # a common beginning, the same twice, none
    [[7], [8, 8], [299, 0, 0], [12, 13]],
    [[1, 2, 3, 4], [1, 2, 3], [9], [0, 0, 0, 0]],
]
USED = np.array([[True, True, True, True], [True, False, True, True], [True] * 4])
LENGTH = np.array([[len(ids) for ids in row] for row in COMPLETIONS])
G, C = LENGTH.shape[1], LENGTH.max()
LONGEST = max(map(len, PROMPTS)) + C


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


@functools.cache
def numbers() -> dict[str, np.ndarray]:
    """Old and reference log-probs a token, ratios on both sides of the clip, and advantages."""
    rng, shape = np.random.default_rng(1), (len(PROMPTS), G, C)
    base, noise = -np.log(TINY.vocab), rng.normal(size=(2, *shape))
    first: dict[tuple[int, ...], tuple[int, ...]] = {}
    for n, g in np.ndindex(*LENGTH.shape):  # the reference says the same of what begins alike
        for c in range(LENGTH[n, g]):
            path = (n, *COMPLETIONS[n][g][: c + 1])
            noise[(1, n, g, c)] = noise[(1, *first.setdefault(path, (n, g, c)))]
    return {
        "old": (base + 0.5 * noise[0]).astype(np.float32),
        "reference": (base + 0.5 * noise[1]).astype(np.float32),
        "advantage": rng.normal(size=shape[:2]).astype(np.float32),
    }


def packed(length: int, calls: int = 1) -> groups.Groups:
    return groups.pack(PROMPTS, COMPLETIONS, lengths=(length,), calls=calls)


def batch_of(made: groups.Groups) -> loss.GroupBatch:
    """The batch of packed rows; the reference's numbers go where the wanted tokens are."""
    of = numbers()
    reference = np.zeros(made.rows.token.shape, np.float32)
    of_tokens = made.of_tokens(of["reference"])
    for at in zip(*np.nonzero(made.real), strict=True):
        reference[(*at[:2], made.place[at])] = of_tokens[at]
    used = made.of_completions(USED)
    return jax.tree.map(
        jnp.asarray,
        loss.GroupBatch(
            rows=made.rows,
            place=made.place,
            completion=made.number,
            used=used,
            weight=used / np.float32(used.sum()),
            old_logp=made.of_tokens(of["old"]),
            advantage=made.of_completions(of["advantage"]),
            reference_logp=reference,
            tokens=np.full(used.shape[:2], used.sum(), np.float32),
        ),
    )


@functools.cache
def flat(family: str):
    """The objective as the paper's sum over tokens from plain rows, one a completion."""
    rows = [[*prompt, *ids] for prompt, of in zip(PROMPTS, COMPLETIONS, strict=True) for ids in of]
    ids_bt = jnp.asarray([row + [0] * (LONGEST - len(row)) for row in rows], jnp.int32)
    end_bt = jnp.asarray(
        [[len(row) if t < len(row) else t + 1 for t in range(LONGEST)] for row in rows], jnp.int32
    )
    position_bt = jnp.broadcast_to(jnp.arange(LONGEST), ids_bt.shape)
    tokens = [
        (n, g, c) for n, g in np.ndindex(*LENGTH.shape) for c in range(LENGTH[n, g]) if USED[n, g]
    ]
    n, g, c = np.array(tokens).T
    at = np.array([len(prompt) for prompt in PROMPTS])[n] + c - 1  # predicts the token
    of = numbers()
    graph, state = build(family, "dense")

    @jax.jit
    @jax.value_and_grad
    def objective(state):
        model = nnx.merge(graph, state)
        logits = model.logits(model.on_rows(ids_bt, end_bt, position_bt).hidden)
        logp_btv = jax.nn.log_softmax(logits / TEMPERATURE)
        new = logp_btv[n * G + g, at, ids_bt[n * G + g, at + 1]]
        old, ref, a = of["old"][n, g, c], of["reference"][n, g, c], of["advantage"][n, g]
        ratio = jnp.exp(new - old)
        bounded = jnp.clip(ratio, 1 - CFG.clip_low, 1 + CFG.clip_high)
        gain = jnp.where(ratio * a < bounded * a, ratio * a, bounded * a)
        kl = jnp.exp(ref - new) - (ref - new) - 1
        return jnp.sum(CFG.beta * kl - gain) / len(tokens)

    return objective(state)


def objective(family: str, remat: str):
    graph, state = build(family)

    @jax.jit
    @jax.value_and_grad
    def total(state, rows):
        how = {"cfg": CFG, "temperature": jnp.float32(TEMPERATURE), "remat": remat}
        return loss.grpo(nnx.merge(graph, state), rows, **how)[0]

    return total, state


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
    total, state = objective(family, "dots")
    rows = jax.tree.map(lambda x: x[0], batch_of(packed(64)))
    got, grads = total(state, rows)
    want, want_grads = flat(family)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert_gradients_equal(grads, want_grads)


def test_groups_cut_over_rows_and_calls_equal_one_row():
    """Rows so short that a group's completions lie in several, and calls behind the last."""
    graph, state = build("qwen3")
    made = packed(16, calls=4)
    assert made.count > 1 and made.count < len(made.rows.ids)
    how = {"cfg": CFG, "temperature": jnp.float32(TEMPERATURE), "remat": "full"}
    tx = optax.sgd(1.0)
    update = step.make_update(graph, functools.partial(loss.grpo, **how), tx, compute="float32")
    new, metrics = update(step.create(state, tx), batch_of(made), jnp.int32(made.count))
    want, want_grads = flat("qwen3")
    np.testing.assert_allclose(metrics["loss"], want, rtol=1e-5)
    moved = jax.tree.map(lambda old, new: old - new, state, new.params)
    assert_gradients_equal(moved, want_grads)


def test_padding_ids_change_neither_loss_nor_gradients():
    total, state = objective("llama", "none")
    batch = batch_of(packed(64))
    real = np.zeros(batch.rows.ids.shape, bool)
    real[..., : packed(64).tokens] = True
    noise = np.random.default_rng(9).integers(0, TINY.vocab, real.shape)
    other = dataclasses.replace(
        batch,
        rows=dataclasses.replace(
            batch.rows, ids=jnp.where(real, batch.rows.ids, noise).astype(jnp.int32)
        ),
    )
    assert (other.rows.ids != batch.rows.ids).any()
    one, two = (total(state, jax.tree.map(lambda x: x[0], each)) for each in (batch, other))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-9), one, two)


def test_what_completions_share_stands_in_a_row_once():
    made = packed(64)
    paths = [
        tuple([*prompt, *ids][:-1])
        for prompt, of in zip(PROMPTS, COMPLETIONS, strict=True)
        for ids in of
        if ids
    ]
    assert made.tokens == len({path[: k + 1] for path in paths for k in range(len(path))})
    assert made.real.sum() == LENGTH.sum()
    assert made.fill == made.tokens / 64
