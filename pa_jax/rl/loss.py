"""The GRPO objective on packed groups: clipped ratio, k3 KL to the reference, and their variants.

Of a completion o with advantage A, each token t costs

    loss(t) = -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) + beta (exp(d) - d - 1)
    r = exp(logp(t) - old(t))                         ratio=token
    r = exp(mean over the tokens of o of the same)    ratio=sequence (GSPO, arXiv 2507.18071)
    d = reference(t) - logp(t)                        k3: never below 0, and 0 where both agree

and the batch the sum of weight(o) loss(t) over all tokens that take part, where weight(o) is

    1 / tokens of all that take part                  normalise=token (DAPO, arXiv 2503.14476)
    1 / (completions that take part * tokens of o)    normalise=sequence (GRPO, arXiv 2402.03300)
    1 / (all completions * longest possible)          normalise=constant (Dr. GRPO, 2503.20783)

The defaults are DAPO's: the ratio of each token, the mean over all tokens.

logp is what the trained model gives the token now, old what the sampler gave it when it drew it,
reference what the frozen reference gives it: all three under softmax(logits / temperature), and not
cut by top-k or top-p, or they could not be compared. With one update a rollout r is 1 up to
rounding, the clip never acts, and the first term has the gradient of -A logp. How far r is from 1
before the first update says how far sampler and trainer are apart (`logp_delta_mean`).

Two things keep the sum the same however a batch is cut into rows, calls and data shards. Weights
are numbers, made on the host for all that an update trains on (`token_weights`): each part adds its
share of one sum, where a mean of means would hang on who lies beside whom. And a token with which
several completions begin is computed once: `place` leads from each completion's token to its one
log-prob, where what their advantages want of it adds up.

A completion without a verdict, or of a group whose rewards are all alike, takes no part: it adds
nothing, not even its KL. All is float32 from the logits on (infer/logprobs.py).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core.typing import Array, Bool, Float, Int
from pa_jax.infer import forest, score
from pa_jax.models import decoder

NORMALISE = ("token", "sequence", "constant")
RATIOS = ("token", "sequence")


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """clip_low   the ratio counts from 1 - clip_low
    clip_high  the ratio counts up to 1 + clip_high
    beta       weight of the KL to the reference; 0: no reference is kept, nothing computed of it
    updates    optimiser steps a rollout; from the second on the policy has moved and the clip acts
    minibatches  parts a rollout's prompts are cut into, one an update in turn
    normalise  token: the mean over all tokens; sequence: the mean over completions of the mean over
               their tokens (GRPO, arXiv 2402.03300); constant: the sum over tokens by what all
               completions could hold at most (Dr. GRPO, arXiv 2503.20783, with
               reward.scale_std=False)
    ratio      token: of each token; sequence: the geometric mean over the completion's (GSPO, arXiv
               2507.18071, with normalise=sequence and a clip of some 3e-4)
    """

    clip_low: float
    clip_high: float
    beta: float
    updates: int
    minibatches: int
    normalise: str
    ratio: str

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise ValueError(f"loss.beta={self.beta}: must be at least 0.")
        if self.minibatches < 1 or self.updates < 1 or self.updates % self.minibatches:
            raise ValueError(
                f"loss.updates={self.updates}, loss.minibatches={self.minibatches}: updates must "
                "be a multiple of minibatches, so that every group is trained on equally often."
            )
        if self.normalise not in NORMALISE:
            raise ValueError(f"loss.normalise={self.normalise!r}: choose one of {NORMALISE}.")
        if self.ratio not in RATIOS:
            raise ValueError(f"loss.ratio={self.ratio!r}: choose one of {RATIOS}.")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GroupBatch:
    """Packed rows (rl/groups.py) with what the loss needs of every completion token.

    place           where the token's log-prob stands among the row's wanted
    completion      which of the row's completions the token is of
    used            the token takes part
    weight          what it counts in the loss, `token_weights`
    old_logp        the sampler's log-prob
    advantage       of the token's completion
    reference_logp  the frozen reference's, of the row's wanted; None where beta is 0
    tokens          used tokens of the whole batch, over which metrics are means
    """

    rows: forest.Forest
    place: Int[Array | np.ndarray, "*b u"]
    completion: Int[Array | np.ndarray, "*b u"]
    used: Bool[Array | np.ndarray, "*b u"]
    weight: Float[Array | np.ndarray, "*b u"]
    old_logp: Float[Array | np.ndarray, "*b u"]
    advantage: Float[Array | np.ndarray, "*b u"]
    reference_logp: Float[Array | np.ndarray, "*b w"] | None
    tokens: Float[Array | np.ndarray, "*b"]


def token_weights(
    length_ng: Int[np.ndarray, "n g"],
    used_ng: Bool[np.ndarray, "n g"],
    *,
    normalise: str,
    longest: int,
) -> Float[np.ndarray, "n g"]:
    """What each token of a completion counts in the loss, 0 of one that takes no part.

    `longest` is the most that a completion may hold. A batch of which nothing is used weighs 0.
    """
    used_ng = used_ng & (length_ng > 0)
    share = {
        "token": np.maximum(length_ng[used_ng].sum(), 1),
        "sequence": np.maximum(used_ng.sum(), 1) * np.maximum(length_ng, 1),
        "constant": used_ng.size * longest,
    }[normalise]
    return np.where(used_ng, 1 / share, 0.0).astype(np.float32)


def completion_means(
    x_bu: Float[Array, "b u"],
    used_bu: Bool[Array | np.ndarray, "b u"],
    completion_bu: Int[Array | np.ndarray, "b u"],
) -> Float[Array, "b u"]:
    """At every token the mean over the used tokens of its completion."""

    def of_row(x_u: Array, used_u: Array, completion_u: Array) -> Array:
        def total(values_u: Array) -> Array:
            return jax.ops.segment_sum(values_u, completion_u, num_segments=len(x_u))

        count = jnp.maximum(total(used_u.astype(x_u.dtype)), 1)
        return (total(jnp.where(used_u, x_u, 0)) / count)[completion_u]

    return jax.vmap(of_row)(x_bu, jnp.asarray(used_bu), jnp.asarray(completion_bu))


def token_losses(
    logp: Float[Array, "*b"],
    log_ratio: Float[Array, "*b"],
    reference_logp: Float[Array, "*b"] | None,
    advantage: Float[Array | np.ndarray, "*b"],
    cfg: LossConfig,
) -> tuple[Float[Array, "*b"], dict[str, Float[Array, "*b"]]]:
    """Loss of every token, and its parts: -min(r A, clip(r) A) + beta (e^d - d - 1).

    r = e^log_ratio, of the token or of its completion; d = reference_logp - logp, read where beta
    is not 0.
    """
    ratio, a = jnp.exp(log_ratio), advantage
    clipped = jnp.clip(ratio, 1 - cfg.clip_low, 1 + cfg.clip_high)
    loss = -jnp.minimum(ratio * a, clipped * a)
    parts = {"clip_fraction": (ratio * a > clipped * a).astype(jnp.float32)}
    if cfg.beta:
        assert reference_logp is not None
        d = reference_logp - logp
        parts["kl"] = jnp.exp(d) - d - 1
        loss = loss + cfg.beta * parts["kl"]
    return loss, parts


def grpo(
    model: decoder.Decoder,
    batch: GroupBatch,
    *,
    cfg: LossConfig,
    temperature: Float[Array, ""],
    remat: str,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """This batch's share of the weighted loss, and of the metrics' means over used tokens."""
    wanted, entropy, _ = score.row_logprobs(model, batch.rows, temperature, remat=remat)

    def of_tokens(x_nw: Array | np.ndarray) -> Array:
        return jnp.take_along_axis(x_nw, batch.place, axis=-1)

    # Entries that hold no token read place 0 against an old_logp of 0: a wrong number, but a finite
    # one, so that what the masks below leave out is no nan in the gradient (0 * inf would be one).
    logp = of_tokens(wanted)
    read = batch.reference_logp if cfg.beta else None
    reference = None if read is None else of_tokens(read)
    # old_logp is data: gradients reach the ratio through logp alone.
    moved = log_ratio = logp - batch.old_logp
    if cfg.ratio == "sequence":
        log_ratio = completion_means(moved, batch.used, batch.completion)
    loss, parts = token_losses(logp, log_ratio, reference, batch.advantage, cfg)
    used, tokens = batch.used, jnp.maximum(batch.tokens[0], 1.0)

    def share(x: Array) -> Array:
        return jnp.sum(jnp.where(used, x, 0.0)) / tokens

    drift = jnp.abs(moved)
    metrics = {name: share(jax.lax.stop_gradient(x)) for name, x in parts.items()}
    metrics |= {"entropy": share(of_tokens(entropy)), "logp_delta_mean": share(drift)}
    metrics["max/logp_delta_max"] = jnp.max(jnp.where(used, drift, 0.0))
    return jnp.sum(jnp.where(used, loss * batch.weight, 0.0)), metrics
