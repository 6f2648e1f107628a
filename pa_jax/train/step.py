"""One optimiser step shared by SFT and GRPO: accumulate, clip, update; skip what is not finite."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from pa_jax.core.typing import Array, Int

LossFn = Callable[[Any, Any], tuple[Array, dict[str, Array]]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Parameters, optimiser state, and the number of updates tried."""

    params: nnx.State
    opt: Any
    step: Int[Array, ""]


def create(params: nnx.State, tx: optax.GradientTransformation) -> TrainState:
    """TrainState at step 0; owns copies of the parameters, so that they may be donated."""
    params = jax.tree.map(jnp.copy, params)
    return TrainState(params, tx.init(params), jnp.zeros((), jnp.int32))


def make_update(
    graph: nnx.GraphDef,
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    micro: int,
    compute: str,
) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, Array]]]:
    """Jitted (state, batch) -> (state, metrics); the state is donated.

    `loss_fn(model, batch)` returns this batch's share of the whole mean loss and metrics, so that
    accumulating over microbatches of `micro` rows equals one batch. Metrics named "max/..." take
    the maximum. An update with a non-finite loss or gradient changes nothing and counts in
    metrics["skipped"]. The forward pass runs on a copy of the parameters in dtype `compute`.
    """

    def loss(params, batch):
        cast = jax.tree.map(lambda x: x.astype(compute), params)
        return loss_fn(nnx.merge(graph, cast), batch)

    grad_fn = jax.value_and_grad(loss, has_aux=True)

    def accumulate(params, batch):
        rows = jax.tree.leaves(batch)[0].shape[0]
        if rows <= micro:
            return grad_fn(params, batch)
        if rows % micro:
            raise ValueError(f"{rows} rows in microbatches of {micro}: must divide.")
        # As leaves: a batch class with an extra leading axis would not be what its types say.
        leaves, kind = jax.tree.flatten(batch)
        parts = [x.reshape(rows // micro, micro, *x.shape[1:]) for x in leaves]

        def grads_of(part):
            return grad_fn(params, jax.tree.unflatten(kind, part))

        shapes = jax.eval_shape(grads_of, [x[0] for x in parts])
        zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

        def add(total, part):
            (loss, metrics), grads = grads_of(part)
            (loss_t, metrics_t), grads_t = total
            metrics = {
                name: jnp.maximum(x, metrics_t[name])
                if name.startswith("max/")
                else x + metrics_t[name]
                for name, x in metrics.items()
            }
            return ((loss + loss_t, metrics), jax.tree.map(jnp.add, grads, grads_t)), None

        return jax.lax.scan(add, zero, parts)[0]

    def update(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Array]]:
        (value, metrics), grads = accumulate(state.params, batch)
        norm = optax.tree.norm(grads)
        finite = jnp.isfinite(value) & jnp.isfinite(norm)

        def apply(params, opt):
            updates, opt = tx.update(grads, opt, params)
            return optax.apply_updates(params, updates), opt

        params, opt = jax.lax.cond(
            finite, apply, lambda params, opt: (params, opt), state.params, state.opt
        )
        metrics = {name.removeprefix("max/"): x for name, x in metrics.items()}
        metrics |= {"loss": value, "grad_norm": norm, "skipped": 1.0 - finite.astype(jnp.float32)}
        return TrainState(params, opt, state.step + 1), metrics

    return jax.jit(update, donate_argnums=0)
