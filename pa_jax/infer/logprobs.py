"""Log-probs of given tokens at given states, in chunks: [tokens, vocabulary] is never whole.

A row's wanted places stand first, so chunks behind the last of them are not computed: how many
there are is data. XLA does not differentiate loops of such a length, so the backward pass is
written out. With W the output projection, h a state and p = softmax(h W'),

    d log p(token) / d h = W[token] - p W        d log p(token) / d W = (onehot(token) - p) h'

Where W is frozen, the forward pass keeps the first of them (d numbers a token), and the backward
pass computes nothing again; where it trains, p is computed again, chunk by chunk.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int
from pa_jax.models import decoder, precision

CHUNK = 256  # states a chunk, of all rows that lie on one device
SMALLEST = 64  # below, reading the projection takes longer than computing with it


class _Form(NamedTuple):
    """What is static: whether W is the embedding, whether it is frozen, states a chunk of a row."""

    tied: bool
    frozen: bool
    chunk: int


def token_logprobs(
    model: decoder.Decoder,
    hidden_nwd: Float[Array, "n w d"],
    token_nw: Int[Array | np.ndarray, "n w"],
    wanted_n: Int[Array | np.ndarray, " n"],
    temperature: Float[Array, ""],
) -> tuple[Float[Array, "n w"], Float[Array, "n w"]]:
    """Log-prob of each token and entropy of its distribution, float32; 0 from `wanted` on.

    Of softmax(logits / temperature). Gradients go through the log-probs alone.
    """
    n, w, _ = hidden_nwd.shape
    output = model.output()
    # Whether W trains is known from the model's structure: beside adapters the base is frozen. It
    # decides what the forward pass keeps, so it must be known before there is a backward pass.
    frozen = bool(model.blocks.lora) or output[1] is not None  # int8 never trains
    form = _Form(model.cfg.tied, frozen, chunk_of(n, w))
    # A chunk is the same places of every row, so all rows are padded to whole chunks.
    pad = -w % form.chunk
    hidden = jnp.pad(hidden_nwd, ((0, 0), (0, pad), (0, 0)))
    token = jnp.pad(token_nw, ((0, 0), (0, pad)))
    # A row has as many places as slots and wants few of them, first in the row: of w places only
    # the chunks up to the last wanted one of any row are projected. That number is data, else every
    # batch would be a program of its own.
    count = -(-wanted_n.max() // form.chunk)
    logp, entropy = _chunked(form, hidden, output, token, count, temperature)
    # In those chunks rows that want less have numbers of slot 0, to which unwanted places point.
    # They become 0 here, outside the loop, and so do the gradients that come back for them.
    real = jnp.arange(w) < wanted_n[:, None]
    return jnp.where(real, logp[:, :w], 0.0), jnp.where(real, entropy[:, :w], 0.0)


def label_logprobs(
    model: decoder.Decoder,
    hidden_nwd: Float[Array, "n w d"],
    label: Int[Array, " k"],
    wanted_n: Int[Array | np.ndarray, " n"],
) -> Float[Array, "n w k"]:
    """Log-probs of each label token at each state; 0 from the chunk after `wanted` on."""
    n, w, _ = hidden_nwd.shape
    chunk = chunk_of(n, w)
    hidden, output = jnp.pad(hidden_nwd, ((0, 0), (0, -w % chunk), (0, 0))), model.output()

    def one(c: Array, made: Array) -> Array:
        logits = decoder.project(_cut(hidden, c * chunk, chunk), output, tied=model.cfg.tied)
        return _put(made, jax.nn.log_softmax(logits, axis=-1)[..., label], c * chunk)

    made = jnp.zeros((n, hidden.shape[1], len(label)), jnp.float32)
    return jax.lax.fori_loop(0, -(-wanted_n.max() // chunk), one, made)[:, :w]


def chunk_of(n: int, w: int) -> int:
    """States of a row that are projected at a time: fewer where there are few at all."""
    return min(max(CHUNK // (n // sharding.row_parts(n)), 1), max(w // 4, SMALLEST), w)


def _cut(x: Array, at: Array, chunk: int) -> Array:
    """A chunk of every row, one state after the other."""
    x = jax.lax.dynamic_slice_in_dim(x, at, chunk, axis=1)
    return x.reshape(-1, *x.shape[2:])


def _put(x: Array, new_b: Array, at: Array) -> Array:
    """The rows with a chunk's numbers in their places."""
    new = new_b.reshape(x.shape[0], -1, *x.shape[2:]).astype(x.dtype)
    return jax.lax.dynamic_update_slice_in_dim(x, new, at, axis=1)


def _read(
    form: _Form, hidden_bd: Array, output: tuple[Array, Array | None], temperature: Array
) -> tuple[Array, Array, Array]:
    """Logits [b, v], the log of the sum of their exponentials, and their softmax.

    One axis of states: over two, XLA's CPU code for sums of exponentials takes five times as long.
    """
    logits_bv = decoder.project(hidden_bd, output, tied=form.tied) / temperature
    total_b = jax.nn.logsumexp(logits_bv, axis=-1)
    return logits_bv, total_b, jax.nn.softmax(logits_bv, axis=-1)


