"""FLOPs of the attention kernels, which the compiler's own count leaves out.

A kernel does whole blocks: one that the mask cuts through costs as much as a full one, one that it
hides costs nothing.
"""

import numpy as np

from pa_jax.models import splash, tree
from pa_jax.models.config import DecoderConfig

FORWARD = 4  # products of query and key, weights and value: 2 each a pair and channel
BACKWARD = 6 + 8  # of queries: scores, their gradient, dq; of keys: the same two, dk, dv


def visited_pairs(spec: tree.TreeSpec) -> int:
    """(query, key) pairs in the blocks that a tree's mask leaves."""
    slots = -(-spec.slots // splash.LANES) * splash.LANES
    block = splash.block(slots)
    index = np.arange(slots)
    seen = 0
    for start in range(0, slots, block):
        row = tree.visible(spec, index[start : start + block, None], index[None, :])
        seen += int(row.reshape(block, -1, block).any(axis=(0, 2)).sum())
    return seen * block * block


def forward(cfg: DecoderConfig, spec: tree.TreeSpec) -> float:
    """One tree through all layers."""
    return FORWARD * float(cfg.layers * cfg.heads * cfg.head_dim) * visited_pairs(spec)


def train(cfg: DecoderConfig, spec: tree.TreeSpec, *, remat: str) -> float:
    """Forward, again where it is repeated, and backward."""
    passes = 1 if remat == "none" else 2
    return forward(cfg, spec) * (passes * FORWARD + BACKWARD) / FORWARD
