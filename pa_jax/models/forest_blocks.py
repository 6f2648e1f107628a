"""Which blocks of keys the blocks of a forest's queries have to visit.

Query q sees key k if and only if k <= q < end[k]; queries are the last t of s slots.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core.typing import Array, Bool, Int

LANES = 128  # a vector register's width: what blocks are made of
# With 4 heads a key head, none of six other shapes (128 x 128 to 512 x 256 queries x keys) took
# fewer instruction bundles on v5e, on any of nine kinds of rows: smaller blocks see less in vain,
# but cost more a pair.
KEY_BLOCK = 256
QUERY_BLOCK = 256
ROWS = 1024  # most rows (query heads x queries) of a query block, as long as it has 128 queries
CHUNK_BYTES = 2**20  # of keys in VMEM; as many of values, both twice, and dk and dv in float32


class Sizes(NamedTuple):
    """Queries and keys a block, keys a chunk (a number of blocks), index of the first query.

    `work.Sizes` are of a benchmark's sequences.
    """

    query: int
    key: int
    chunk: int
    offset: int


class Schedule(NamedTuple):
    """What every query block has to do with every chunk of keys; flat int32, as SMEM wants it.

    block  [n i c b]  the chunk's key blocks: those that are seen in part, then those that all the
                      queries see whole, then (never read) the others
    part   [n i c]    how many are seen in part
    live   [n i c]    how many are seen at all
    fetch  [n i c]    the chunk to have in VMEM: c itself, or a neighbour if nothing of c is seen
    """

    block: Int[Array, " x"]
    part: Int[Array, " y"]
    live: Int[Array, " y"]
    fetch: Int[Array, " y"]


def sizes(t: int, s: int, r: int, row_bytes: int = 256) -> Sizes:
    """Block sizes for t queries of r heads a key head on s keys of so many bytes each."""
    query = QUERY_BLOCK if t > LANES and r * QUERY_BLOCK <= ROWS else LANES
    key = min(KEY_BLOCK, up(s, LANES))
    chunks = math.ceil(s / max(CHUNK_BYTES // row_bytes, key))
    return Sizes(query, key, up(math.ceil(s / chunks), key), s - t)


def visible_blocks(
    end_ns: Int[Array | np.ndarray, "n s"], t: int, size: Sizes
) -> tuple[Bool[Array | np.ndarray, "n i j"], Bool[Array | np.ndarray, "n i j"]]:
    """Which key blocks j some query of block i sees, and which all of them see whole.

    Of numpy arrays it gives numpy arrays, for planning.
    """
    end_njb = end_ns.reshape(end_ns.shape[0], -1, size.key)
    first_q = size.offset + np.arange(0, t, size.query)[:, None]
    first_k = np.arange(0, end_ns.shape[1], size.key)[None, :]
    last_q, last_k = first_q + size.query - 1, first_k + size.key - 1
    live = (first_k <= last_q) & (end_njb.max(-1)[:, None, :] > first_q)
    return live, (last_k <= first_q) & (end_njb.min(-1)[:, None, :] > last_q)


def schedule(end_ns: Int[Array, "n s"], t: int, size: Sizes) -> Schedule:
    """The key blocks that each query block has to visit, by chunks."""
    live, whole = visible_blocks(end_ns, t, size)
    n, i, _ = live.shape
    per = size.chunk // size.key
    live, whole = (x.reshape(n, i, -1, per) for x in (live, whole))
    # One sort: by kind, each kind in the order of its keys.
    kind = jnp.where(whole, 1, jnp.where(live, 0, 2))
    block = jnp.sort(kind * per + jnp.arange(per), axis=-1) % per
    counts = [x.sum(-1, dtype=jnp.int32) for x in (live & ~whole, live)]
    chunk = jnp.arange(live.shape[2])
    # The next chunk that is needed, or else the last one that was: never a fetch for nothing.
    following = jnp.where(live.any(-1), chunk, len(chunk))
    following = jax.lax.cummin(following, axis=2, reverse=True)
    latest = jnp.where(live.any(-1), chunk, 0).max(-1, keepdims=True)
    fetch = jnp.where(following < len(chunk), following, latest)
    return Schedule(*(x.astype(jnp.int32).reshape(-1) for x in (block, *counts, fetch)))


def up(x: int, multiple: int) -> int:
    """x, rounded up."""
    return -(-x // multiple) * multiple
