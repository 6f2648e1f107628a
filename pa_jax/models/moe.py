"""Mixture of experts: softmax router, top-k, experts by ragged matmul; no token is dropped.

On a mesh the experts lie on its ep axis, which is part of the data axes: each chip routes its own
tokens, the tokens of the ep group are gathered, every chip runs its own experts on all of them, and
the sums go back to the tokens' chips. Weights never move; buffers hold the worst case, all tokens
of the group on one chip's experts, so that none needs dropping.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from pa_jax.core import sharding
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


def mixture(
    x_ntd: Float[Array, "n t d"],
    w_router: Float[Array, "d e"],
    experts: tuple[Array, Array, Array],
    *,
    top: int,
    normalise: bool,
) -> Float[Array, "n t d"]:
    """Each token's `top` experts, weighed; expert-parallel on the mesh set by `jax.set_mesh`."""
    run = functools.partial(_local, top=top, normalise=normalise)
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return run(x_ntd, w_router, experts)
    count, mlp = experts[0].shape[0], experts[0].shape[-1]
    if count % mesh.shape["ep"]:
        raise ValueError(
            f"mesh.ep={mesh.shape['ep']} does not divide {count} experts; choose a divisor."
        )
    rows = sharding.activation_spec(("rows", None, None), x_ntd.shape, mesh)
    tp = "tp" if mlp % mesh.shape["tp"] == 0 else None
    up, down = PartitionSpec("ep", None, tp), PartitionSpec("ep", tp, None)
    return jax.shard_map(
        functools.partial(run, gather=rows[0] is not None, tp=tp is not None),
        mesh=mesh,
        in_specs=(rows, PartitionSpec(), (up, up, down)),
        out_specs=rows,
        check_vma=False,
    )(x_ntd, w_router, experts)


def _local(
    x_ntd: Array,
    w_router: Array,
    experts: Any,
    *,
    top: int,
    normalise: bool,
    gather: bool | None = None,
    tp: bool = False,
) -> Array:
    """One chip's share. `gather`: its tokens differ along ep; None: there is no mesh."""
    flat = x_ntd.reshape(-1, x_ntd.shape[-1])
    weight, expert = route(flat, w_router, top, normalise)
    if gather is None:
        return ragged(flat, weight, expert, experts).reshape(x_ntd.shape)
    if gather:
        flat, weight, expert = (
            jax.lax.all_gather(a, "ep", tiled=True) for a in (flat, weight, expert)
        )
    first = jax.lax.axis_index("ep") * experts[0].shape[0]
    y = ragged(flat, weight, expert - first, experts)
    y = jax.lax.psum(y, "tp") if tp else y
    y = jax.lax.psum_scatter(y, "ep", tiled=True) if gather else jax.lax.psum(y, "ep")
    return y.reshape(x_ntd.shape)


def ragged(
    x_bd: Float[Array, "b d"],
    weight_bm: Float[Array, "b m"],
    expert_bm: Int[Array, "b m"],
    experts: tuple[Array, Array, Array],
) -> Float[Array, "b d"]:
    """SwiGLU experts (w_gate [e, d, f], w_up [e, d, f], w_down [e, f, d]) on sorted tokens.

    Expert numbers outside 0..e-1 are another chip's: they add nothing here.
    """
    w_gate, w_up, w_down = experts
    (tokens, top), count = expert_bm.shape, w_gate.shape[0]
    number = expert_bm.reshape(-1)
    number = jnp.where((number >= 0) & (number < count), number, count)
    order = jnp.argsort(number, stable=True)
    x = x_bd[order // top]
    sizes = jnp.bincount(number, length=count + 1)[:count].astype(jnp.int32)
    hidden = jax.nn.silu(jax.lax.ragged_dot(x, w_gate, sizes)) * jax.lax.ragged_dot(x, w_up, sizes)
    y = jax.lax.ragged_dot(hidden, w_down, sizes)
    ours = (number[order] < count)[:, None]  # past the groups a kernel may leave anything
    y = jnp.where(ours, y * weight_bm.reshape(-1)[order][:, None].astype(y.dtype), 0)
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
