"""Every normalisation and ratio against the papers' sums, written as loops over completions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pa_jax.models import config, decoder
from pa_jax.rl import groups, loss
from pa_jax.train import step

TINY = dataclasses.replace(config.PRESETS["tiny"], layers=1, width=32, mlp=32, vocab=64)
PROMPTS = [[5, 9, 2, 7, 1], [5, 9, 2, 8], [44]]
COMPLETIONS = [
    [[3, 4, 1, 2, 6, 6], [3, 4, 6], [3, 4, 1, 2]],  # a common beginning
    [[7], [8, 8], []],  # one of no token
    [[1, 2, 3, 4, 5], [9], [1, 0]],
]
USED = np.array([[True, True, True], [True, False, True], [False, True, True]])
LENGTH = np.array([[len(ids) for ids in row] for row in COMPLETIONS])
LONGEST = 8
TEMPERATURE = 0.9
CFG = loss.LossConfig(
    clip_low=0.1,
    clip_high=0.15,
    beta=0.3,
    updates=1,
    minibatches=1,
    normalise="token",
    ratio="token",
)


@pytest.fixture(scope="module")
def model():
    made = decoder.Decoder(TINY, key=jax.random.key(3), dtype="float32", attention="blocks")
    return nnx.split(made)


@pytest.fixture(scope="module")
def numbers():
    """Advantages; old and reference log-probs of every token, off the model's by enough to clip."""
    rng = np.random.default_rng(5)
    shape = (*LENGTH.shape, LENGTH.max())
    old = rng.normal(-np.log(TINY.vocab), 0.25, shape).astype(np.float32)
    reference, seen = np.zeros(shape, np.float32), {}
    for n, g in np.ndindex(*LENGTH.shape):  # the reference says the same of what begins alike
        for c in range(LENGTH[n, g]):
            path = (n, *COMPLETIONS[n][g][: c + 1])
            value = seen.setdefault(path, rng.normal(-np.log(TINY.vocab), 0.25))
            reference[n, g, c] = value
    return rng.normal(size=LENGTH.shape).astype(np.float32), old, reference


def oracle(model, numbers, cfg):
    """The loss and its gradient, one plain sequence and one Python loop a completion."""
    graph, state = model
    advantage, old, reference = numbers

    def objective(state):
        module = nnx.merge(graph, state)
        sums, lengths, ratios = [], [], []
        for n, g in np.ndindex(*LENGTH.shape):
            ids = COMPLETIONS[n][g]
            if not USED[n, g] or not ids:
                continue
            row = jnp.asarray([PROMPTS[n] + ids])
            t = row.shape[1]
            passed = module.on_rows(row, jnp.full_like(row, t), jnp.arange(t)[None])
            logits = module.logits(passed.hidden)[0] / TEMPERATURE
            logp_tv = jax.nn.log_softmax(logits)
            start = len(PROMPTS[n])
            new = [logp_tv[start + c - 1, token] for c, token in enumerate(ids)]
            moved = [new[c] - old[n, g, c] for c in range(len(ids))]
            total = 0.0
            for c in range(len(ids)):
                ratio = jnp.exp(moved[c] if cfg.ratio == "token" else sum(moved) / len(ids))
                bounded = jnp.clip(ratio, 1 - cfg.clip_low, 1 + cfg.clip_high)
                a = advantage[n, g]
                gain = jnp.where(ratio * a < bounded * a, ratio * a, bounded * a)
                d = reference[n, g, c] - new[c]
                total = total - gain + cfg.beta * (jnp.exp(d) - d - 1)
                ratios.append(ratio)
            sums.append(total)
            lengths.append(len(ids))
        ratios = jnp.stack(ratios)
        if cfg.normalise == "token":
            return sum(sums) / sum(lengths), ratios
        if cfg.normalise == "sequence":
            return sum(s / n for s, n in zip(sums, lengths, strict=True)) / len(sums), ratios
        return sum(sums) / (LENGTH.size * LONGEST), ratios

    (value, ratios), grads = jax.jit(jax.value_and_grad(objective, has_aux=True))(state)
    clipped = (ratios < 1 - cfg.clip_low) | (ratios > 1 + cfg.clip_high)
    assert clipped.any() and not clipped.all()  # else a ratio would not matter
    return value, grads


