"""Attention on forests as a Pallas TPU kernel: query q sees key k if and only if k <= q < end[k].

`end` is data, so one program serves all forests of a shape. Keys lie in blocks; which of them a
block of queries can see is worked out beforehand (`forest_blocks`), and the kernels loop over those
alone: a block that no query sees costs nothing, one that all see costs no mask arithmetic.

All r query heads of a key head go through a product together, as r * bq rows: keys and values
are read once for them, and the sums over r in their gradients are part of a matrix product. The
keys and values of a row and head stay in VMEM while its queries pass (in chunks where they are
too long for that), and so do the sums of dk and dv: the backward pass is one kernel of five
products a block, where one for dq and one for dk and dv would take seven.

Under a mesh set by `jax.set_mesh` all runs in a shard_map: rows over the data axes, heads over tp.

Letters: M = r * bq, the rows of a step's query block, head by head; bk the keys of a block.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Ref
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import PartitionSpec

from pa_jax.core import sharding
from pa_jax.core.typing import Array, DTypeLike, Float, Int
from pa_jax.models import forest_blocks
from pa_jax.models.forest_blocks import Schedule, Sizes

LANES = forest_blocks.LANES
VMEM_BYTES = 48 * 2**20  # a limit; 4096 keys of 4 heads of 128 and their gradients need half of it
MASKED = -1e30
NT = (((1,), (1,)), ((), ()))  # dot_general's x @ y.T
TN = (((0,), (0,)), ((), ()))  # x.T @ y


def attend(
    q_nthz: Float[Array, "n t h z"],
    k_nskz: Float[Array, "n s k z"],
    v_nskz: Float[Array, "n s k z"],
    end_ns: Int[Array, "n s"],
    *,
    interpret: bool = False,
) -> Float[Array, "n t h z"]:
    """Attention of the last t of s slots on all of them; a query that sees nothing returns zeros.

    `interpret` runs the kernels' semantics without a TPU.
    """
    n, t, h, z = q_nthz.shape
    s, kv = k_nskz.shape[1:3]
    if not q_nthz.dtype == k_nskz.dtype == v_nskz.dtype:
        raise ValueError(
            f"queries, keys and values are {q_nthz.dtype}, {k_nskz.dtype} and {v_nskz.dtype}; "
            "cast them to one type."
        )
    if t > s or h % kv:
        raise ValueError(
            f"{t} queries of {h} heads on {s} keys of {kv} heads: give every query its own key, "
            "and every key head the same number of query heads."
        )
    size = forest_blocks.sizes(t, s, h // kv, forest_blocks.up(z, LANES) * q_nthz.dtype.itemsize)
    q = jnp.transpose(q_nthz.reshape(n, t, kv, h // kv, z), (0, 2, 3, 1, 4))
    q = _pad(q, 3, size.query)
    k, v = (_pad(jnp.moveaxis(x, 2, 1), 2, size.chunk) for x in (k_nskz, v_nskz))
    end = _pad(end_ns.astype(jnp.int32), 1, size.chunk)

    def local(q_nkrtz: Array, k_nksz: Array, v_nksz: Array, end_ns: Array) -> Array:
        steps = forest_blocks.schedule(end_ns, q_nkrtz.shape[3], size)
        return _attend(q_nkrtz, k_nksz, v_nksz, end_ns, steps, size, interpret)

    mesh = jax.sharding.get_abstract_mesh()
    if not mesh.empty:
        # Query heads lie key head by key head, so that both are cut alike, or not at all.
        rows, heads, *_ = sharding.activation_spec(("rows", "kv_heads", None, None), k.shape, mesh)
        heads = PartitionSpec(rows, heads)
        local = jax.shard_map(
            local,
            mesh=mesh,
            in_specs=(heads, heads, heads, PartitionSpec(rows)),
            out_specs=heads,
            check_vma=False,
        )
    out = local(q, k, v, end)[:, :, :, :t]
    return jnp.transpose(out, (0, 3, 1, 2, 4)).reshape(n, t, h, z)


def _pad(x: Array, axis: int, multiple: int) -> Array:
    more = -x.shape[axis] % multiple
    return jnp.pad(x, [(0, more if a == axis else 0) for a in range(x.ndim)]) if more else x


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def _attend(
    q_nkrtz: Array,
    k_nksz: Array,
    v_nksz: Array,
    end_ns: Array,
    steps: Schedule,
    size: Sizes,
    interpret: bool,
) -> Array:
    return _forward(q_nkrtz, k_nksz, v_nksz, end_ns, steps, size, interpret)[0]


def _attend_forward(
    q_nkrtz: Array,
    k_nksz: Array,
    v_nksz: Array,
    end_ns: Array,
    steps: Schedule,
    size: Sizes,
    interpret: bool,
) -> tuple[Array, tuple[Any, ...]]:
    out, lse = _forward(q_nkrtz, k_nksz, v_nksz, end_ns, steps, size, interpret)
    return out, (q_nkrtz, k_nksz, v_nksz, end_ns, steps, out, lse)


def _attend_backward(
    size: Sizes, interpret: bool, saved: tuple[Any, ...], dout_nkrtz: Array
) -> tuple[Array, Array, Array, None, None]:
    """dq, dk, dv; chunk after chunk of keys where there are several, dq summed in float32."""
    q, k = saved[:2]
    run = functools.partial(_backward, saved, dout_nkrtz, size, interpret)
    chunks = k.shape[2] // size.chunk
    if chunks == 1:
        whole, dk, dv = run(jnp.zeros(1, jnp.int32), q.dtype)
        return whole, dk, dv, None, None

    def add(dq: Array, c: Array) -> tuple[Array, tuple[Array, Array]]:
        more, dk, dv = run(c[None], jnp.float32)
        return dq + more, (dk, dv)

    dq, parts = jax.lax.scan(add, jnp.zeros(q.shape, jnp.float32), jnp.arange(chunks))
    dk, dv = (jnp.moveaxis(x, 0, 2).reshape(k.shape) for x in parts)
    return dq.astype(q.dtype), dk, dv, None, None


_attend.defvjp(_attend_forward, _attend_backward)


def _forward(
    q_nkrtz: Array,
    k_nksz: Array,
    v_nksz: Array,
    end_ns: Array,
    steps: Schedule,
    size: Sizes,
    interpret: bool,
) -> Sequence[Array]:
    """The output and the base-2 logsumexp [n k i M/128 128] of scaled scores (0: nothing seen).

    In lanes, so that it takes M * 4 bytes a block: a column would be padded to 128 lanes.
    """
    n, kv, r, t, z = q_nkrtz.shape
    s, m = k_nksz.shape[2], r * size.query
    grid = (n, kv, t // size.query, s // size.chunk)

    def chunk(n: Array, k: Array, i: Array, c: Array, *prefetched: Ref) -> Array:
        return prefetched[-1][(n * grid[2] + i) * grid[3] + c]

    queries, keys, ends, sums = _specs(m, r, z, size, chunk)
    return pl.pallas_call(
        functools.partial(_forward_kernel, size=size, scale=z**-0.5),
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=4,
            grid=grid,
            in_specs=[queries, keys, keys, ends],
            out_specs=[queries, sums],
            scratch_shapes=[pltpu.VMEM((m, x), jnp.float32) for x in (LANES, LANES, z)],
        ),
        out_shape=[
            jax.ShapeDtypeStruct(q_nkrtz.shape, q_nkrtz.dtype),
            jax.ShapeDtypeStruct((n, kv, grid[2], m // LANES, LANES), jnp.float32),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary", "arbitrary"),
            vmem_limit_bytes=VMEM_BYTES,
        ),
        name="forest_forward",
        interpret=interpret,
    )(*steps, q_nkrtz, k_nksz, v_nksz, _by_block(end_ns, size))


def _backward(
    saved: tuple, dout_nkrtz: Array, size: Sizes, interpret: bool, c: Array, dtype: DTypeLike
) -> Sequence[Array]:
    """dq (of `dtype`), dk and dv of chunk c [1] of the keys."""
    q_nkrtz, k, v, end_ns, steps, out, lse = saved
    n, kv, r, t, z = q_nkrtz.shape
    m = r * size.query
    grid = (n, kv, t // size.query)
    queries, keys, ends, sums = _specs(m, r, z, size, lambda *at: at[-1][0])
    made = pl.BlockSpec((None, None, size.chunk, z), lambda n, k, i, *_: (n, k, 0, 0))
    made_shape = jax.ShapeDtypeStruct((n, kv, size.chunk, z), k.dtype)
    rows = [(m, LANES), (m, LANES), (m, z), (size.chunk, z), (size.chunk, z)]
    return pl.pallas_call(
        functools.partial(
            _backward_kernel, size=size, scale=z**-0.5, chunks=k.shape[2] // size.chunk
        ),
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=4,
            grid=grid,
            in_specs=[queries, keys, keys, ends, queries, queries, sums],
            out_specs=[queries, made, made],
            scratch_shapes=[pltpu.VMEM(x, jnp.float32) for x in rows],
        ),
        out_shape=[jax.ShapeDtypeStruct(q_nkrtz.shape, dtype), made_shape, made_shape],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary"),
            vmem_limit_bytes=VMEM_BYTES,
        ),
        name="forest_backward",
        interpret=interpret,
    )(*steps[:3], c, q_nkrtz, k, v, _by_block(end_ns, size), out, dout_nkrtz, lse)


def _specs(
    m: int, r: int, z: int, size: Sizes, chunk: Callable[..., Array]
) -> tuple[pl.BlockSpec, ...]:
    """Blocks of queries [r bq z], keys [chunk z], ends [chunk/bk 1 bk] and sums [M/128 128].

    `chunk` takes the place in the grid and the prefetched arrays.
    """
    ends = (None, size.chunk // size.key, 1, size.key)
    return (
        pl.BlockSpec((None, None, r, size.query, z), lambda n, k, i, *_: (n, k, 0, i, 0)),
        pl.BlockSpec((None, None, size.chunk, z), lambda n, k, *at: (n, k, chunk(n, k, *at), 0)),
        pl.BlockSpec(ends, lambda n, *at: (n, chunk(n, *at), 0, 0)),
        pl.BlockSpec((None, None, None, m // LANES, LANES), lambda n, k, i, *_: (n, k, i, 0, 0)),
    )


def _by_block(end_ns: Array, size: Sizes) -> Array:
    """[n j 1 bk]: a block's ends are found by a leading index and lie in lanes."""
    return end_ns.reshape(end_ns.shape[0], -1, 1, size.key)


