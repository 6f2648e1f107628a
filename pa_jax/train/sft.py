"""Supervised fine-tuning on gold snippets: masked next-token loss, a forest's simplest case."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core.typing import Array, Float
from pa_jax.data import pipeline
from pa_jax.dialogue import tokenizer
from pa_jax.infer import forest, score
from pa_jax.models import decoder


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GoldBatch:
    """Packed rows of prompts with their gold snippets.

    times   how many snippets each wanted token stands for: equal ones share a place
    tokens  gold tokens of the whole batch, the loss's denominator
    """

    rows: forest.Forest
    times: Float[Array | np.ndarray, "*b w"]
    tokens: Float[Array | np.ndarray, "*b"]


def batch_of(
    batch: pipeline.Batch,
    words: tokenizer.Tokenizer,
    *,
    lengths: Sequence[int],
    shards: int,
    calls: int,
) -> tuple[GoldBatch, int, float]:
    """Host rows [calls, shards, ...] of prompts, gold snippets and end tokens; calls; fill.

    The number of calls is a multiple of `calls`. Raises ValueError where gold is missing.
    """
    trees = []
    for episode, prompt in zip(batch.episodes, batch.prompts, strict=True):
        if episode.gold is None:
            raise ValueError(
                f"episode {episode.id} has no gold snippet; SFT needs one for every turn. Use data "
                "with labels (synthetic, prefeval) or train with grpo.py."
            )
        trees.append([forest.follows(prompt, [*words.encode(episode.gold), *words.turn_end])])
    packed = forest.pack(trees, lengths, even=True, shards=shards)
    count = -(-len(packed.rows) // shards)
    shape = -(-count // calls) * calls, shards
    rows = forest.stacked(packed.rows, shape[0] * shards)
    times = np.zeros(rows.at.shape, np.float32)
    for tree in packed.places:
        for row, places in tree:
            times[row, places] += 1
    made = GoldBatch(rows, times, np.full(len(times), times.sum(), np.float32))
    leaves, kind = jax.tree.flatten(made)
    made = jax.tree.unflatten(kind, [x.reshape(*shape, *x.shape[1:]) for x in leaves])
    return made, count, packed.tokens / packed.slots


def loss(
    model: decoder.Decoder, batch: GoldBatch, *, remat: str
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """One call's share of the mean negative log-likelihood a gold token."""
    logp, entropy, _ = score.row_logprobs(model, batch.rows, jnp.float32(1.0), remat=remat)
    tokens = jnp.maximum(batch.tokens[0], 1.0)
    return -jnp.sum(logp * batch.times) / tokens, {
        "entropy": jnp.sum(entropy * batch.times) / tokens
    }
