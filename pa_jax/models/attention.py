"""Tree attention: a token sees its ancestors and the earlier tokens of its own node.

Three ways to compute the same numbers: `dense` (one masked matrix; the oracle), `blocks` (trunk
and branches as separate products joined by their softmax sums, so that masked pairs cost nothing;
CPU and GPU) and `splash` (the Pallas kernel that ships with JAX, the tree as a computable mask;
TPU). Queries are grouped: h = k * (h // k). Scores and softmax are float32.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from pa_jax.core.typing import Array, Bool, Float, Int
from pa_jax.models import tree

QUERY_BLOCK = 256  # trunk queries a product: bounds the score matrix and skips the masked half
MASKED = -1e30


def tree_attention(
    q_nthz: Float[Array, "n t h z"],
    k_ntkz: Float[Array, "n t k z"],
    v_ntkz: Float[Array, "n t k z"],
    *,
    spec: tree.TreeSpec,
    lens: tree.TreeLengths,
    impl: str,
) -> Float[Array, "n t h z"]:
    """Attention over trees laid out by `spec`; slots past a node's length return any finite value.

    `impl` is dense, blocks or splash. Queries are scaled by z**-0.5 here.
    """
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"attention impl={impl!r}: choose one of {sorted(IMPLEMENTATIONS)}.")
    return IMPLEMENTATIONS[impl](q_nthz, k_ntkz, v_ntkz, spec, lens)


def _dense(q_nthz, k_ntkz, v_ntkz, spec, lens):
    n, t, h, z = q_nthz.shape
    kv = k_ntkz.shape[2]
    index = jnp.arange(t)
    mask_nts = (
        tree.visible(spec, index[:, None], index[None, :])[None] & tree.real(spec, lens)[:, None, :]
    )
    q = q_nthz.reshape(n, t, kv, h // kv, z)
    score = jnp.einsum("ntkrz,nskz->nkrts", q, k_ntkz, preferred_element_type=jnp.float32)
    score = jnp.where(mask_nts[:, None, None], score * z**-0.5, MASKED)
    weight = jax.nn.softmax(score, axis=-1).astype(v_ntkz.dtype)
    return jnp.einsum("nkrts,nskz->ntkrz", weight, v_ntkz).reshape(n, t, h, z)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Keys that a set of queries sees: masked scores [..., s] and the product with their values."""

    score: Array
    weigh: Callable[[Array], Array]  # weights [..., s] -> [..., z]


def join_pieces(pieces: list[Piece], dtype) -> Array:
    """Softmax over the union of all pieces' keys; queries that see no key get zeros."""
    top = functools.reduce(jnp.maximum, [p.score.max(axis=-1) for p in pieces])
    top = jax.lax.stop_gradient(jnp.maximum(top, MASKED / 2))  # exp(MASKED - top) is 0 everywhere
    weights = [jnp.exp(p.score - top[..., None]) for p in pieces]
    total = sum(w.sum(axis=-1) for w in weights)
    value = sum(
        p.weigh(w.astype(dtype)).astype(jnp.float32) for p, w in zip(pieces, weights, strict=True)
    )
    return (value / jnp.maximum(total, 1e-30)[..., None]).astype(dtype)


def shared_piece(q_nxkrz, k_nskz, v_nskz, mask) -> Piece:
    """Queries [n, x, k, r, z] on keys that all x share; mask broadcasts to [n, k, r, x, s]."""
    z = q_nxkrz.shape[-1]
    score = jnp.einsum("nxkrz,nskz->nkrxs", q_nxkrz, k_nskz, preferred_element_type=jnp.float32)
    return Piece(
        jnp.where(mask, score * z**-0.5, MASKED),
        lambda w: jnp.einsum("nkrxs,nskz->nkrxz", w, v_nskz),
    )


def _trunk(q_npkrz, k_npkz, v_npkz, length_n):
    """Causal attention of the trunk on itself, in query blocks: [n, p, k, r, z]."""
    p = q_npkrz.shape[1]
    out = []
    for start in range(0, p, QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, p)
        query, key = jnp.arange(start, stop), jnp.arange(stop)
        mask = (key[None, :] <= query[:, None])[None] & (
            key[None, None, :] < length_n[:, None, None]
        )
        piece = shared_piece(
            q_npkrz[:, start:stop], k_npkz[:, :stop], v_npkz[:, :stop], mask[:, None, None]
        )
        out.append(join_pieces([piece], v_npkz.dtype))
    return jnp.moveaxis(jnp.concatenate(out, axis=3), 3, 1)


def own_piece(q_ngxkrz, k_ngskz, v_ngskz, mask, to_shared: tuple[int, ...]) -> Piece:
    """Queries [n, g, x, k, r, z] on keys of their own g; scores come as [n, k, r, g*x, s].

    `mask` broadcasts to [n, k, r, g, x, s]; `to_shared` is the (n, k, r, g*x) shape.
    """
    z = q_ngxkrz.shape[-1]
    n, g, x = q_ngxkrz.shape[:3]
    score = jnp.einsum(
        "ngxkrz,ngskz->nkrgxs", q_ngxkrz, k_ngskz, preferred_element_type=jnp.float32
    )
    score = jnp.where(mask, score * z**-0.5, MASKED).reshape(*to_shared, -1)

    def weigh(w):
        w = w.reshape(*to_shared[:3], g, x, -1)
        return jnp.einsum("nkrgxs,ngskz->nkrgxz", w, v_ngskz).reshape(*to_shared, z)

    return Piece(score, weigh)


