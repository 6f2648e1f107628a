"""Parameters and FLOPs of a decoder, from its shape: a product of [a, b] and [b, c] is 2abc.

Attention counts the pairs that a tree's tokens may see, every node full; a causal path is a tree
of a trunk alone. Norms, rotary, softmax and the optimiser are left out.
"""

import dataclasses

from pa_jax.models.config import DecoderConfig
from pa_jax.models.tree import TreeSpec


@dataclasses.dataclass(frozen=True)
class Flops:
    """FLOPs of a pass by part: weight products of the blocks, attention, output projection."""

    blocks: float
    attention: float
    head: float

    @property
    def total(self) -> float:
        return self.blocks + self.attention + self.head

    def times(self, count: int) -> "Flops":
        """The same pass over `count` trees."""
        return Flops(self.blocks * count, self.attention * count, self.head * count)


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


def visible_pairs(spec: TreeSpec) -> int:
    """(query, key) pairs of one full tree: ancestors, and a node's own past with itself."""

    def nodes(count: int, tokens: int, above: int) -> int:
        return count * (tokens * above + tokens * (tokens + 1) // 2)

    return (
        nodes(1, spec.trunk, 0)
        + nodes(spec.branches, spec.branch, spec.trunk)
        + nodes(spec.branches * spec.leaves, spec.leaf, spec.trunk + spec.branch)
    )


def forward(cfg: DecoderConfig, spec: TreeSpec, *, projected: int) -> Flops:
    """One full tree, `projected` of its tokens through the output projection."""
    return passed(cfg, tokens=spec.slots, pairs=visible_pairs(spec), projected=projected)


def decode(cfg: DecoderConfig, *, trunk: int, tokens: int, projected: int) -> Flops:
    """One branch of `tokens`, a token at a time behind `trunk` cached ones."""
    pairs = tokens * trunk + tokens * (tokens + 1) // 2
    return passed(cfg, tokens=tokens, pairs=pairs, projected=projected)


def passed(cfg: DecoderConfig, *, tokens: int, pairs: int, projected: int) -> Flops:
    """`tokens` through the blocks with `pairs` attended, `projected` through the head."""
    return Flops(
        blocks=2.0 * block_weights(cfg) * tokens,
        attention=4.0 * cfg.layers * cfg.heads * cfg.head_dim * pairs,
        head=2.0 * cfg.width * cfg.vocab * projected,
    )


def train(ahead: Flops, *, remat: str) -> Flops:
    """Forward and backward of a scored tree: 3 passes, 4 where the forward pass is repeated.

    Under remat `full` that is all of a layer, under `dots` its attention. The output projection is
    always repeated (infer/score.py).
    """
    return Flops(
        blocks=ahead.blocks * (4 if remat == "full" else 3),
        attention=ahead.attention * (3 if remat == "none" else 4),
        head=ahead.head * 4,
    )