def _weighted(form: _Form, share_bv: Array, output: tuple[Array, Array | None]) -> Array:
    """[b, d]: the rows of W weighed by a number a token of the vocabulary."""
    weight, scale = output
    share = share_bv if scale is None else share_bv * scale
    if precision.is_narrower(weight, share):
        return precision.product(share, weight, along=int(not form.tied))
    dtype = weight.dtype if scale is None else jnp.float32
    spelled = "bv,vd->bd" if form.tied else "bv,dv->bd"
    return jnp.einsum(spelled, share.astype(dtype), weight.astype(dtype))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _chunked(
    form: _Form,
    hidden_nwd: Array,
    output: tuple[Array, Array | None],
    token_nw: Array,
    count: Array,
    temperature: Array,
) -> tuple[Array, Array]:
    return _forward(form, hidden_nwd, output, token_nw, count, temperature, keep=False)[0]


def _forward(
    form: _Form,
    hidden_nwd: Array,
    output: tuple[Array, Array | None],
    token_nw: Array,
    count: Array,
    temperature: Array,
    *,
    keep: bool = True,
) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    keep = keep and form.frozen

    def one(c: Array, made: tuple[Array, ...]) -> tuple[Array, ...]:
        at = c * form.chunk
        hidden, token = _cut(hidden_nwd, at, form.chunk), _cut(token_nw, at, form.chunk)
        logits, total, share = _read(form, hidden, output, temperature)
        chosen = jnp.take_along_axis(logits, token[:, None], axis=-1)[:, 0]
        # log p = logit - log sum exp; the entropy is log sum exp - the mean logit under p
        new = [chosen - total, total - jnp.sum(share * logits, axis=-1)]
        if keep:  # d log p / d h, while logits and p are at hand: else all is projected again
            hit = token[:, None] == jnp.arange(share.shape[-1])
            new.append(_weighted(form, hit - share, output) / temperature)
        return tuple(_put(old, x, at) for old, x in zip(made, new, strict=True))

    empty = jnp.zeros(token_nw.shape, jnp.float32)
    start = (empty, empty, *([jnp.zeros_like(hidden_nwd)] if keep else []))
    made = jax.lax.fori_loop(0, count, one, start)
    return made[:2], (hidden_nwd, output, token_nw, count, temperature, *made[2:])


def _backward(form: _Form, kept: tuple[Any, ...], d_out: tuple[Array, Array]) -> tuple[Any, ...]:
    (hidden_nwd, output, token_nw, count, temperature, *slope), (d_logp, _) = kept, d_out
    weight, scale = output
    # A gradient for each argument of _chunked behind `form`: scales, integers (None) and the
    # temperature get none. What comes in for the entropy is dropped: it is a metric.
    nothing = None if scale is None else jnp.zeros_like(scale), None, None, 0 * temperature
    if form.frozen:  # what was kept, times what comes in: nothing is projected again
        d_hidden = (slope[0] * d_logp[..., None]).astype(hidden_nwd.dtype)
        d_weight = jnp.zeros_like(weight) if jnp.issubdtype(weight.dtype, jnp.floating) else None
        return d_hidden, (d_weight, nothing[0]), *nothing[1:]

    def one(c: Array, made: tuple[Array, Array]) -> tuple[Array, Array]:
        at = c * form.chunk
        hidden, token = _cut(hidden_nwd, at, form.chunk), _cut(token_nw, at, form.chunk)
        _, _, share = _read(form, hidden, output, temperature)
        hit = token[:, None] == jnp.arange(share.shape[-1])
        d = _cut(d_logp, at, form.chunk)[:, None] / temperature * (hit - share)
        d = d.astype(hidden.dtype)
        pair = (d, hidden) if form.tied else (hidden, d)
        by_part = (x.reshape(parts, -1, x.shape[-1]) for x in pair)
        summed = jnp.einsum("pbx,pby->pxy", *by_part, preferred_element_type=jnp.float32)
        return _put(made[0], _weighted(form, d, output), at), laid_out(made[1] + summed)

    # Each data shard adds up its own chunks: the sum over shards is taken once, behind the last.
    parts, cut = sharding.row_parts(len(hidden_nwd)), ("vocab", None)

    def laid_out(x_pxy: Array) -> Array:
        return sharding.constrain(x_pxy, "rows", *(cut if form.tied else cut[::-1]))

    start = jnp.zeros_like(hidden_nwd), laid_out(jnp.zeros((parts, *weight.shape), jnp.float32))
    d_hidden, d_weight = jax.lax.fori_loop(0, count, one, start)
    return d_hidden, (d_weight.sum(axis=0).astype(weight.dtype), nothing[0]), *nothing[1:]


_chunked.defvjp(_forward, _backward)
