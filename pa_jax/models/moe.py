"""Mixture of experts: softmax router, top-k, experts by ragged matmul; no token is dropped.

On a mesh the experts lie on its ep axis, which is part of the data axes: each chip routes its own
tokens, the tokens of the ep group are gathered, every chip runs its own experts on all of them, and
the sums go back to the tokens' chips. Weights never move. A chip takes the choices that fell on
its experts block by block: one block where experts share the load evenly, as many as it takes where
all tokens of the group want one chip's experts, so that none needs dropping.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int

SLACK = 1.25  # a block of choices, in even shares of them: little above, and a second block is rare
LANES = 128  # a block's rows are a multiple of it
# Gate and up are one product where a block has so many rows for each column that one weight has of
# all experts: it reads the rows once, where two do it twice, but first writes the weights side by
# side, which is read, written and read again.
JOINED = 4


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
    scales: tuple[Array, Array, Array] | None,
    *,
    top: int,
    normalise: bool,
) -> tuple[Float[Array, "n t d"], Int[Array, " e"]]:
    """Each token's `top` experts, weighed; and how many choices fell on each expert.

    Expert-parallel on the mesh set by `jax.set_mesh`. `scales` belong to int8 experts. Padding is
    routed too, and counted.
    """
    run = functools.partial(_local, top=top, normalise=normalise)
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return run(x_ntd, w_router, experts, scales)
    count, mlp = experts[0].shape[0], experts[0].shape[-1]
    if count % mesh.shape["ep"]:
        raise ValueError(
            f"mesh.ep={mesh.shape['ep']} does not divide {count} experts; choose a divisor."
        )
    rows = sharding.activation_spec(("rows", None, None), x_ntd.shape, mesh)
    tp = "tp" if mlp % mesh.shape["tp"] == 0 else None
    up, down = PartitionSpec("ep", None, tp), PartitionSpec("ep", tp, None)
    of_scales = (PartitionSpec("ep", tp), PartitionSpec("ep", tp), PartitionSpec("ep", None))
    return jax.shard_map(
        functools.partial(run, gather=rows[0] is not None, tp=tp is not None),
        mesh=mesh,
        in_specs=(rows, PartitionSpec(), (up, up, down), scales and of_scales),
        out_specs=(rows, PartitionSpec()),
        check_vma=False,
    )(x_ntd, w_router, experts, scales)


def _local(
    x_ntd: Array,
    w_router: Array,
    experts: Any,
    scales: Any,
    *,
    top: int,
    normalise: bool,
    gather: bool | None = None,
    tp: bool = False,
) -> tuple[Array, Array]:
    """One chip's share. `gather`: its tokens differ along ep; None: there is no mesh."""
    flat = x_ntd.reshape(-1, x_ntd.shape[-1])
    weight, expert = route(flat, w_router, top, normalise)
    load = jnp.bincount(expert.reshape(-1), length=w_router.shape[-1]).astype(jnp.int32)
    if gather is None:
        return ragged(flat, weight, expert, experts, scales).reshape(x_ntd.shape), load
    if gather:
        load = jax.lax.psum(load, sharding.DATA)
        flat, weight, expert = (
            jax.lax.all_gather(a, "ep", tiled=True) for a in (flat, weight, expert)
        )
    first = jax.lax.axis_index("ep") * experts[0].shape[0]
    parts = w_router.shape[-1] // experts[0].shape[0]
    y = ragged(flat, weight, expert - first, experts, scales, parts=parts)
    y = jax.lax.psum(y, "tp") if tp else y
    y = jax.lax.psum_scatter(y, "ep", tiled=True) if gather else jax.lax.psum(y, "ep")
    return y.reshape(x_ntd.shape), load