def _forward_kernel(
    block: Ref, part: Ref, live: Ref, _: Ref, *refs: Ref, size: Sizes, scale: float
) -> None:
    """One block of queries on one chunk of keys: flash attention's running softmax.

    top [M 128] the largest score so far (unscaled), total [M 128] the sum of exponentials over
    every 128th key (joined at the end: fewer sums across lanes), acc [M z] values by exponentials.
    """
    q_ref, k_ref, v_ref, end_ref, o_ref, lse_ref, top_ref, total_ref, acc_ref = refs
    n, i, c = pl.program_id(0), pl.program_id(2), pl.program_id(3)
    at = (n * pl.num_programs(2) + i) * pl.num_programs(3) + c
    r, bq, z = q_ref.shape
    base_2 = scale * math.log2(math.e)  # exp(scale * x) = 2 ** (base_2 * x), one product in all

    def visit(step: Array | int, *, masked: bool, first: bool = False) -> None:
        b, keys = _keys(block, at, step, size)
        score = _dot(q_ref[...].reshape(r * bq, z), k_ref[keys, :], NT)
        if masked:
            score = _mask(score, end_ref[b], i, c * size.chunk + b * size.key, size)
        # Above MASKED, so that the weights of a query that sees nothing in a block come to 0.
        before = MASKED / 2 if first else top_ref[...]
        top = jnp.maximum(before, score.max(axis=1, keepdims=True))
        top = jnp.broadcast_to(top, top_ref.shape)
        weight = jnp.exp2((score - _wide(top, size.key)) * base_2)
        total = sum(weight[:, x : x + LANES] for x in range(0, size.key, LANES))
        value = _dot(weight.astype(v_ref.dtype), v_ref[keys, :])
        if not first:
            shrink = jnp.exp2((before - top) * base_2)
            total += total_ref[...] * shrink
            value += acc_ref[...] * _wide(shrink, z)
        top_ref[...], total_ref[...], acc_ref[...] = top, total, value

    # Where a block of queries sees anything, it sees its own keys, and those in part: the first
    # step starts the sums, rather than add to zeros.
    begin = (c == 0) & (part[at] > 0)

    @pl.when(begin)
    def start() -> None:
        visit(0, masked=True, first=True)

    @pl.when((c == 0) & ~begin)
    def empty() -> None:
        top_ref[...] = jnp.full_like(top_ref, MASKED / 2)
        total_ref[...] = jnp.zeros_like(total_ref)
        acc_ref[...] = jnp.zeros_like(acc_ref)

    _visit(visit, begin.astype(jnp.int32), part[at], live[at])

    @pl.when(c == pl.num_programs(3) - 1)
    def end() -> None:
        total = total_ref[...].sum(axis=1, keepdims=True)
        out = acc_ref[...] * pl.reciprocal(jnp.maximum(total, 1e-30))
        o_ref[...] = out.reshape(r, bq, z).astype(o_ref.dtype)
        total = _in_lanes(total)
        lse = _in_lanes(top_ref[...]) * base_2 + jnp.log2(jnp.maximum(total, 1e-30))
        lse_ref[...] = jnp.where(total > 0, lse, 0.0)


