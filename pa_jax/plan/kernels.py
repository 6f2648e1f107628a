"""FLOPs of the attention kernels, which the compiler's own count leaves out.

A kernel does whole blocks: one that is seen in part costs as much as a full one, one that nobody
sees costs nothing (models/forest_blocks.py).
"""

from collections.abc import Sequence

import numpy as np

from pa_jax.core.typing import Int
from pa_jax.models import forest_blocks
from pa_jax.models.config import DecoderConfig

FORWARD = 4  # products of query and key, weights and value: 2 each a pair and channel
BACKWARD = 10  # scores, their gradient, dq, dk, dv


def visited_pairs(cfg: DecoderConfig, ends: Sequence[Int[np.ndarray, "..."]]) -> int:
    """(query, key) pairs in the blocks that the kernel visits in rows of one length."""
    t, heads = len(ends[0]), cfg.heads // cfg.kv_heads
    size = forest_blocks.sizes(t, t, heads, forest_blocks.up(cfg.head_dim, forest_blocks.LANES) * 2)
    padded = np.zeros((len(ends), forest_blocks.up(t, size.chunk)), np.int32)
    padded[:, :t] = ends
    queries = forest_blocks.up(t, size.query)
    live, _ = forest_blocks.visible_blocks(padded, queries, size)
    return int(live.sum()) * size.query * size.key


def forward(cfg: DecoderConfig, pairs: int) -> float:
    """So many pairs through all layers."""
    return FORWARD * float(cfg.layers * cfg.heads * cfg.head_dim) * pairs


def train(cfg: DecoderConfig, pairs: int, *, remat: str) -> float:
    """Forward, again where it is repeated, and backward."""
    passes = 1 if remat == "none" else 2
    return forward(cfg, pairs) * (passes * FORWARD + BACKWARD) / FORWARD
