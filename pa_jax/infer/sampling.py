"""Logits to a token and its log-prob; temperature, top-k and top-p are traced numbers.

One number for all rows, or one a row.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core.typing import Array, Bool, Float, Int, Key

SEQUENCE = 4  # tokens, at most, of a sequence that is not to be drawn
NONE, ANY = -2, -1  # no token was drawn; whatever was drawn
BLOCKS = 128  # of tokens, in the two-stage draw; tp cuts a vocabulary between them


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Sampling:
    """temperature 0 is greedy; top_k 0 and top_p 1 cut nothing. Scalars, or one value a row."""

    temperature: Float[Array | np.ndarray, "*b"]
    top_k: Int[Array | np.ndarray, "*b"]
    top_p: Float[Array | np.ndarray, "*b"]


def settings(temperature: float, top_k: int = 0, top_p: float = 1.0) -> Sampling:
    """Checked Sampling; raises ValueError on a value outside its range."""
    check(temperature, top_k, top_p)
    return Sampling(jnp.float32(temperature), jnp.int32(top_k), jnp.float32(top_p))


def check(temperature: float, top_k: int, top_p: float, penalty: float = 1.0) -> None:
    """Raises ValueError on a value outside its range."""
    if not 1 <= penalty < math.inf:
        raise ValueError(f"penalty={penalty}: allowed are 1 (off) and more, finite.")
    if not 0 <= temperature < math.inf or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"temperature={temperature}, top_k={top_k}, top_p={top_p}: allowed are temperature >= "
            "0 and finite, top_k >= 0 (0 is off) and 0 < top_p <= 1 (1 is off)."
        )


def sample(
    logits_bv: Float[Array, "b v"], key_b: Key[Array, " b"], how: Sampling
) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    """One token a row and its log-prob under softmax(logits / temperature), top-k/p not applied.

    That is the log-prob the trainer computes for the same token; greedy rows report temperature 1.
    """
    greedy = how.temperature == 0
    scaled = logits_bv.astype(jnp.float32) / _column(jnp.where(greedy, 1.0, how.temperature))
    best_b, uniform_b = _argmax(scaled), jax.vmap(jax.random.uniform)(key_b)
    token_b = jax.lax.cond(  # cutting and drawing are paid for only where a row needs them
        jnp.all(greedy),
        lambda: best_b,
        lambda: jnp.where(greedy, best_b, _draw(_kept(scaled, how), uniform_b)),
    )
    chosen = jnp.take_along_axis(scaled, token_b[:, None], axis=-1)[:, 0]
    return token_b, chosen - jax.nn.logsumexp(scaled, axis=-1)


def discouraged(
    logits_bv: Float[Array, "b v"], drawn_bv: Bool[Array, "b v"], penalty_b: Float[Array, " b"]
) -> Float[Array, "b v"]:
    """Logits with those of tokens drawn before divided, where negative multiplied, by the penalty.

    CTRL (arXiv 1909.05858), section 4.1; rows of penalty 1 stay as they are.
    """

    def less(logits_bv: Array) -> Array:
        by = jnp.where(drawn_bv, penalty_b[:, None], 1.0).astype(logits_bv.dtype)
        return jnp.where(logits_bv > 0, logits_bv / by, logits_bv * by)

    return jax.lax.cond((penalty_b != 1).any(), less, lambda x: x, logits_bv)


def sequences(of: Sequence[Sequence[int]], count: int) -> Int[np.ndarray, "w s"]:
    """So many sequences of tokens for `forbidden`, right-aligned; of long ones the last tokens."""
    made = np.full((count, SEQUENCE), ANY, np.int32)
    for row, ids in zip(made, of, strict=False):
        last = ids[-SEQUENCE:]
        row[SEQUENCE - len(last) :] = last
    return made


def forbidden(
    logits_bv: Float[Array, "b v"], recent_bs: Int[Array, "b s"], avoid_bws: Int[Array, "b w s"]
) -> Float[Array, "b v"]:
    """Logits with those at -inf that would end one of the row's `sequences`, given its last tokens.

    A sequence of ANY alone ends nowhere.
    """

    def without(logits_bv: Array) -> Array:
        begun_bws = (avoid_bws[..., :-1] == ANY) | (avoid_bws[..., :-1] == recent_bs[:, None, 1:])
        last_bw = jnp.where(avoid_bws[..., -1] == ANY, logits_bv.shape[1], avoid_bws[..., -1])
        last_bw = jnp.where(begun_bws.all(axis=-1), last_bw, logits_bv.shape[1])
        row_b1 = jnp.arange(logits_bv.shape[0])[:, None]
        return logits_bv.at[row_b1, last_bw].set(-jnp.inf, mode="drop")

    return jax.lax.cond((avoid_bws[..., -1] != ANY).any(), without, lambda x: x, logits_bv)


def _kept(scaled_bv: Array, how: Sampling) -> Array:
    """Logits with those outside top-k or top-p at -inf, in the rows that cut."""
    cut = (how.temperature > 0) & ((how.top_k > 0) | (how.top_p < 1))
    if cut.ndim:  # paid as soon as one row needs it; the other rows stay as they are
        return jax.lax.cond(
            cut.any(),
            lambda x: jnp.where(cut[:, None], _cut(x, how), x),
            lambda x: x,
            scaled_bv,
        )
    return jax.lax.cond(cut, lambda x: _cut(x, how), lambda x: x, scaled_bv)


def _argmax(x_bv: Array) -> Array:
    """Index of the first largest, in two reductions: XLA's own is three times as slow on a CPU."""
    largest = x_bv == x_bv.max(axis=-1, keepdims=True)
    index = jnp.where(largest, jnp.arange(x_bv.shape[-1], dtype=jnp.int32), x_bv.shape[-1] - 1)
    return index.min(axis=-1)


