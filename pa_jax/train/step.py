"""One optimiser step shared by SFT and GRPO: accumulate, clip, update; skip what is not finite."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Int

LossFn = Callable[[Any, Any], tuple[Array, dict[str, Array]]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Parameters, optimiser state, and the number of steps done (int32, no axes).

    A step is a batch, however many updates it takes and whether or not they could be applied.

    The same tree also holds shapes, or shardings, in place of the arrays.
    """

    params: nnx.State
    opt: Any
    step: Any


def create(
    params: nnx.State,
    tx: optax.GradientTransformation,
    *,
    mesh: jax.sharding.Mesh | None = None,
) -> TrainState:
    """TrainState at step 0, made where it lies; owns copies of the parameters: they are donated."""

    def make(params: nnx.State) -> TrainState:
        return TrainState(jax.tree.map(jnp.copy, params), tx.init(params), jnp.zeros((), jnp.int32))

    where = None if mesh is None else layout(jax.eval_shape(make, params), mesh)
    return jax.jit(make, out_shardings=where)(params)


def restarted(
    state: TrainState, tx: optax.GradientTransformation, where: TrainState | None = None
) -> TrainState:
    """The same parameters and step with the optimiser at its beginning; `where` is the layout."""
    made = jax.jit(tx.init, out_shardings=None if where is None else where.opt)(state.params)
    return dataclasses.replace(state, opt=made)


def layout(state: TrainState, mesh: sharding.AnyMesh) -> TrainState:
    """The same tree with a NamedSharding for each (abstract) array, by TRAIN_RULES."""
    return sharding.shardings(state, mesh, sharding.TRAIN_RULES)


Gradients = tuple[tuple[Array, dict[str, Array]], nnx.State]  # (loss, metrics), gradients


def _accumulated(
    grad_fn: Callable[..., Gradients], params: nnx.State, batch: Any, count: Array, frozen: Any
) -> Gradients:
    """The sum over the first `count` calls of a batch."""
    # As leaves: a batch class with an extra leading axis would not be what its types say.
    leaves, kind = jax.tree.flatten(batch)

    def grads_of(call: Array | int) -> Gradients:
        part = jax.tree.unflatten(kind, [x[call] for x in leaves])
        return grad_fn(params, part, frozen)

    if leaves[0].shape[0] == 1:
        return grads_of(0)
    shapes = jax.eval_shape(grads_of, 0)
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(call: Array, total: Gradients) -> Gradients:
        (loss, metrics), grads = grads_of(call)
        (loss_t, metrics_t), grads_t = total
        metrics = {
            name: jnp.maximum(x, metrics_t[name])
            if name.startswith("max/")
            else x + metrics_t[name]
            for name, x in metrics.items()
        }
        return (loss + loss_t, metrics), jax.tree.map(jnp.add, grads, grads_t)

    return jax.lax.fori_loop(0, count, add, zero)


def make_update(
    graph: nnx.GraphDef,
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    compute: str,
    where: TrainState | None = None,
) -> jax.stages.Wrapped:
    """Jitted (state, batch, count, frozen=(), steps=1) -> (state, metrics); the state is donated.

    The batch's leaves are [calls, rows, ...]: a forward and backward pass a call, the first `count`
    of them; how many there are is data, so that one program serves every batch. `frozen` is the
    part of the model that is not trained (an nnx.State), used as it is. `steps` is what the update
    adds to the state's step: 0 for all but the last of several on one batch. `where` is the state's
    `layout` on a mesh: the new state keeps it.

    `loss_fn(model, rows)` returns one call's share of the whole mean loss and metrics, so that the
    sum over calls equals one batch. Metrics named "max/..." take the maximum. An update with a
    non-finite loss or gradient changes nothing and counts in metrics["skipped"]. The forward pass
    runs on a copy of the parameters in dtype `compute`.
    """

    def loss(params: nnx.State, batch: Any, frozen: Any) -> tuple[Array, dict[str, Array]]:
        parts = (cast(params, compute), *((frozen,) if frozen else ()))
        return loss_fn(nnx.merge(graph, *parts), batch)

    grad_fn = jax.value_and_grad(loss, has_aux=True)

    def update(
        state: TrainState,
        batch: Any,
        count: Int[Array, ""],
        frozen: Any = (),
        steps: Int[Array, ""] | int = 1,
    ) -> tuple[TrainState, dict[str, Array]]:
        (value, metrics), grads = _accumulated(grad_fn, state.params, batch, count, frozen)
        norm = optax.tree.norm(grads)
        finite = jnp.isfinite(value) & jnp.isfinite(norm)

        def apply(params: nnx.State, opt: Any) -> tuple[nnx.State, Any]:
            updates, opt = tx.update(grads, opt, params)
            return optax.apply_updates(params, updates), opt

        params, opt = jax.lax.cond(
            finite, apply, lambda params, opt: (params, opt), state.params, state.opt
        )
        metrics = {name.removeprefix("max/"): x for name, x in metrics.items()}
        metrics |= {"loss": value, "grad_norm": norm, "skipped": 1.0 - finite.astype(jnp.float32)}
        return TrainState(params, opt, state.step + steps), metrics

    out = None if where is None else (where, None)
    return jax.jit(update, donate_argnums=0, out_shardings=out)


def whole(state: TrainState, frozen: Any) -> nnx.State:
    """All parameters of the model: the trained ones and the frozen ones."""
    return nnx.merge_state(state.params, frozen) if frozen else state.params


def cast(state: Any, dtype: str) -> Any:
    """The same tree with its arrays as `dtype`."""
    return jax.tree.map(lambda x: x.astype(dtype), state)
