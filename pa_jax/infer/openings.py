"""Completions of branches that have words of their own behind a prompt that is cached.

Several questions about one dialogue, or about several beginnings of it: the dialogue is computed
once (`cache`), and `complete` decodes branches behind as much of it as each row says. Their words
are packed one after the other, so that a short one costs no more beside a long one.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int, Key
from pa_jax.infer import buckets, engine, sampling
from pa_jax.models import attention, decoder

Cache = tuple[Float[Array, "l m k z p"], Float[Array, "l m k p z"]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Openings:
    """Tokens of a row's branches, one branch after the other.

    ids     0 on padding
    branch  whose token it is, -1 on padding
    depth   its place in its branch
    """

    ids: Int[Array | np.ndarray, "n t"]
    branch: Int[Array | np.ndarray, "n t"]
    depth: Int[Array | np.ndarray, "n t"]


def packed(
    rows: Sequence[Sequence[Sequence[int]]], *, count: int, widths: Sequence[int]
) -> Openings:
    """Openings of every row's branches, `count` rows, padded to the smallest of `widths`."""
    longest = max(sum(map(len, branches)) for branches in rows)
    shape = count, buckets.fit(longest, widths, what="questions behind a prompt")
    out = Openings(
        np.zeros(shape, np.int32), np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
    )
    for row, branches in enumerate(rows):
        start = 0
        for k, ids in enumerate(branches):
            at = row, slice(start, start + len(ids))
            out.ids[at], out.branch[at], out.depth[at] = ids, k, np.arange(len(ids))
            start += len(ids)
    return out


def cache(run: engine.Engine, prompts: tuple[np.ndarray, np.ndarray]) -> Cache:
    """Keys and values of prompts (ids [m, p], lengths [m]), on the devices."""
    with meshes.using(run.mesh):
        return _cache(
            run.graph, run.state, tuple(sharding.put(rows, run.mesh, "rows") for rows in prompts)
        )


@functools.partial(jax.jit, static_argnames="graph")
def _cache(graph: nnx.GraphDef, state: Any, prompts: tuple[Array, Array]) -> Cache:
    return engine.prefill(nnx.merge(graph, state), *prompts)[1]


def complete(
    run: engine.Engine,
    cached: Cache,
    beginnings: tuple[np.ndarray, np.ndarray],
    opened: Openings,
    draws: tuple[Key[Array, "n g"], sampling.Sampling, tuple[int, int]],
    *,
    width: int,
) -> engine.Decoded:
    """A completion behind every opening.

    `beginnings` are each row's row in the cache and how many of its tokens are seen, `width` at
    most. `draws` are one key a branch, the settings, and limits as of Engine.decode. A branch
    without tokens is padding: it is finished.
    """
    key_ng, how, (allowed, slots) = draws
    rows = jax.tree.map(lambda x: sharding.put(x, run.mesh, "rows"), (*beginnings, opened))
    with meshes.using(run.mesh):
        return _complete(
            run.graph,
            run.state,
            cached,
            rows,
            (key_ng, how, (jnp.int32(allowed), run.ends())),
            width=width,
            slots=slots,
            apart=run.apart,
        )


@functools.partial(jax.jit, static_argnames=("graph", "width", "slots", "apart"))
def _complete(graph, state, cached, rows, draws, *, width, slots, apart) -> engine.Decoded:
    model, (row_n, length_n, opened) = nnx.merge(graph, state), rows
    branches = draws[0].shape[1]
    of_ntg = opened.branch[..., None] == jnp.arange(branches)
    logits, context = _behind(model, cached, (row_n, length_n), opened, of_ntg, width, apart)
    absent = ~of_ntg.any(axis=1)
    return engine.completed(model, logits, context, absent, draws, slots=slots, apart=apart)


def _behind(
    model: decoder.Decoder,
    cached: Cache,
    beginnings: tuple[Int[Array, " n"], Int[Array, " n"]],
    opened: Openings,
    of_ntg: Array,
    width: int,
    apart: bool,
) -> tuple[Float[Array, "n g v"], engine.Context]:
    """Logits after each opening's last token, and what its completion is decoded behind.

    `apart` has the rows attend one after the other: a CPU keeps the scores of one in its cache.
    """
    (row_n, length_n), t = beginnings, opened.ids.shape[1]
    trunk_seen = (jnp.arange(width) < length_n[:, None])[:, None]

    def with_trunk(own_nxt):
        trunk_nxp = jnp.broadcast_to(trunk_seen, (*own_nxt.shape[:2], width))
        return jnp.concatenate([trunk_nxp, own_nxt], axis=-1)

    alike = opened.branch[:, :, None] == opened.branch[:, None, :]
    seen_nts = with_trunk(alike & jnp.tril(jnp.ones((t, t), bool)))

    def attend(q, k, v, trunk_kv, carry):
        k_p, v_p = (sharding.constrain(x[row_n], "rows", "kv_heads", None, None) for x in trunk_kv)
        k_o, v_o = attention.cached(k, v)
        kv = (
            jnp.concatenate([k_p[..., :width], k_o], axis=-1),
            jnp.concatenate([v_p[..., :width, :], v_o], axis=-2),
        )
        if apart:
            o = jax.lax.map(_row_attention, (q, kv, seen_nts))
        else:
            o = attention.cached_attention(q, kv, seen_nts)
        return o, kv, carry

    position_nt = length_n[:, None] + opened.depth
    passed = model.hidden(opened.ids, position_nt, attend, per_layer=cached)
    last_ng = jnp.max(jnp.where(of_ntg, jnp.arange(t)[:, None], 0), axis=1)
    logits = model.logits(jnp.take_along_axis(passed.hidden, last_ng[..., None], axis=1))
    start_ng = length_n[:, None] + of_ntg.sum(axis=1)
    context = engine.Context(passed.kept, with_trunk(jnp.moveaxis(of_ntg, 2, 1)), start_ng)
    return logits, context


def _row_attention(row: tuple[Array, tuple[Array, Array], Array]) -> Array:
    """attention.cached_attention of one row's queries, keys and values, and mask."""
    q_nthz, kv, seen_nts = jax.tree.map(lambda x: x[None], row)
    return attention.cached_attention(q_nthz, kv, seen_nts)[0]
