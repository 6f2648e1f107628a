"""The update step: accumulation, optimiser, skipped updates, donation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pa_jax.models import config, decoder
from pa_jax.train import optimizer, step

ROWS = 8


class Line(nnx.Module):
    """y = w x + b, the least that has two parameters of different rank."""

    def __init__(self) -> None:
        self.w = nnx.Param(jnp.array([[0.5, -1.0], [2.0, 0.25]]))
        self.b = nnx.Param(jnp.array([0.1, -0.2]))


def loss(model, batch):
    """One call's share of the mean squared error over all ROWS rows."""
    x, y = batch
    error = x @ model.w[...] + model.b[...] - y
    metrics = {"error": jnp.sum(error**2) / ROWS, "max/worst": jnp.max(jnp.abs(error))}
    return jnp.sum(error**2) / ROWS, metrics


def data(seed=0, calls=1):
    """ROWS rows in so many calls."""
    keys = jax.random.split(jax.random.key(seed), 2)
    shape = (calls, ROWS // calls, 2)
    return tuple(jax.random.normal(key, (ROWS, 2)).reshape(shape) for key in keys)


def setup(tx, *, loss_fn=loss, compute="float32"):
    graph, params = nnx.split(Line())
    update = step.make_update(graph, loss_fn, tx, compute=compute)

    def run(state, batch, count=None):
        return update(state, batch, jnp.int32(count or len(batch[0])))

    return run, step.create(params, tx)


def arrays(state):
    return [np.asarray(x) for x in jax.tree.leaves((state.params, state.opt))]


@pytest.mark.parametrize("calls", [2, 4, 8])
def test_accumulated_equals_one_batch(calls):
    tx = optax.adam(0.1)
    whole, state = setup(tx)
    parts, other = setup(tx)
    for seed in range(3):
        state, one = whole(state, data(seed))
        other, two = parts(other, data(seed, calls))
        for name in ("loss", "error", "worst", "grad_norm"):
            np.testing.assert_allclose(one[name], two[name], rtol=1e-5)
    for a, b in zip(arrays(state), arrays(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_calls_behind_the_count_are_not_computed():
    tx = optax.adam(0.1)
    (few, state), (all_, other) = setup(tx), setup(tx)
    x, y = data(0, 4)
    nothing = jnp.full_like(x, jnp.nan)
    state, one = few(state, (x, y))
    padded = jnp.concatenate([x, nothing]), jnp.concatenate([y, nothing])
    other, two = all_(other, padded, count=4)
    jax.tree.map(np.testing.assert_array_equal, one, two)
    for a, b in zip(arrays(state), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_of_plain_descent_follows_the_gradient_by_hand():
    update, state = setup(optax.sgd(0.1))
    (x, y), before = data(), nnx.to_pure_dict(state.params)
    w, b = np.asarray(before["w"]), np.asarray(before["b"])
    state, metrics = update(state, (x, y))
    x, y = np.asarray(x[0]), np.asarray(y[0])
    error = x @ w + b - y
    after = nnx.to_pure_dict(state.params)
    grad_w, grad_b = 2 * x.T @ error / ROWS, 2 * error.sum(axis=0) / ROWS
    np.testing.assert_allclose(after["w"], w - 0.1 * grad_w, rtol=1e-5)
    np.testing.assert_allclose(after["b"], b - 0.1 * grad_b, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["grad_norm"], np.sqrt((grad_w**2).sum() + (grad_b**2).sum()), rtol=1e-5
    )
    np.testing.assert_allclose(metrics["worst"], np.abs(error).max(), rtol=1e-5)
    assert metrics["skipped"] == 0 and int(state.step) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("calls", [1, 4])
def test_an_update_that_is_not_finite_changes_nothing_and_is_counted(bad, calls):
    update, state = setup(optax.adam(0.1))
    state, _ = update(state, data(0, calls))
    before = arrays(state)
    x, y = data(1, calls)
    state, metrics = update(state, (x.at[-1, 1, 0].set(bad), y))
    assert metrics["skipped"] == 1 and int(state.step) == 2
    for a, b in zip(arrays(state), before, strict=True):
        np.testing.assert_array_equal(a, b)
    state, metrics = update(state, data(2, calls))
    assert metrics["skipped"] == 0
    assert any((a != b).any() for a, b in zip(arrays(state), before, strict=True))


def test_a_finite_loss_with_an_infinite_gradient_is_skipped_too():
    def steep(model, batch):
        return jnp.sum(jnp.sqrt(model.w[...] * 0.0)), {}

    update, state = setup(optax.sgd(0.1), loss_fn=steep)
    before = arrays(state)
    state, metrics = update(state, data())
    assert np.isfinite(metrics["loss"]) and metrics["skipped"] == 1
    for a, b in zip(arrays(state), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_state_is_donated_and_the_source_parameters_are_not():
    tx = optax.adam(0.1)
    graph, params = nnx.split(Line())
    update = step.make_update(graph, loss, tx, compute="float32")
    state = step.create(params, tx)
    used = jax.tree.leaves(state)
    update(state, data(), jnp.int32(1))
    assert all(x.is_deleted() for x in used)
    assert not any(x.is_deleted() for x in jax.tree.leaves(params))


def test_bfloat16_compute_keeps_float32_parameters():
    seen = []

    def spy(model, batch):
        seen.append(model.w[...].dtype)
        return loss(model, batch)

    update, state = setup(optax.adam(1e-5), loss_fn=spy, compute="bfloat16")
    before = arrays(state)[0]
    state, _ = update(state, data())
    assert set(seen) == {jnp.bfloat16.dtype}
    assert {x.dtype for x in jax.tree.leaves(state.params)} == {np.dtype("float32")}
    assert (arrays(state)[0] != before).any()  # a step too small for bfloat16 is not lost


OPTIM = {
    "learning_rate": 1.0,
    "warmup": 4,
    "schedule": "cosine",
    "b1": 0.9,
    "b2": 0.99,
    "eps": 1e-8,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
}


@pytest.mark.parametrize(
    ("name", "middle", "end"), [("constant", 1.0, 1.0), ("linear", 0.5, 0.0), ("cosine", 0.5, 0.0)]
)
def test_learning_rate_rises_holds_or_falls(name, middle, end):
    rate = optimizer.schedule(optimizer.OptimConfig(**OPTIM | {"schedule": name}), 24)
    np.testing.assert_allclose([rate(i) for i in range(4)], [0.25, 0.5, 0.75, 1.0], rtol=1e-5)
    np.testing.assert_allclose([rate(4), rate(14), rate(24)], [1.0, middle, end], atol=1e-5)


def test_unknown_schedule_names_the_choices():
    with pytest.raises(ValueError, match=r"schedule='step'.*cosine"):
        optimizer.OptimConfig(**OPTIM | {"schedule": "step"})


def test_decay_reaches_matrices_and_neither_norms_nor_biases():
    """With no gradient, only decay moves parameters; the width is past any size threshold."""
    cfg = dataclasses.replace(
        config.PRESETS["tiny"],
        **{"family": "qwen2", "width": 1100, "mlp": 4, "vocab": 8, "layers": 1},
        **{"tied": False, "qkv_bias": True, "qk_norm": True},
    )
    fields = OPTIM | {"warmup": 0, "schedule": "constant", "weight_decay": 0.1}
    tx = optimizer.make(optimizer.OptimConfig(**fields), 10)

    @jax.jit
    def updates():
        model = decoder.Decoder(cfg, key=jax.random.key(0), dtype="float32", attention="dense")
        params = jax.tree.map(jnp.ones_like, nnx.state(model))
        return tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)[0]

    moved = {
        path[-1] for path, x in nnx.to_flat_state(updates()) if (np.asarray(x[...]) != 0).any()
    }
    assert moved == {"embed", "head", "wq", "wk", "wv", "wo", "w_gate", "w_up", "w_down"}
