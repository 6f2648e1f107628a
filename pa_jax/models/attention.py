"""Tree attention: a token sees its ancestors and the earlier tokens of its own node.

Three ways to compute the same numbers: `dense` (one masked matrix; the oracle), `blocks` (trunk
and branches as separate products joined by their softmax sums, so that masked pairs cost nothing;
CPU and GPU) and `splash` (the Pallas kernel that ships with JAX, the tree as a computable mask;
TPU). Queries are grouped: h = k * (h // k). Scores and softmax are float32.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pa_jax.core.typing import Array, Bool, Float
from pa_jax.models import tree

QUERY_BLOCK = 128  # trunk queries a product: bounds the score matrix and skips the masked half
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


class Piece(NamedTuple):
    """Softmax of queries over some of the keys they see, to be joined with that over others.

    top    largest score; a constant to gradients, which do not depend on it
    total  sum of exp(score - top)
    value  sum of exp(score - top) times the values, float32
    """

    top: Float[Array, "n x k r"]
    total: Float[Array, "n x k r"]
    value: Float[Array, "n x k r z"]


def piece(q_nxkrz, k_nkzs, v_nksz, mask_nxs=None) -> Piece:
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
    return Piece(
        *(jnp.moveaxis(each, 3, 1) for each in (top * z**-0.5, weight.sum(axis=-1), value))
    )


def own_piece(q_ngxkrz, k_ngkzs, v_ngksz, mask_ngxs) -> Piece:
    """As `piece`, on keys that only the queries of the same g see; x of the result is g * x."""
    n, g = k_ngkzs.shape[:2]

    def merged(each):
        return jnp.broadcast_to(each, (n, g, *each.shape[2:])).reshape(n * g, *each.shape[2:])

    made = piece(*(merged(each) for each in (q_ngxkrz, k_ngkzs, v_ngksz, mask_ngxs)))
    return Piece(*(each.reshape(n, -1, *each.shape[2:]) for each in made))


def join_pieces(pieces: Sequence[Piece], dtype) -> Float[Array, "n x k r z"]:
    """Softmax over the union of all pieces' keys; queries that see no key get zeros."""
    top = functools.reduce(jnp.maximum, [each.top for each in pieces])
    shares = [jnp.exp(each.top - top) for each in pieces]
    total = sum(each.total * share for each, share in zip(pieces, shares, strict=True))
    value = sum(each.value * share[..., None] for each, share in zip(pieces, shares, strict=True))
    return (value / jnp.maximum(total, 1e-30)[..., None]).astype(dtype)


def cached(k_nskz: Array, v_nskz: Array) -> tuple[Array, Array]:
    """Keys [.., k, z, s] and values [.., k, s, z], as pieces read them, of [.., s, k, z]."""
    return jnp.moveaxis(k_nskz, -3, -1), jnp.moveaxis(v_nskz, -3, -2)


def _trunk(q_npkrz, k_nkzp, v_nkpz):
    """Causal attention of the trunk on itself, in query blocks: [n, p, k, r, z].

    No token sees padding, which lies behind it.
    """
    p, out = q_npkrz.shape[1], []
    for start in range(0, p, QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, p)
        q, causal = q_npkrz[:, start:stop], jnp.tril(jnp.ones((stop - start,) * 2, bool))[None]
        pieces = [piece(q, k_nkzp[..., start:stop], v_nkpz[:, :, start:stop], causal)]
        if start:
            pieces.append(piece(q, k_nkzp[..., :start], v_nkpz[:, :, :start]))
        out.append(join_pieces(pieces, v_nkpz.dtype))
    return jnp.concatenate(out, axis=1)