def _backward_kernel(
    block: Ref, part: Ref, live: Ref, chunk: Ref, *refs: Ref, size: Sizes, scale: float, chunks: int
) -> None:
    """One block of queries on one chunk of keys; dk and dv [chunk z] are summed over the blocks.

    With p the softmax: dv = p' do, dp = do v', ds = p (dp - sum_z(do o)), dq = ds k, dk = ds' q.
    """
    q_ref, k_ref, v_ref, end_ref, o_ref, do_ref, lse_ref, *made = refs
    dq_ref, dk_ref, dv_ref, lse_col, do_o_col, dq_acc, dk_acc, dv_acc = made
    n, i, c = pl.program_id(0), pl.program_id(2), chunk[0]
    at = (n * pl.num_programs(2) + i) * chunks + c
    r, bq, z = q_ref.shape
    base_2 = scale * math.log2(math.e)

    @pl.when(i == 0)
    def _() -> None:
        dk_acc[...] = jnp.zeros_like(dk_acc)
        dv_acc[...] = jnp.zeros_like(dv_acc)

    do_o, o = (x[...].reshape(r * bq, z).astype(jnp.float32) for x in (do_ref, o_ref))
    do_o *= o
    do_o_col[...] = jnp.broadcast_to(do_o.sum(axis=1, keepdims=True), do_o_col.shape)
    lse_col[...] = jnp.broadcast_to(_in_rows(lse_ref[...]), lse_col.shape)
    dq_acc[...] = jnp.zeros_like(dq_acc)

    def visit(step: Array | int, *, masked: bool) -> None:
        b, keys = _keys(block, at, step, size)
        q, do = (x[...].reshape(r * bq, z) for x in (q_ref, do_ref))
        k = k_ref[keys, :]
        score = _dot(q, k, NT)
        if masked:
            score = _mask(score, end_ref[b], i, c * size.chunk + b * size.key, size)
        p = jnp.exp2(score * base_2 - _wide(lse_col[...], size.key))
        dv_acc[keys, :] += _dot(p.astype(do.dtype), do, TN)
        dp = _dot(do, v_ref[keys, :], NT)
        ds = (p * (dp - _wide(do_o_col[...], size.key))).astype(q.dtype)
        dk_acc[keys, :] += _dot(ds, q, TN)
        dq_acc[...] += _dot(ds, k)

    _visit(visit, 0, part[at], live[at])
    dq_ref[...] = (dq_acc[...] * scale).reshape(r, bq, z).astype(dq_ref.dtype)

    @pl.when(i == pl.num_programs(2) - 1)
    def _() -> None:
        dk_ref[...] = (dk_acc[...] * scale).astype(dk_ref.dtype)
        dv_ref[...] = dv_acc[...].astype(dv_ref.dtype)


