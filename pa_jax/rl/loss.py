"""The GRPO objective on packed groups: clipped ratio, token-level mean, k3 KL to the reference."""

import dataclasses

import jax
import jax.numpy as jnp

from pa_jax.core.typing import Array, Bool, Float, Int
from pa_jax.infer import forest, score
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
    """Packed rows (rl/groups.py) with what the loss needs of every completion token.

    place           where the token's log-prob stands among the row's wanted
    used            the token takes part
    old_logp        the sampler's log-prob
    advantage       of the token's completion
    reference_logp  the frozen reference's, of the row's wanted
    tokens          used tokens of the whole batch, the loss's denominator
    """

    rows: forest.Forest
    place: Int[Array, "*b u"]
    used: Bool[Array, "*b u"]
    old_logp: Float[Array, "*b u"]
    advantage: Float[Array, "*b u"]
    reference_logp: Float[Array, "*b w"]
    tokens: Float[Array, "*b"]


def token_losses(
    logp: Float[Array, "*b"],
    old_logp: Float[Array, "*b"],
    reference_logp: Float[Array, "*b"],
    advantage: Float[Array, "*b"],
    cfg: LossConfig,
) -> tuple[Float[Array, "*b"], dict[str, Float[Array, "*b"]]]:
    """Loss of every token, and its parts: -min(r A, clip(r) A) + beta (e^d - d - 1)."""
    ratio = jnp.exp(logp - old_logp)
    a = advantage
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
    wanted, entropy, _ = score.row_logprobs(model, batch.rows, temperature, remat=remat)

    def of_tokens(x_nw: Array) -> Array:
        return jnp.take_along_axis(x_nw, batch.place, axis=-1)

    logp, reference = of_tokens(wanted), of_tokens(batch.reference_logp)
    loss, parts = token_losses(logp, batch.old_logp, reference, batch.advantage, cfg)
    used, tokens = batch.used, jnp.maximum(batch.tokens[0], 1.0)

    def share(x: Array) -> Array:
        return jnp.sum(jnp.where(used, x, 0.0)) / tokens

    drift = jnp.abs(logp - batch.old_logp)
    metrics = {name: share(jax.lax.stop_gradient(x)) for name, x in parts.items()}
    metrics |= {"entropy": share(of_tokens(entropy)), "logp_delta_mean": share(drift)}
    metrics["max/logp_delta_max"] = jnp.max(jnp.where(used, drift, 0.0))
    return share(loss), metrics