def _blocks(q_nthz, k_ntkz, v_ntkz, spec, lens):
    n, t, h, z = q_nthz.shape
    kv = k_ntkz.shape[2]
    q_p, q_b, q_l = tree.split(spec, q_nthz.reshape(n, t, kv, h // kv, z))
    trunk_kv, branch_kv, leaf_kv = (
        cached(*each)
        for each in zip(tree.split(spec, k_ntkz), tree.split(spec, v_ntkz), strict=True)
    )
    out_b = out_l = None
    if spec.branch_slots:
        out_b = _branches(q_b, trunk_kv, branch_kv, lens)
    if spec.leaf_slots:
        out_l = _leaves(q_l, trunk_kv, branch_kv, leaf_kv, lens)
    return tree.join(spec, _trunk(q_p, *trunk_kv), out_b, out_l).reshape(n, t, h, z)


def _branches(q_ngckrz, trunk_kv, branch_kv, lens):
    """Branches on their trunk, whose keys are read once for all g, and causally on themselves."""
    n, g, c, *rest = q_ngckrz.shape
    own_mask = jnp.tril(jnp.ones((c, c), bool)) & _within(lens.branch, c)[:, :, None]
    pieces = [
        piece(q_ngckrz.reshape(n, g * c, *rest), *trunk_kv, _on_trunk(trunk_kv, lens.trunk)),
        own_piece(q_ngckrz, *branch_kv, own_mask),
    ]
    return join_pieces(pieces, trunk_kv[1].dtype).reshape(q_ngckrz.shape)


def _leaves(q_ngjqkrz, trunk_kv, branch_kv, leaf_kv, lens):
    """Leaves on the trunk, on their branch and on themselves."""
    n, g, j, q, *rest = q_ngjqkrz.shape
    on_branch = _within(lens.branch, branch_kv[0].shape[-1])[:, :, None]
    on_self = jnp.tril(jnp.ones((q, q), bool)) & _within(lens.leaf.reshape(n, g * j), q)[:, :, None]
    pieces = [
        piece(q_ngjqkrz.reshape(n, -1, *rest), *trunk_kv, _on_trunk(trunk_kv, lens.trunk)),
        own_piece(q_ngjqkrz.reshape(n, g, j * q, *rest), *branch_kv, on_branch),
        own_piece(
            q_ngjqkrz.reshape(n, g * j, q, *rest),
            *(each.reshape(n, g * j, *each.shape[3:]) for each in leaf_kv),
            on_self,
        ),
    ]
    return join_pieces(pieces, trunk_kv[1].dtype).reshape(q_ngjqkrz.shape)


def _within(length: Array, slots: int) -> Array:
    """[.., s]: which slots hold tokens."""
    return jnp.arange(slots) < length[..., None]


def _on_trunk(trunk_kv, length_n) -> Array:
    return _within(length_n, trunk_kv[0].shape[-1])[:, None]


def cached_attention(
    q_nthz: Float[Array, "n t h z"],
    kv: tuple[Float[Array, "n k z s"], Float[Array, "n k s z"]],
    seen_nts: Bool[Array, "n t s"],
) -> Float[Array, "n t h z"]:
    """Queries on cached keys, each on those it sees, in query blocks."""
    n, t, h, z = q_nthz.shape
    k = kv[0].shape[1]
    q_ntkrz = q_nthz.reshape(n, t, k, h // k, z)
    out = []
    for start in range(0, t, QUERY_BLOCK):
        some = slice(start, start + QUERY_BLOCK)
        out.append(join_pieces([piece(q_ntkrz[:, some], *kv, seen_nts[:, some])], kv[1].dtype))
    return jnp.concatenate(out, axis=1).reshape(n, t, h, z)


def decode_attention(
    q_nghz: Float[Array, "n g h z"],
    trunk_kv: tuple[Float[Array, "n k z p"], Float[Array, "n k p z"]],
    branch_kv: tuple[Float[Array, "n g k z c"], Float[Array, "n g k c z"]],
    *,
    trunk_seen: Bool[Array, "#n #g p"],
    own_real: Bool[Array, "#n #g c"],
) -> Float[Array, "n g h z"]:
    """One new token a branch: the trunk's keys are read once for all g.

    The masks say which of the trunk's and of its branch's slots it sees.
    """
    n, g, h, z = q_nghz.shape
    kv = trunk_kv[0].shape[1]
    q_ngkrz = q_nghz.reshape(n, g, kv, h // kv, z)
    pieces = [
        piece(q_ngkrz, *trunk_kv, trunk_seen),
        own_piece(q_ngkrz[:, :, None], *branch_kv, own_real[:, :, None]),
    ]
    return join_pieces(pieces, trunk_kv[1].dtype).reshape(n, g, h, z)


def _splash(q_nthz, k_ntkz, v_ntkz, spec, lens):
    from pa_jax.models import splash  # Pallas' TPU modules load only where they are used

    return splash.attend(q_nthz, k_ntkz, v_ntkz, spec, lens)


IMPLEMENTATIONS = {"dense": _dense, "blocks": _blocks, "splash": _splash}