def _visit(visit: Any, begin: Any, part: Array, live: Array) -> None:
    """Two loops rather than a branch in one: a block's products are scheduled as one piece."""
    jax.lax.fori_loop(begin, part, lambda x, _: visit(x, masked=True), None)
    jax.lax.fori_loop(part, live, lambda x, _: visit(x, masked=False), None)


def _keys(block: Ref, at: Array, step: Array | int, size: Sizes) -> tuple[Array, slice | pl.Slice]:
    """The step's key block, and its rows in the chunk."""
    per = size.chunk // size.key
    b = block[at * per + step]
    return b, pl.ds(pl.multiple_of(b * size.key, size.key), size.key)


def _mask(score_mb: Array, end_1b: Array, i: Array, first_key: Array, size: Sizes) -> Array:
    """Scores [M bk] less a huge number where k <= q < end[k] fails; the same for all r heads."""
    shape = (size.query, size.key)
    query = size.offset + i * size.query + jax.lax.broadcasted_iota(jnp.int32, shape, 0)
    key = first_key + jax.lax.broadcasted_iota(jnp.int32, shape, 1)
    less = jnp.where((key <= query) & (query < end_1b), 0.0, MASKED)
    return (score_mb.reshape(-1, *shape) + less).reshape(score_mb.shape)


def _in_lanes(x_m: Array) -> Array:
    """[M/128 128] of a column [M 1], or of equal columns [M 128]: by diagonals, not transposed."""
    x = jnp.broadcast_to(x_m, (x_m.shape[0], LANES)).reshape(-1, LANES, LANES)
    return jnp.where(_diagonal(x.shape), x, 0.0).sum(axis=1)


def _in_rows(x: Array) -> Array:
    """The column [M 1] of [M/128 128]."""
    x = jnp.broadcast_to(x[:, None, :], (x.shape[0], LANES, LANES))
    return jnp.where(_diagonal(x.shape), x, 0.0).sum(axis=2, keepdims=True).reshape(-1, 1)


def _diagonal(shape: tuple[int, ...]) -> Array:
    row, lane = (jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis in (1, 2))
    return row == lane


def _wide(x_ml: Array, width: int) -> Array:
    """[M width] of [M 128] with equal columns."""
    x = jnp.tile(x_ml, (1, pl.cdiv(width, LANES)))
    return x if x.shape[1] == width else x[:, :width]


def _dot(x: Array, y: Array, dims: jax.lax.DotDimensionNumbers = (((1,), (0,)), ((), ()))) -> Array:
    """float32 products; of float32 inputs, not rounded to bfloat16 on the way."""
    precise = jax.lax.Precision.HIGHEST if x.dtype == jnp.float32 else jax.lax.Precision.DEFAULT
    return jax.lax.dot_general(x, y, dims, precision=precise, preferred_element_type=jnp.float32)