def ragged(
    x_bd: Float[Array, "b d"],
    weight_bm: Float[Array, "b m"],
    expert_bm: Int[Array, "b m"],
    experts: tuple[Array, Array, Array],
    scales: tuple[Array, Array, Array] | None = None,
    *,
    parts: int = 1,
) -> Float[Array, "b d"]:
    """SwiGLU experts (w_gate [e, d, f], w_up [e, d, f], w_down [e, f, d]) on sorted tokens.

    `scales` [e, f], [e, f], [e, d] belong to int8 experts. Expert numbers outside 0..e-1 are
    another chip's: they add nothing here. `parts`: how many chips share the experts.
    """
    (tokens, top), count = expert_bm.shape, experts[0].shape[0]
    number = expert_bm.reshape(-1)
    # Another chip's choices get the number behind our last expert, and so sort behind all of ours.
    number = jnp.where((number >= 0) & (number < count), number, count)
    block = _block(number.size, parts)
    blocks = -(-number.size // block)
    sizes, ends, choice = _by_expert(number, count, blocks * block)
    weight_c = weight_bm.reshape(-1)
    joined = scales is None and block > JOINED * count * experts[0].shape[-1]

    def add(y_bd: Array, this: tuple[Array, Array]) -> Array:
        """With what the block's choices add."""
        start, choice = this
        # How much of each expert's range lies inside this block: the groups of its products.
        inside = jnp.clip(ends, start, start + block) - jnp.clip(ends - sizes, start, start + block)
        token = choice // top  # behind the last token where the choice is behind the last
        expert = number.at[choice].get(mode="fill", fill_value=0)

        def times(x: Array, i: int) -> Array:
            return _product(x, experts[i], inside, None if scales is None else scales[i][expert])

        x = _rows_of(x_bd, token, tokens)
        # The third product is linear: weighing a choice before it is weighing what comes of it.
        weight = weight_c.at[choice].get(mode="fill", fill_value=0)[:, None]
        if joined:
            both = jnp.concatenate([w.astype(x.dtype) for w in experts[:2]], axis=-1)
            gate, up = jnp.split(_product(x, both, inside), 2, axis=-1)
        else:
            gate, up = times(x, 0), times(x, 1)
        y = jax.nn.silu(gate) * up * weight.astype(x.dtype)
        # A token's choices, wherever they were sorted to, add up in its row. Those behind the last
        # choice name a token that is not there, and are dropped.
        return y_bd.at[token].add(times(y, 2), mode="drop")

    # The shapes hold the worst case, all choices ours; the first block holds the usual case. The
    # others are run only as far as there are choices of ours (`cond`): on one chip there are none.
    start = jnp.arange(blocks, dtype=jnp.int32) * block
    choice = choice.reshape(blocks, block)
    y = add(jnp.zeros((tokens, x_bd.shape[1]), x_bd.dtype), (start[0], choice[0]))
    if blocks == 1:
        return y

    def more(y: Array, this: tuple[Array, Array]) -> tuple[Array, None]:
        return jax.lax.cond(this[0] < ends[-1], add, lambda y, _: y, y, this), None

    return jax.lax.scan(more, y, (start[1:], choice[1:]))[0]


def _product(x: Array, weight: Array, groups: Array, scale: Array | None = None) -> Array:
    """Rows times the weights of their groups, with the scales of each row where these are int8."""
    # of float the sum is float32 inside all the same
    dtype = x.dtype if scale is None else jnp.float32
    y = jax.lax.ragged_dot(x, weight.astype(x.dtype), groups, preferred_element_type=dtype)
    return y if scale is None else (y * scale).astype(x.dtype)


def _by_expert(
    number: Int[Array, " c"], count: int, slots: int
) -> tuple[Int[Array, " e"], Int[Array, " e"], Int[Array, " s"]]:
    """How many choices each expert has, where they end, and the choices sorted by expert.

    A choice is one of a token's `top` experts, numbered token * top + place. Sorted by expert, the
    choices of each expert are neighbours, and a ragged product runs all experts at once, whatever
    their loads: no expert has a capacity, so no token is dropped.
    """
    order = jnp.argsort(number, stable=True)  # ours first
    # Expert i has sorted choices ends[i] - sizes[i] up to ends[i]; ends[-1] are ours in all.
    sizes = jnp.bincount(number, length=count + 1)[:count].astype(jnp.int32)
    ends = jnp.cumsum(sizes)
    # Past the groups a kernel may leave anything, forward and backward: those rows stand for the
    # choice behind the last, which is dropped where it is written.
    choice = jnp.where(jnp.arange(number.size) < ends[-1], order, number.size)
    choice = jnp.pad(choice, (0, slots - number.size), constant_values=number.size)
    return sizes, ends, choice


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _rows_of(
    x_bd: Float[Array, "b d"], token_c: Int[Array, " c"], count: int
) -> Float[Array, "c d"]:
    """The rows of tokens, of `count`; behind the last any row, of which no gradient comes back.

    To read zeros there, as `mode="fill"` does, a TPU goes through all rows once more.
    """
    return x_bd.at[token_c].get(mode="clip")


def _rows_of_forward(x_bd: Array, token_c: Array, count: int) -> tuple[Array, Array]:
    return _rows_of(x_bd, token_c, count), token_c


def _rows_of_backward(count: int, token_c: Array, g_cd: Array) -> tuple[Array, None]:
    none = jnp.zeros((count, g_cd.shape[1]), g_cd.dtype)
    return none.at[token_c].add(g_cd, mode="drop"), None


_rows_of.defvjp(_rows_of_forward, _rows_of_backward)


def _block(choices: int, parts: int) -> int:
    """Rows a block where `parts` chips share the experts; all of them on one."""
    share = -(-int(choices * SLACK) // (parts * LANES)) * LANES
    return choices if parts == 1 else min(choices, share)


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
