"""Log-probs of given tokens at given states, in chunks: [tokens, vocabulary] is never whole.

A row's wanted places stand first, so chunks behind the last of them are not computed: how many
there are is data. XLA does not differentiate loops of such a length, so the backward pass is
written out. It computes each chunk's logits again, from which the gradient follows at once:
d log p(token) / d logits = onehot(token) - softmax(logits).
"""

import functools

import jax
import jax.numpy as jnp

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int
from pa_jax.models import decoder

CHUNK = 512  # states a chunk, of all rows that lie on one device


def token_logprobs(
    model: decoder.Decoder,
    hidden_nwd: Float[Array, "n w d"],
    token_nw: Int[Array, "n w"],
    wanted_n: Int[Array, " n"],
    temperature: Float[Array, ""],
) -> tuple[Float[Array, "n w"], Float[Array, "n w"]]:
    """Log-prob of each token and entropy of its distribution, float32; 0 from `wanted` on.

    Of softmax(logits / temperature). Gradients go through the log-probs alone.
    """
    n, w, d = hidden_nwd.shape
    chunk = _chunk(n, w)
    pad = -w % chunk
    hidden = jnp.pad(hidden_nwd, ((0, 0), (0, pad), (0, 0)))
    token = jnp.pad(token_nw, ((0, 0), (0, pad)))
    count = -(-wanted_n.max() // chunk)
    logp, entropy = _chunked(
        (model.cfg.tied, chunk), hidden, model.output(), token, count, temperature
    )
    real = jnp.arange(w) < wanted_n[:, None]
    return jnp.where(real, logp[:, :w], 0.0), jnp.where(real, entropy[:, :w], 0.0)


def label_logprobs(
    model: decoder.Decoder,
    hidden_nwd: Float[Array, "n w d"],
    label: Int[Array, " k"],
    wanted_n: Int[Array, " n"],
) -> Float[Array, "n w k"]:
    """Log-probs of each label token at each state; 0 from the chunk after `wanted` on."""
    n, w, _ = hidden_nwd.shape
    chunk = _chunk(n, w)
    hidden, output = jnp.pad(hidden_nwd, ((0, 0), (0, -w % chunk), (0, 0))), model.output()

    def one(c, made):
        logits = decoder.project(_slice(hidden, c * chunk, chunk), output, tied=model.cfg.tied)
        logp = jax.nn.log_softmax(logits, axis=-1)[..., label]
        return jax.lax.dynamic_update_slice_in_dim(made, logp, c * chunk, axis=1)

    made = jnp.zeros((n, hidden.shape[1], len(label)), jnp.float32)
    return jax.lax.fori_loop(0, -(-wanted_n.max() // chunk), one, made)[:, :w]


def _chunk(n: int, w: int) -> int:
    """States of a row that are projected at a time."""
    return min(max(CHUNK // (n // sharding.row_parts(n)), 1), w)


def _logits(
    tied: bool, hidden_ncd: Array, output: tuple[Array, Array | None], temperature: Array
) -> Array:
    return decoder.project(hidden_ncd, output, tied=tied) / temperature


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _chunked(shape, hidden_nwd, output, token_nw, count, temperature):
    return _forward(shape, hidden_nwd, output, token_nw, count, temperature)[0]


def _slice(x: Array, start: Array, chunk: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(x, start, chunk, axis=1)


def _forward(shape, hidden_nwd, output, token_nw, count, temperature):
    tied, chunk = shape

    def one(c, carry):
        at = c * chunk
        logits = _logits(tied, _slice(hidden_nwd, at, chunk), output, temperature)
        total = jax.nn.logsumexp(logits, axis=-1)
        token = _slice(token_nw, at, chunk)
        logp = jnp.take_along_axis(logits, token[..., None], axis=-1)[..., 0] - total
        entropy = total - jnp.sum(jnp.exp(logits - total[..., None]) * logits, axis=-1)
        new = (logp, entropy, total)
        return tuple(
            jax.lax.dynamic_update_slice_in_dim(old, x, at, axis=1)
            for old, x in zip(carry, new, strict=True)
        )

    empty = jnp.zeros(token_nw.shape, jnp.float32)
    logp, entropy, total = jax.lax.fori_loop(0, count, one, (empty, empty, empty))
    return (logp, entropy), (hidden_nwd, output, token_nw, count, temperature, total)


def _backward(shape, kept, d_out):
    (tied, chunk), (d_logp, _) = shape, d_out
    hidden_nwd, output, token_nw, count, temperature, total = kept
    weight, scale = output

    def one(c, carry):
        d_hidden, d_weight = carry
        at = c * chunk
        hidden = _slice(hidden_nwd, at, chunk)
        logits = _logits(tied, hidden, output, temperature)
        share = jnp.exp(logits - _slice(total, at, chunk)[..., None])
        hit = _slice(token_nw, at, chunk)[..., None] == jnp.arange(logits.shape[-1])
        d = _slice(d_logp, at, chunk)[..., None] * (hit - share) / temperature
        d = d if scale is None else d * scale
        d = d.astype(hidden.dtype)
        spelled = "ncv,vd->ncd" if tied else "ncv,dv->ncd"
        new = jnp.einsum(spelled, d, weight.astype(hidden.dtype))
        d_hidden = jax.lax.dynamic_update_slice_in_dim(d_hidden, new, at, axis=1)
        if d_weight is not None:
            flat, d = hidden.reshape(-1, hidden.shape[-1]), d.reshape(-1, d.shape[-1])
            pair = (d, flat) if tied else (flat, d)
            d_weight += jnp.einsum("bx,by->xy", *pair, preferred_element_type=jnp.float32)
        return d_hidden, d_weight

    # Where the output projection is frozen, XLA drops its sum from the loop: nobody reads it.
    trains = jnp.issubdtype(weight.dtype, jnp.floating)
    start = jnp.zeros_like(hidden_nwd), jnp.zeros(weight.shape, jnp.float32) if trains else None
    d_hidden, d_weight = jax.lax.fori_loop(0, count, one, start)
    d_weight = d_weight.astype(weight.dtype) if trains else None
    d_scale = None if scale is None else jnp.zeros_like(scale)
    return d_hidden, (d_weight, d_scale), None, None, jnp.zeros_like(temperature)


_chunked.defvjp(_forward, _backward)
