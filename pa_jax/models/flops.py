"""Parameters and FLOPs of a decoder, from its shape: a product of [a, b] and [b, c] is 2abc.

What a forest costs follows from three numbers (Size): padding costs nothing here, and attention
the pairs that see each other. Norms, rotary, softmax and the optimiser are left out.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pa_jax.core.typing import Int
from pa_jax.models.config import DecoderConfig


@dataclasses.dataclass(frozen=True)
class Size:
    """What goes through a model: tokens through the blocks, pairs of a query and a key that it
    sees through attention, wanted places through the output projection."""

    tokens: int
    pairs: int
    wanted: int

    def times(self, count: int) -> "Size":
        """The same so many times."""
        return Size(self.tokens * count, self.pairs * count, self.wanted * count)

    def __add__(self, other: "Size") -> "Size":
        return Size(
            self.tokens + other.tokens, self.pairs + other.pairs, self.wanted + other.wanted
        )


@dataclasses.dataclass(frozen=True)
class Flops:
    """FLOPs of a pass by part: weight products of the blocks, attention, output projection."""

    blocks: float
    attention: float
    head: float

    @property
    def total(self) -> float:
        return self.blocks + self.attention + self.head

    def over(self, count: int) -> "Flops":
        """A part of so many equal ones."""
        return Flops(self.blocks / count, self.attention / count, self.head / count)


def parameters(cfg: DecoderConfig) -> int:
    """Stored parameters: all experts, tied embeddings once."""
    norms = 2 * cfg.width + (2 * cfg.head_dim if cfg.qk_norm else 0)
    biases = (cfg.heads + 2 * cfg.kv_heads) * cfg.head_dim if cfg.qkv_bias else 0
    mlp = 3 * cfg.width * cfg.mlp * (cfg.experts or 1) + cfg.width * cfg.experts
    block = _attention_weights(cfg) + mlp + norms + biases
    embeddings = cfg.vocab * cfg.width * (1 if cfg.tied else 2)
    return cfg.layers * block + embeddings + cfg.width


def block_weights(cfg: DecoderConfig) -> int:
    """Weights that one token meets in the blocks' products: active experts only, no output head."""
    mlp = 3 * cfg.width * cfg.mlp * (cfg.experts_per_token if cfg.experts else 1)
    return cfg.layers * (_attention_weights(cfg) + mlp + cfg.width * cfg.experts)


def _attention_weights(cfg: DecoderConfig) -> int:
    return 2 * cfg.width * cfg.head_dim * (cfg.heads + cfg.kv_heads)


def visible_pairs(ends: Sequence[Int[np.ndarray, "..."]], tokens: int) -> int:
    """(query, key) pairs of rows of which so many slots hold tokens.

    Key k is seen by the queries from k to end[k] - 1; padding by itself, which counts nothing.
    """
    seen = sum(int((end - np.arange(len(end))).sum()) for end in ends)
    return seen - (sum(map(len, ends)) - tokens)


def causal(tokens: int, *, before: int = 0, wanted: int) -> Size:
    """One path of so many new tokens behind those that are computed already."""
    return Size(tokens, tokens * before + tokens * (tokens + 1) // 2, wanted)


def forward(cfg: DecoderConfig, size: Size) -> Flops:
    """One pass."""
    return Flops(
        blocks=2.0 * block_weights(cfg) * size.tokens,
        attention=4.0 * cfg.layers * cfg.heads * cfg.head_dim * size.pairs,
        head=2.0 * cfg.width * cfg.vocab * size.wanted,
    )


def train(ahead: Flops, *, remat: str, frozen: bool = False) -> Flops:
    """Forward and backward of scored rows; `frozen`: of adapters alone, which are left out.

    Backward is one product for the states and one for the weights that train for each one forward.
    Attention's is five for two, as its scores are not kept (models/attention.py). Under remat
    `full` a layer's forward pass is repeated. The output projection is repeated where it trains;
    where it is frozen, its gradient is computed ahead (infer/logprobs.py).
    """
    again = 1 if remat == "full" else 0
    return Flops(
        blocks=ahead.blocks * ((2 if frozen else 3) + again),
        attention=ahead.attention * (3.5 + again),
        head=ahead.head * (2 if frozen else 4),
    )
