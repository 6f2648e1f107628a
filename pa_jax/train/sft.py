"""Supervised fine-tuning on gold snippets: masked next-token loss, the tree's simplest case."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float
from pa_jax.data import pipeline
from pa_jax.dialogue import tokenizer
from pa_jax.infer import buckets, score
from pa_jax.models import decoder


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GoldBatch:
    """Trees of one branch, the gold snippet; tokens is the whole batch's number of them."""

    trees: score.TreeIds
    tokens: Float[Array, " n"]


def batch_of(
    batch: pipeline.Batch,
    words: tokenizer.Tokenizer,
    slots: Sequence[int],
    mesh: jax.sharding.Mesh | None,
) -> tuple[GoldBatch, int]:
    """Prompts with their gold snippets and end tokens, and how many tokens those are.

    Raises ValueError where gold is missing.
    """
    rows = []
    for episode in batch.episodes:
        if episode.gold is None:
            raise ValueError(
                f"episode {episode.id} has no gold snippet; SFT needs one for every turn. Use data "
                "with labels (synthetic, prefeval) or train with grpo.py."
            )
        rows.append([*words.encode(episode.gold), words.eos_ids[0]])
    width = buckets.fit(max(map(len, rows)), slots, what="gold snippet")
    ids, length = buckets.pad_rows(rows, width)
    n = len(rows)
    trees = score.placed(
        (batch.prompt_ids, ids[:, None], np.zeros((n, 1, 0, 0), np.int32)),
        (batch.prompt_len, length[:, None], np.zeros((n, 1, 0), np.int32)),
        mesh,
    )
    count = int(np.sum(length))
    tokens = sharding.put(np.full((n,), count, np.float32), mesh, "rows")
    return GoldBatch(trees, tokens), count


def loss(
    model: decoder.Decoder, batch: GoldBatch, *, remat: str
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """This batch's share of the mean negative log-likelihood a gold token."""
    logp, entropy = score.branch_logprobs(model, batch.trees, jnp.float32(1.0), remat=remat)
    tokens = jnp.maximum(batch.tokens[0], 1.0)
    return -jnp.sum(logp) / tokens, {"entropy": jnp.sum(entropy) / tokens}