def _column(x: Array) -> Array:
    """A scalar as it is, one value a row as a column beside [b, v]."""
    return x[:, None] if x.ndim else x


def _draw(logits_bv: Array, uniform_b: Array) -> Array:
    """Inverse of the cumulative distribution at `uniform`: first the block of tokens, then within.

    One random number a row where Gumbel noise needs one a token, and no long cumulative sum.
    """
    b, v = logits_bv.shape
    weight = jnp.exp(logits_bv - logits_bv.max(axis=-1, keepdims=True))
    weight = jnp.pad(weight, ((0, 0), (0, -v % BLOCKS))).reshape(b, BLOCKS, -1)
    block_b, rest_b = _find(weight.sum(axis=-1), uniform_b * weight.sum(axis=(1, 2)))
    inside = jnp.take_along_axis(weight, block_b[:, None, None], axis=1)[:, 0]
    return (block_b * weight.shape[-1] + _find(inside, rest_b)[0]).astype(jnp.int32)


def _find(weight_bk: Array, target_b: Array) -> tuple[Array, Array]:
    """Index whose share of the running sum holds `target`, and the target left inside it.

    Never an index of weight 0, also where rounding puts the target past the last sum.
    """
    total = jnp.cumsum(weight_bk, axis=-1)
    last = weight_bk.shape[-1] - 1 - jnp.argmax(weight_bk[:, ::-1] > 0, axis=-1)
    index = jnp.minimum(jnp.sum(total <= target_b[:, None], axis=-1), last)
    before = jnp.take_along_axis(total - weight_bk, index[:, None], axis=-1)[:, 0]
    return index, target_b - before


def _cut(scaled_bv: Array, how: Sampling) -> Array:
    """Logits outside the top-k or outside the smallest set of mass top_p become -inf.

    The smallest logit that stays is found bit by bit, in 32 sums: sorting a vocabulary takes ten
    times as long.
    """
    place_bv = _ordered(scaled_bv)
    weight_bv = jax.nn.softmax(scaled_bv, axis=-1)
    by_count, by_mass = how.top_k > 0, how.top_p < 1

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low_b, high_b = bounds
        middle_b = (low_b >> 1) + (high_b >> 1) + ((low_b | high_b) & 1)  # rounded up, no overflow
        kept_bv = place_bv >= middle_b[:, None]
        mass_b = jnp.where(kept_bv, weight_bv, 0).sum(axis=-1)
        enough_b = by_count & (kept_bv.sum(axis=-1) >= how.top_k)
        enough_b |= by_mass & (mass_b >= how.top_p)
        return jnp.where(enough_b, middle_b, low_b), jnp.where(enough_b, high_b, middle_b - 1)

    whole = jnp.full(scaled_bv.shape[0], jnp.iinfo(jnp.int32).min)
    least_b, _ = jax.lax.fori_loop(0, 32, halve, (whole, place_bv.max(axis=-1)))
    return jnp.where(place_bv >= least_b[:, None], scaled_bv, -jnp.inf)


def _ordered(x: Float[Array, "*s"]) -> Int[Array, "*s"]:
    """Integers that compare as the floats do."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    return jnp.where(bits < 0, bits ^ jnp.iinfo(jnp.int32).max, bits)
