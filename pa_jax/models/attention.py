"""Forest attention: query q sees key k if and only if k <= q < end[k] (infer/forest.py).

Three ways to compute the same numbers. `dense`: one masked matrix; the oracle. `blocks`: a block of
queries with just those blocks of keys that it can see, for CPU and GPU. `pallas`: a kernel that
skips blocks alike, for TPU. Queries are grouped: h = k * (h // k). Softmax is float32.

Decoding is another shape: one new token a branch, whose keys lie in pieces (what all branches
share, what its prompt adds, its own). Softmax over each piece is joined by its statistics.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np

from pa_jax.core.typing import Array, Bool, DTypeLike, Float, Int
from pa_jax.models import forest_blocks

BLOCK = 128  # queries, and keys, a block
SAVED = "attention"  # name of what the backward pass needs of the forward's, for remat policies
MASKED = -1e30
Carry = TypeVar("Carry")


def forest_attention(
    q_nthz: Float[Array, "n t h z"],
    k_nskz: Float[Array, "n s k z"],
    v_nskz: Float[Array, "n s k z"],
    end_ns: Int[Array | np.ndarray, "n s"],
    *,
    impl: str,
) -> Float[Array, "n t h z"]:
    """Attention of the last t of s slots on all that they see; padding returns any finite value.

    `impl` is dense, blocks or pallas. Queries are scaled by z**-0.5 here. Keys before the queries'
    slots (s > t) are a context that was computed before.
    """
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"attention impl={impl!r}: choose one of {sorted(IMPLEMENTATIONS)}.")
    return IMPLEMENTATIONS[impl](q_nthz, k_nskz, v_nskz, end_ns)


def _dense(q_nthz: Array, k_nskz: Array, v_nskz: Array, end_ns: Array) -> Array:
    n, t, h, z = q_nthz.shape
    s, kv = k_nskz.shape[1:3]
    query, key = jnp.arange(s - t, s)[:, None], jnp.arange(s)[None, :]
    seen_nts = (key <= query)[None] & (query[None] < end_ns[:, None, :])
    q = q_nthz.reshape(n, t, kv, h // kv, z)
    score = jnp.einsum("ntkrz,nskz->nkrts", q, k_nskz, preferred_element_type=jnp.float32)
    score = jnp.where(seen_nts[:, None, None], score * z**-0.5, MASKED)
    weight = jax.nn.softmax(score, axis=-1).astype(v_nskz.dtype)
    return jnp.einsum("nkrts,nskz->ntkrz", weight, v_nskz).reshape(n, t, h, z)


# Blocks. The number of key blocks that a query block sees is data, the shape of a product is not.
# So query blocks are put in classes by that number (WIDTHS), and a loop a class gathers the visible
# keys of one query block after the other into products of its width: few large products, and what
# the mask rules out by blocks is neither read nor computed. The loops' trip counts are data, which
# XLA does not differentiate: the backward pass is written out, and recomputes the weights from the
# saved log-sum-exp as flash attention does (arXiv 2205.14135).

WIDTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)  # in key blocks


class _Schedule(NamedTuple):
    """Which key blocks each query block sees, and the query blocks of each class of WIDTHS.

    keys    [i, j] key blocks of query block i, those it sees first
    blocks  [i] query blocks by class
    start   first of each class among `blocks`
    counts  how many each class has
    """

    keys: Int[Array, "i j"]
    blocks: Int[Array, " i"]
    start: Int[Array, " w"]
    counts: Int[Array, " w"]


def _widths(key_blocks: int) -> list[int]:
    return [width for width in WIDTHS if width < key_blocks] + [key_blocks]


def _schedule(end_ns: Array, t: int) -> _Schedule:
    """A query block sees a key block that begins before its end and has a token that reaches it.

    Rows are taken together: what one of them sees is computed for all.
    """
    size = forest_blocks.Sizes(BLOCK, BLOCK, BLOCK, end_ns.shape[1] - t)
    padded = jnp.pad(end_ns, ((0, 0), (0, -end_ns.shape[1] % BLOCK)))
    seen_ij = forest_blocks.visible_blocks(padded, t, size)[0].any(axis=0)
    widths = jnp.asarray(_widths(seen_ij.shape[1]))
    class_i = jnp.searchsorted(widths, seen_ij.sum(axis=1))
    count = jnp.bincount(class_i, length=len(widths))
    return _Schedule(
        jnp.argsort(~seen_ij, axis=1, stable=True),
        jnp.argsort(class_i, stable=True),
        jnp.cumsum(count) - count,
        count,
    )


def _cut(x_nt: Array) -> Array:
    """[n, t, heads.., z] as [i, n, heads.., BLOCK, z]."""
    n, t = x_nt.shape[:2]
    pad = ((0, 0), (0, -t % BLOCK), *[(0, 0)] * (x_nt.ndim - 2))
    x = jnp.pad(x_nt, pad).reshape(n, -1, BLOCK, *x_nt.shape[2:])
    return jnp.moveaxis(jnp.moveaxis(x, 1, 0), 2, -2)


def _whole(x: Array, t: int) -> Array:
    """The inverse of `_cut`."""
    x = jnp.moveaxis(jnp.moveaxis(x, -2, 2), 0, 1)
    return x.reshape(x.shape[0], -1, *x.shape[3:])[:, :t]


class _Blocks:
    """Queries, keys and values in blocks; `scores` of a query block on its first `width` keys."""

    def __init__(self, q_ntkrz: Array, k_nskz: Array, v_nskz: Array, end_ns: Array) -> None:
        self.n, self.t, self.kv, self.r, self.z = q_ntkrz.shape
        self.before = k_nskz.shape[1] - self.t
        self.q, self.k, self.v = self.queries(q_ntkrz), _cut(k_nskz), _cut(v_nskz)
        self.end = _cut(end_ns[..., None])[..., 0]
        self.plan = _schedule(end_ns, self.t)

    def queries(self, x_ntkrz: Array) -> Array:
        """[i, n, k, r * BLOCK, z]"""
        x = _cut(x_ntkrz)
        return x.reshape(*x.shape[:3], -1, self.z)

    def unqueried(self, x: Array) -> Array:
        """[n, t, k, r, z]; the inverse of `queries`."""
        return _whole(x.reshape(*x.shape[:3], self.r, BLOCK, self.z), self.t)

    def gathered(self, x: Array, j: Array) -> Array:
        """[n, k, width * BLOCK, z] of the blocks j of keys or values."""
        x = jnp.moveaxis(x[j], 0, 2)
        return x.reshape(*x.shape[:2], -1, self.z)

    def scores(self, i: Array, j: Array, k_nksz: Array) -> Array:
        """Float32 [n, k, r * BLOCK, width * BLOCK], MASKED where not seen."""
        query = self.before + i * BLOCK + jnp.arange(BLOCK)
        key = (j[:, None] * BLOCK + jnp.arange(BLOCK)).reshape(-1)
        end_ns = jnp.moveaxis(self.end[j], 0, 1).reshape(self.n, -1)
        seen = (key <= query[:, None]) & (query[:, None] < end_ns[:, None])
        score = jnp.einsum("nkmz,nksz->nkms", self.q[i], k_nksz, preferred_element_type=jnp.float32)
        wide = score.reshape(self.n, self.kv, self.r, BLOCK, -1) * self.z**-0.5
        return jnp.where(seen[:, None, None], wide, MASKED).reshape(score.shape)

    def each(self, work: Callable[[Array, Array, Carry], Carry], carry: Carry) -> Carry:
        """`work(i, j, carry)` on every query block i and the key blocks j that it sees."""
        plan = self.plan
        for c, width in enumerate(_widths(self.k.shape[0])):

            def one(x: Array, carry: Carry, c: int = c, width: int = width) -> Carry:
                i = plan.blocks[plan.start[c] + x]
                return work(i, plan.keys[i, :width], carry)

            carry = jax.lax.fori_loop(0, plan.counts[c], one, carry)
        return carry


@jax.custom_vjp
def _grouped(q_ntkrz: Array, k_nskz: Array, v_nskz: Array, end_ns: Array) -> Array:
    return _forward(q_ntkrz, k_nskz, v_nskz, end_ns)[0]


def _forward(
    q_ntkrz: Array, k_nskz: Array, v_nskz: Array, end_ns: Array
) -> tuple[Array, tuple[Array, ...]]:
    of = _Blocks(q_ntkrz, k_nskz, v_nskz, end_ns)

    def work(i: Array, j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        out, logsum = carry
        score = of.scores(i, j, of.gathered(of.k, j))
        top = jnp.maximum(score.max(axis=-1), MASKED / 2)  # a query that sees nothing gets zeros
        weight = jnp.exp(score - top[..., None])
        total = jnp.maximum(weight.sum(axis=-1), 1e-30)
        value = jnp.einsum(
            "nkms,nksz->nkmz",
            weight.astype(v_nskz.dtype),
            of.gathered(of.v, j),
            preferred_element_type=jnp.float32,
        )
        return out.at[i].set(value / total[..., None]), logsum.at[i].set(top + jnp.log(total))

    empty = jnp.zeros(of.q.shape, jnp.float32), jnp.zeros(of.q.shape[:-1], jnp.float32)
    out, logsum = of.each(work, empty)
    out = jax.ad_checkpoint.checkpoint_name(of.unqueried(out).astype(v_nskz.dtype), SAVED)
    logsum = jax.ad_checkpoint.checkpoint_name(logsum, SAVED)
    return out, (q_ntkrz, k_nskz, v_nskz, end_ns, out, logsum)


def _backward(kept: tuple[Array, ...], d_out: Array) -> tuple[Array, Array, Array, None]:
    """With P the weights and D = sum(out * d_out): dS = P (d_out V' - D); dq = dS k; dk = dS' q."""
    q_ntkrz, k_nskz, v_nskz, end_ns, out, logsum = kept
    of = _Blocks(q_ntkrz, k_nskz, v_nskz, end_ns)
    d_out_i = of.queries(d_out)
    same = jnp.sum(of.queries(out).astype(jnp.float32) * d_out_i, axis=-1)

    def work(i: Array, j: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        dq, dk, dv = carry
        k, v = of.gathered(of.k, j), of.gathered(of.v, j)
        weight = jnp.exp(of.scores(i, j, k) - logsum[i][..., None])
        d_weight = jnp.einsum("nkmz,nksz->nkms", d_out_i[i], v, preferred_element_type=jnp.float32)
        d_score = (weight * (d_weight - same[i][..., None]) * of.z**-0.5).astype(k.dtype)

        def add(total: Array, parts: Array) -> Array:
            """[n, k, width * BLOCK, z] to the blocks j, among which none is twice."""
            parts = parts.reshape(*parts.shape[:2], len(j), BLOCK, of.z)
            return total.at[j].add(jnp.moveaxis(parts, 2, 0), unique_indices=True)

        summed = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
        dq = dq.at[i].set(summed("nkms,nksz->nkmz", d_score, k))
        dk = add(dk, summed("nkms,nkmz->nksz", d_score, of.q[i]))
        dv = add(dv, summed("nkms,nkmz->nksz", weight.astype(v.dtype), d_out_i[i]))
        return dq, dk, dv

    dq, dk, dv = (jnp.zeros(x.shape, jnp.float32) for x in (of.q, of.k, of.v))
    dq, dk, dv = of.each(work, (dq, dk, dv))
    s = k_nskz.shape[1]
    return (
        of.unqueried(dq).astype(q_ntkrz.dtype),
        _whole(dk, s).astype(k_nskz.dtype),
        _whole(dv, s).astype(v_nskz.dtype),
        None,
    )


_grouped.defvjp(_forward, _backward)


def _blocks(q_nthz: Array, k_nskz: Array, v_nskz: Array, end_ns: Array) -> Array:
    n, t, h, z = q_nthz.shape
    kv = k_nskz.shape[2]
    q_ntkrz = q_nthz.reshape(n, t, kv, h // kv, z)
    return _grouped(q_ntkrz, k_nskz, v_nskz, end_ns).reshape(n, t, h, z)


def _pallas(q_nthz: Array, k_nskz: Array, v_nskz: Array, end_ns: Array) -> Array:
    from pa_jax.models import forest_kernel  # Pallas' TPU modules load only where they are used

    return forest_kernel.attend(q_nthz, k_nskz, v_nskz, end_ns)


IMPLEMENTATIONS: dict[str, Callable[..., Array]] = {
    "dense": _dense,
    "blocks": _blocks,
    "pallas": _pallas,
}


class PartialSoftmax(NamedTuple):
    """Softmax of queries over some of the keys they see, to be joined with that over others.

    top    largest score; a constant to gradients, which do not depend on it
    total  sum of exp(score - top)
    value  sum of exp(score - top) times the values, float32
    """

    top: Float[Array, "n x k r"]
    total: Float[Array, "n x k r"]
    value: Float[Array, "n x k r z"]


def piece(
    q_nxkrz: Array, k_nkzs: Array, v_nksz: Array, mask_nxs: Array | None = None
) -> PartialSoftmax:
    """Queries on keys that all x share; the mask broadcasts, none means that all are seen.

    Keys come as [k, z, s] and values as [k, s, z]: the products read them as they lie.
    """
    n, x, kv, r, z = q_nxkrz.shape
    q_nkmz = jnp.moveaxis(q_nxkrz, 1, 3).reshape(n, kv, r * x, z)
    score = jnp.einsum("nkmz,nkzs->nkms", q_nkmz, k_nkzs, preferred_element_type=jnp.float32)
    score = score.reshape(n, kv, r, x, -1)
    if mask_nxs is not None:
        score = jnp.where(mask_nxs[:, None, None], score, MASKED)
    top = jax.lax.stop_gradient(jnp.maximum(score.max(axis=-1), MASKED / 2))
    weight = jnp.exp((score - top[..., None]) * z**-0.5)  # 0 where masked, whatever the top is
    value = jnp.einsum(
        "nkms,nksz->nkmz",
        weight.astype(v_nksz.dtype).reshape(n, kv, r * x, -1),
        v_nksz,
        preferred_element_type=jnp.float32,
    ).reshape(n, kv, r, x, z)
    return PartialSoftmax(
        *(jnp.moveaxis(each, 3, 1) for each in (top * z**-0.5, weight.sum(axis=-1), value))
    )


def own_piece(q_ngxkrz: Array, k_ngkzs: Array, v_ngksz: Array, mask_ngxs: Array) -> PartialSoftmax:
    """As `piece`, on keys that only the queries of the same g see; x of the result is g * x."""
    n, g = k_ngkzs.shape[:2]

    def merged(each: Array) -> Array:
        return jnp.broadcast_to(each, (n, g, *each.shape[2:])).reshape(n * g, *each.shape[2:])

    made = piece(*(merged(each) for each in (q_ngxkrz, k_ngkzs, v_ngksz, mask_ngxs)))
    return PartialSoftmax(*(each.reshape(n, -1, *each.shape[2:]) for each in made))


def join_pieces(pieces: Sequence[PartialSoftmax], dtype: DTypeLike) -> Float[Array, "n x k r z"]:
    """Softmax over the union of all pieces' keys; queries that see no key get zeros."""
    top = functools.reduce(jnp.maximum, [each.top for each in pieces])
    shares = [jnp.exp(each.top - top) for each in pieces]
    total = sum(each.total * share for each, share in zip(pieces, shares, strict=True))
    value = sum(each.value * share[..., None] for each, share in zip(pieces, shares, strict=True))
    return (value / jnp.maximum(total, 1e-30)[..., None]).astype(dtype)


def cached(k_nskz: Array, v_nskz: Array) -> tuple[Array, Array]:
    """Keys [.., k, z, s] and values [.., k, s, z], as pieces read them, of [.., s, k, z]."""
    return jnp.moveaxis(k_nskz, -3, -1), jnp.moveaxis(v_nskz, -3, -2)


def decode_attention(
    q_nghz: Float[Array, "n g h z"],
    context: Sequence[tuple[tuple[Array, Array], Int[Array | np.ndarray, " _"]]],
    branch_kv: tuple[Float[Array, "n g k z c"], Float[Array, "n g k c z"]],
    own_real: Bool[Array, "#n #g c"],
) -> Float[Array, "n g h z"]:
    """One new token a branch.

    `context` has pieces: keys [r, k, z, s] and values [r, k, s, z], which are read once for all
    branches of n / r prompts, and how many of them are seen, a number a row or a prompt.
    `own_real` are the branch's slots that it sees.
    """
    n, g, h, z = q_nghz.shape
    kv = branch_kv[0].shape[2]
    q_ngkrz = q_nghz.reshape(n, g, kv, h // kv, z)
    pieces = [own_piece(q_ngkrz[:, :, None], *branch_kv, own_real[:, :, None])]
    for keys_values, length in context:
        rows, slots = keys_values[0].shape[0], keys_values[0].shape[-1]
        seen_rxs = jnp.arange(slots) < length.reshape(rows, -1, 1)
        if len(length) > rows:
            seen_rxs = jnp.repeat(seen_rxs, g, axis=1)
        of_rows = piece(q_ngkrz.reshape(rows, -1, *q_ngkrz.shape[2:]), *keys_values, seen_rxs)
        pieces.append(PartialSoftmax(*(x.reshape(n, g, *x.shape[2:]) for x in of_rows)))
    return join_pieces(pieces, branch_kv[1].dtype).reshape(n, g, h, z)
