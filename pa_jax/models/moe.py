"""Mixture of experts: softmax router, top-k, experts by ragged matmul; no token is dropped."""

import jax
import jax.numpy as jnp

from pa_jax.core.typing import Array, Float, Int


def route(
    x_bd: Float[Array, "b d"], w_router: Float[Array, "d e"], top: int, normalise: bool
) -> tuple[Float[Array, "b m"], Int[Array, "b m"]]:
    """Weights and expert numbers of each token's `top` experts; float32 softmax over all."""
    logits = jnp.dot(x_bd, w_router, preferred_element_type=jnp.float32)
    weight, expert = jax.lax.top_k(jax.nn.softmax(logits, axis=-1), top)
    if normalise:
        weight = weight / jnp.maximum(weight.sum(axis=-1, keepdims=True), 1e-20)
    return weight, expert


def ragged(
    x_bd: Float[Array, "b d"],
    weight_bm: Float[Array, "b m"],
    expert_bm: Int[Array, "b m"],
    experts: tuple[Array, Array, Array],
) -> Float[Array, "b d"]:
    """SwiGLU experts (w_gate [e, d, f], w_up [e, d, f], w_down [e, f, d]) on sorted tokens."""
    w_gate, w_up, w_down = experts
    tokens, top = expert_bm.shape
    order = jnp.argsort(expert_bm.reshape(-1), stable=True)
    x = x_bd[order // top]
    sizes = jnp.bincount(expert_bm.reshape(-1), length=w_gate.shape[0]).astype(jnp.int32)
    hidden = jax.nn.silu(jax.lax.ragged_dot(x, w_gate, sizes)) * jax.lax.ragged_dot(x, w_up, sizes)
    y = jax.lax.ragged_dot(hidden, w_down, sizes)
    y = y * weight_bm.reshape(-1)[order][:, None].astype(y.dtype)
    return jnp.zeros((tokens, x_bd.shape[1]), y.dtype).at[order // top].add(y)


def dense(
    x_bd: Float[Array, "b d"],
    weight_bm: Float[Array, "b m"],
    expert_bm: Int[Array, "b m"],
    experts: tuple[Array, Array, Array],
) -> Float[Array, "b d"]:
    """Every expert on every token, unused ones weighed 0: the oracle of `ragged`."""
    w_gate, w_up, w_down = experts
    gate = jnp.einsum("bd,edf->bef", x_bd, w_gate)
    up = jnp.einsum("bd,edf->bef", x_bd, w_up)
    y = jnp.einsum("bef,efd->bed", jax.nn.silu(gate) * up, w_down)
    share = (jax.nn.one_hot(expert_bm, w_gate.shape[0]) * weight_bm[..., None]).sum(axis=1)
    return jnp.einsum("bed,be->bd", y, share.astype(y.dtype))