def _blocks(q_nthz, k_ntkz, v_ntkz, spec, lens):
    n, t, h, z = q_nthz.shape
    kv = k_ntkz.shape[2]
    r = h // kv
    q_p, q_b, q_l = tree.split(spec, q_nthz.reshape(n, t, kv, r, z))
    k_p, k_b, k_l = tree.split(spec, k_ntkz)
    v_p, v_b, v_l = tree.split(spec, v_ntkz)
    trunk_mask = jnp.arange(spec.trunk) < lens.trunk[:, None]
    trunk_mask = trunk_mask[:, None, None, None, :]  # [n, k, r, x, s]
    out_p = _trunk(q_p, k_p, v_p, lens.trunk)
    out_b = out_l = None
    if spec.branch_slots:
        g, c = spec.branches, spec.branch
        shape = (n, kv, r, g * c)
        causal = jnp.tril(jnp.ones((c, c), bool))
        real = jnp.arange(c) < lens.branch[..., None]  # [n, g, s]
        mask = causal & real[:, None, None, :, None, :]  # [n, k, r, g, x, s]
        pieces = [
            shared_piece(q_b.reshape(n, g * c, kv, r, z), k_p, v_p, trunk_mask),
            own_piece(q_b, k_b, v_b, mask, shape),
        ]
        out_b = jnp.moveaxis(join_pieces(pieces, v_ntkz.dtype), 3, 1).reshape(n, g, c, kv, r, z)
    if spec.leaf_slots:
        out_l = _leaves((q_l, k_l, v_l), (k_b, v_b), (k_p, v_p), trunk_mask, (spec, lens))
    return tree.join(spec, out_p, out_b, out_l).reshape(n, t, h, z)


def _leaves(leaf, branch, trunk, trunk_mask, layout):
    """Leaf queries on the trunk, on their branch and on themselves: [n, g, j, q, k, r, z]."""
    (q_l, k_l, v_l), (k_b, v_b), (k_p, v_p), (spec, lens) = leaf, branch, trunk, layout
    n, g, j, q, kv, r, z = q_l.shape
    shape = (n, kv, r, g * j * q)
    on_branch = jnp.arange(spec.branch) < lens.branch[..., None]
    causal = jnp.tril(jnp.ones((q, q), bool))
    on_self = (
        causal & (jnp.arange(q) < lens.leaf.reshape(n, g * j)[..., None])[:, None, None, :, None]
    )
    pieces = [
        shared_piece(q_l.reshape(n, g * j * q, kv, r, z), k_p, v_p, trunk_mask),
        own_piece(
            q_l.reshape(n, g, j * q, kv, r, z), k_b, v_b, on_branch[:, None, None, :, None], shape
        ),
        own_piece(
            q_l.reshape(n, g * j, q, kv, r, z),
            k_l.reshape(n, g * j, q, kv, z),
            v_l.reshape(n, g * j, q, kv, z),
            on_self,
            shape,
        ),
    ]
    return jnp.moveaxis(join_pieces(pieces, v_l.dtype), 3, 1).reshape(n, g, j, q, kv, r, z)


def decode_attention(
    q_nghz: Float[Array, "n g h z"],
    trunk_kv: tuple[Float[Array, "n p k z"], Float[Array, "n p k z"]],
    branch_kv: tuple[Float[Array, "n g c k z"], Float[Array, "n g c k z"]],
    *,
    trunk_len: Int[Array, " n"],
    own_real: Bool[Array, "#n #g c"],
) -> Float[Array, "n g h z"]:
    """One new token a branch: the trunk's keys are read once for all g.

    `own_real` says which of its branch's slots it sees.
    """
    n, g, h, z = q_nghz.shape
    (k_p, v_p), (k_b, v_b) = trunk_kv, branch_kv
    kv = k_p.shape[2]
    q = q_nghz.reshape(n, g, kv, h // kv, z)
    shape = (n, kv, h // kv, g)
    trunk_mask = jnp.arange(k_p.shape[1]) < trunk_len[:, None]
    own_mask = own_real[:, None, None, :, None, :]  # [n, k, r, g, x, s]
    pieces = [
        shared_piece(q, k_p, v_p, trunk_mask[:, None, None, None, :]),
        own_piece(q[:, :, None], k_b, v_b, own_mask, shape),
    ]
    return jnp.moveaxis(join_pieces(pieces, v_p.dtype), 3, 1).reshape(n, g, h, z)


def _splash(q_nthz, k_ntkz, v_ntkz, spec, lens):
    from pa_jax.models import splash  # Pallas' TPU modules load only where they are used

    return splash.attend(q_nthz, k_ntkz, v_ntkz, spec, lens)


IMPLEMENTATIONS = {"dense": _dense, "blocks": _blocks, "splash": _splash}
