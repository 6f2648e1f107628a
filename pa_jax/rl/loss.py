"""The GRPO objective on trees: clipped ratio, token-level mean, k3 KL to the reference."""

import dataclasses

import jax
import jax.numpy as jnp

from pa_jax.core.typing import Array, Bool, Float
from pa_jax.infer import score
from pa_jax.models import decoder


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """clip_low and clip_high bound the ratio at 1 - low and 1 + high; beta weighs the KL."""

    clip_low: float
    clip_high: float
    beta: float


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GroupBatch:
    """Trees with what the loss needs of every branch token.

    old_logp are the sampler's (the engine's) log-probs; reference_logp the frozen reference's;
    tokens is the number of used completion tokens of the whole batch, the loss's denominator.
    """

    trees: score.TreeIds
    old_logp: Float[Array, "n g c"]
    reference_logp: Float[Array, "n g c"]
    advantage: Float[Array, "n g"]
    used: Bool[Array, "n g"]
    tokens: Float[Array, " n"]


def token_losses(
    logp: Float[Array, "n g c"],
    old_logp: Float[Array, "n g c"],
    reference_logp: Float[Array, "n g c"],
    advantage: Float[Array, "n g"],
    cfg: LossConfig,
) -> tuple[Float[Array, "n g c"], dict[str, Float[Array, "n g c"]]]:
    """Loss of every token, and its parts: -min(r A, clip(r) A) + beta (e^d - d - 1)."""
    ratio = jnp.exp(logp - old_logp)
    a = advantage[..., None]
    clipped = jnp.clip(ratio, 1 - cfg.clip_low, 1 + cfg.clip_high)
    gain = jnp.minimum(ratio * a, clipped * a)
    d = reference_logp - logp
    kl = jnp.exp(d) - d - 1
    parts = {"kl": kl, "clip_fraction": (ratio * a > clipped * a).astype(jnp.float32)}
    return -gain + cfg.beta * kl, parts


def grpo(
    model: decoder.Decoder,
    batch: GroupBatch,
    *,
    cfg: LossConfig,
    temperature: Float[Array, ""],
    remat: str,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """This batch's share of the mean token loss (sum / batch.tokens) and of the mean metrics."""
    logp, entropy = score.branch_logprobs(model, batch.trees, temperature, remat=remat)
    real = batch.trees.branch_real()
    used = real & batch.used[..., None]
    loss, parts = token_losses(logp, batch.old_logp, batch.reference_logp, batch.advantage, cfg)
    tokens = jnp.maximum(batch.tokens[0], 1.0)

    def share(x, mask=used):
        return jnp.sum(jnp.where(mask, x, 0.0)) / tokens

    drift = jnp.abs(logp - batch.old_logp)
    metrics = {name: share(jax.lax.stop_gradient(x)) for name, x in parts.items()}
    metrics |= {"entropy": share(entropy), "logp_delta_mean": share(drift)}
    metrics["max/logp_delta_max"] = jnp.max(jnp.where(used, drift, 0.0))
    return share(loss), metrics