def packed_batch(numbers, cfg):
    """The same as packed rows, as training makes them."""
    advantage, old, reference = numbers
    made = groups.pack(PROMPTS, COMPLETIONS, lengths=(12,))
    of_rows, spread = np.zeros(made.rows.token.shape, np.float32), made.of_tokens(reference)
    for at in zip(*np.nonzero(made.real), strict=True):
        of_rows[(*at[:2], made.place[at])] = spread[at]
    weight = loss.token_weights(LENGTH, USED, normalise=cfg.normalise, longest=LONGEST)
    used = made.of_completions(USED)
    batch = loss.GroupBatch(
        rows=made.rows,
        place=made.place,
        completion=made.number,
        used=used,
        weight=made.of_completions(weight),
        old_logp=made.of_tokens(old),
        advantage=made.of_completions(advantage),
        reference_logp=of_rows if cfg.beta else None,
        tokens=np.full(used.shape[:2], used.sum(), np.float32),
    )
    return jax.tree.map(jnp.asarray, batch), made.count


SELDOM = [
    ("constant", "token", 0.3),
    ("token", "token", 0.0),
    ("token", "sequence", 0.3),
    ("sequence", "token", 0.3),
    ("constant", "sequence", 0.3),
]


@pytest.mark.parametrize(
    ("normalise", "ratio", "beta"),
    [
        ("token", "token", 0.3),
        ("sequence", "sequence", 0.3),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in SELDOM),
    ],
)
def test_loss_and_every_gradient_equal_the_sums_of_the_papers(
    model, numbers, normalise, ratio, beta
):
    """In rows so short that a group's completions lie in several calls."""
    cfg = dataclasses.replace(CFG, normalise=normalise, ratio=ratio, beta=beta)
    want, want_grads = oracle(model, numbers, cfg)
    want_grads = dict(nnx.to_flat_state(want_grads))
    graph, state = model

    def objective(module, batch):
        how = {"temperature": jnp.float32(TEMPERATURE), "remat": "none"}
        return loss.grpo(module, batch, cfg=cfg, **how)

    batch, count = packed_batch(numbers, cfg)
    assert count > 1
    tx = optax.sgd(1.0)
    update = step.make_update(graph, objective, tx, compute="float32")
    new, metrics = update(step.create(state, tx), batch, jnp.int32(count))
    np.testing.assert_allclose(metrics["loss"], want, rtol=1e-5)
    assert ("kl" in metrics) == bool(beta)
    moved = jax.tree.map(lambda old, new: old - new, state, new.params)
    for path, leaf in nnx.to_flat_state(moved):
        b = np.asarray(want_grads[path][...])
        assert np.linalg.norm(b) > 0, path
        assert np.linalg.norm(np.asarray(leaf[...]) - b) <= 2e-4 * np.linalg.norm(b), path


def test_weights_by_hand():
    length, used = np.array([[4, 1], [2, 5]]), np.array([[True, True], [True, False]])
    made = {
        name: loss.token_weights(length, used, normalise=name, longest=10)
        for name in loss.NORMALISE
    }
    np.testing.assert_allclose(made["token"], [[1 / 7, 1 / 7], [1 / 7, 0]], rtol=1e-6)
    np.testing.assert_allclose(made["sequence"], [[1 / 12, 1 / 3], [1 / 6, 0]], rtol=1e-6)
    np.testing.assert_allclose(made["constant"], [[1 / 40, 1 / 40], [1 / 40, 0]], rtol=1e-6)


@pytest.mark.parametrize("normalise", loss.NORMALISE)
def test_a_batch_of_which_nothing_is_used_weighs_nothing(normalise):
    none = loss.token_weights(LENGTH, np.zeros_like(USED), normalise=normalise, longest=LONGEST)
    assert (none == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalise": "mean"}, r"normalise='mean'.*sequence"),
        ({"ratio": "group"}, r"ratio='group'.*sequence"),
        ({"beta": -0.1}, "beta=-0.1"),
        ({"updates": 0}, "multiple of minibatches"),
        ({"updates": 3, "minibatches": 2}, "multiple of minibatches"),
    ],
)
def test_wrong_settings_name_what_is_allowed(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CFG, **change)
