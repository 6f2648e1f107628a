"""What the phases of a step need at least: FLOPs of the model, bytes that decoding reads."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from pa_jax.core.typing import Int
from pa_jax.models import flops
from pa_jax.models.config import DecoderConfig


def training(
    cfg: DecoderConfig, sizes: Sequence[flops.Size], *, updates: int, frozen: bool
) -> dict[str, float]:
    """FLOPs of the updates, each on one of the parts in turn, what remat repeats left out.

    And of the reference's pass over all parts.
    """
    ahead = [flops.forward(cfg, size) for size in sizes]
    trained = [flops.train(one, remat="none", frozen=frozen).total for one in ahead]
    return {
        "flops/update": sum(trained[i % len(trained)] for i in range(updates)),
        "flops/logprobs": sum(one.total for one in ahead),
    }


def decoding(
    cfg: DecoderConfig,
    state: Any,
    prompts: Sequence[Sequence[int]],
    length_ng: Int[np.ndarray, "n g"],
    *,
    chips: int,
) -> dict[str, float]:
    """HBM bytes of a chip: at every step all its weights, and the keys and values that are there.

    Those of a prompt once for all its completions. The first token comes of the prefill.
    """
    leaves = jax.tree.leaves(state)
    weights = sum(_local_bytes(x) for x in leaves)
    # the cache is as narrow as the base, whatever adapters beside it are
    width = min((x.dtype.itemsize for x in leaves if x.dtype.kind not in "iu"), default=4)
    token = 2 * cfg.layers * cfg.kv_heads * cfg.head_dim * width
    steps = np.maximum(length_ng - 1, 0)  # of each completion
    own = (steps * (steps + 1) // 2).sum()
    before = sum(len(ids) * int(of.max(initial=0)) for ids, of in zip(prompts, steps, strict=True))
    read = float(steps.max(initial=0)) * weights + float(own + before) * token / chips
    return {"hbm/rollout": read}


def _local_bytes(x: jax.Array) -> int:
    return math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize
