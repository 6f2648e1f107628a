"""The GRPO loss against numbers worked out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax.infer import score
from pa_jax.models import config, decoder
from pa_jax.rl import groups, loss

CFG = loss.LossConfig(
    clip_low=0.2,
    clip_high=0.3,
    beta=0.0,
    updates=1,
    minibatches=1,
    normalise="token",
    ratio="token",
)


def token(ratio, advantage, *, beta=0.0, delta=0.0):
    """Loss and parts of one token of the given ratio; delta = reference - new log-prob."""
    new = jnp.full((1,), -2.0)
    value, parts = loss.token_losses(
        new,
        jnp.full((1,), jnp.log(ratio)),
        new + delta,
        jnp.full((1,), advantage),
        dataclasses.replace(CFG, beta=beta),
    )
    return float(value[0]), {name: float(x[0]) for name, x in parts.items()}


@pytest.mark.parametrize(
    ("ratio", "advantage", "want", "clipped"),
    [
        (1.0, 2.0, -2.0, 0),
        (1.2, 2.0, -2.4, 0),
        (1.5, 2.0, -2.6, 1),  # gain stops at 1 + clip_high
        (0.5, 2.0, -1.0, 0),  # a good token that became rare is pulled back in full
        (0.5, -2.0, 1.6, 1),  # loss stops at 1 - clip_low
        (1.5, -2.0, 3.0, 0),
        (0.9, -2.0, 1.8, 0),
    ],
)
def test_clip_on_both_sides(ratio, advantage, want, clipped):
    value, parts = token(ratio, advantage)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    assert parts["clip_fraction"] == clipped


def test_kl_is_k3():
    # d = ln 2: e^d - d - 1 = 1 - ln 2; d = -ln 2: 1/2 + ln 2 - 1
    assert "kl" not in token(1.0, 0.0)[1]  # without beta nothing is computed of it
    for d, want in ((np.log(2), 1 - np.log(2)), (-np.log(2), np.log(2) - 0.5), (0.0, 0.0)):
        value, parts = token(1.0, 0.0, beta=0.5, delta=d)
        np.testing.assert_allclose(parts["kl"], want, atol=1e-6)
        np.testing.assert_allclose(value, 0.5 * want, atol=1e-6)


def test_on_policy_kl_has_a_gradient_off_the_reference_and_none_on_it():
    """k1's gradient does not depend on the reference at all; k3's is 1 - e^d."""

    def total(new, delta):
        old = jax.lax.stop_gradient(new)
        cfg = dataclasses.replace(CFG, beta=1.0)
        return loss.token_losses(new, new - old, old + delta, jnp.zeros((1,)), cfg)[0].sum()

    for delta in (0.7, -0.4, 0.0):
        got = jax.grad(total)(jnp.full((1,), -1.0), delta)
        np.testing.assert_allclose(got[0], 1 - np.exp(delta), atol=1e-6)


def test_clipped_tokens_have_no_gradient_and_the_others_have():
    def total(new, old):
        advantage = jnp.array([[1.0, 1.0], [-1.0, -1.0]])
        return loss.token_losses(new, new - old, new, advantage, CFG)[0].sum()

    new = jnp.zeros((2, 2))
    old = -jnp.log(jnp.array([[1.5, 1.1], [0.5, 1.5]]))
    got = jax.grad(total)(new, old)
    np.testing.assert_allclose(got, [[0.0, -1.1], [0.0, 1.5]], atol=1e-6)


LENGTH = [[4, 1], [2, 0]]
ADVANTAGE = [[1.0, -2.0], [0.5, 7.0]]


@pytest.fixture(scope="module")
def grpo():
    """Jitted loss and metrics of a tiny model, and a batch of 2 prompts x 2 ragged completions."""
    cfg = dataclasses.replace(config.PRESETS["tiny"], layers=1, width=32, mlp=32, vocab=64)
    model = decoder.Decoder(cfg, key=jax.random.key(0), dtype="float32", attention="blocks")
    graph, state = nnx.split(model)
    rng = np.random.default_rng(1)
    prompts = [rng.integers(0, 64, n).tolist() for n in (5, 3)]
    completions = [[rng.integers(0, 64, n).tolist() for n in row] for row in LENGTH]
    packed = groups.pack(prompts, completions, lengths=(32,))
    rows = jax.tree.map(lambda x: jnp.asarray(x[0]), packed.rows)

    @jax.jit
    def run(batch):
        how = {"temperature": jnp.float32(1), "remat": "none"}
        cfg = dataclasses.replace(CFG, beta=0.1)
        return loss.grpo(nnx.merge(graph, state), batch, cfg=cfg, **how)

    logp, _ = score.scored(graph, state, rows, None, jnp.float32(1))
    batch = loss.GroupBatch(
        rows=rows,
        place=jnp.asarray(packed.place[0]),
        completion=jnp.asarray(packed.number[0]),
        used=jnp.asarray(packed.real[0]),
        weight=jnp.asarray(packed.real[0] / np.float32(7)),
        old_logp=jnp.take_along_axis(logp, jnp.asarray(packed.place[0]), axis=-1),
        advantage=jnp.asarray(packed.of_completions(np.array(ADVANTAGE, np.float32))[0]),
        reference_logp=logp,
        tokens=jnp.full((1,), 7.0),
    )
    return run, batch, packed


def test_the_mean_is_over_real_tokens_not_over_completions(grpo):
    run, batch, _ = grpo
    value, metrics = run(batch)  # ratio 1 and no KL: every token's loss is minus its advantage
    np.testing.assert_allclose(value, -(4 * 1.0 + 1 * -2.0 + 2 * 0.5) / 7, rtol=1e-4)
    np.testing.assert_allclose(metrics["kl"], 0.0, atol=1e-6)
    np.testing.assert_allclose(metrics["max/logp_delta_max"], 0.0, atol=1e-5)
    assert 0 < metrics["entropy"] <= np.log(64)


def test_completions_that_are_not_used_count_nowhere(grpo):
    run, batch, packed = grpo
    used = packed.of_completions(np.array([[True, False], [True, False]]))[0]
    used = dataclasses.replace(
        batch,
        used=jnp.asarray(used),
        weight=jnp.asarray(used / np.float32(6)),
        tokens=jnp.full((1,), 6.0),
    )
    np.testing.assert_allclose(run(used)[0], -(4 * 1.0 + 2 * 0.5) / 6, rtol=1e-4)


def test_nothing_used_is_zero_and_finite(grpo):
    run, batch, _ = grpo
    none = dataclasses.replace(
        batch, used=jnp.zeros_like(batch.used), tokens=jnp.zeros_like(batch.tokens)
    )
    value, metrics = run(none)
    assert float(value) == 0.0
    assert all(np.isfinite(x) for x in metrics.values())


def test_drift_between_sampler_and_trainer_is_reported(grpo):
    run, batch, _ = grpo
    old = batch.old_logp.at[0, 1].add(0.14).at[0, -1].add(9.0)  # the second is padding
    _, metrics = run(dataclasses.replace(batch, old_logp=old))
    np.testing.assert_allclose(metrics["logp_delta_mean"], 0.14 / 7, rtol=1e-3)
    np.testing.assert_allclose(metrics["max/logp_delta_max"], 0.14, rtol=1e-3)
