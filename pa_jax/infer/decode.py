"""Completions token by token: prompts prefilled as a forest, branches behind their own paths.

What the prompts of a row begin with, instructions or more or less of a dialogue, is computed once
(`prefill`) and stays one piece of keys, of which all branches of the row see what their prompt
begins with; what a prompt adds is a second piece, read by its own branches; a branch's tokens are
the third.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import sharding
from pa_jax.core.typing import Array, Bool, DTypeLike, Float, Int, Key
from pa_jax.infer import sampling
from pa_jax.models import attention, decoder
from pa_jax.models.config import DecoderConfig

KV = tuple[Float[Array, "... k z _"], Float[Array, "... k _ z"]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Decoded:
    """Completions on device, or what `jax.device_get` made of them."""

    ids: Int[Array | np.ndarray, "n g c"]
    lengths: Int[Array | np.ndarray, "n g"]
    logprobs: Float[Array | np.ndarray, "n g c"]
    finished: Bool[Array | np.ndarray, "n g"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prompts:
    """Rows of m prompts each, packed; the first prompt of a row stands in its first slots.

    ids, end, position  as of forest.Forest
    root                how many of the row's first tokens each prompt begins with, less than it has
    own                 slots of each prompt's further tokens, 0 behind the last
    length              how many those are; 0: no prompt
    """

    ids: Int[Array | np.ndarray, "r t"]
    end: Int[Array | np.ndarray, "r t"]
    position: Int[Array | np.ndarray, "r t"]
    root: Int[Array | np.ndarray, "r m"]
    own: Int[Array | np.ndarray, "r m p"]
    length: Int[Array | np.ndarray, "r m"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BranchContext:
    """What branches are decoded behind, all prompts' rows one after the other (n = r * m).

    own     keys and values of each prompt, stacked over layers; or a list, a pair a layer
    length  how many of them are real
    start   position of each prompt's first new token
    root    the same as `own` of a row's first slots, None where they are not kept apart
    shared  how many of those are seen, a number a prompt or a row
    """

    own: KV | list[KV]
    length: Int[Array | np.ndarray, " n"]
    start: Int[Array | np.ndarray, " n"]
    root: KV | list[KV] | None = None
    shared: Int[Array | np.ndarray, " x"] | None = None


def prefill(
    model: decoder.Decoder, prompts: Prompts, *, root: int, before: decoder.Context | None = None
) -> tuple[Float[Array, "n v"], BranchContext]:
    """Logits after each prompt's last token, and the keys and values of all.

    `root` first slots of each row hold what its prompts begin with; 0: it is not kept apart. All
    prompts follow what was computed `before` (infer/root.py), which is their root then, with as
    many rows as it has.
    """
    passed = model.on_rows(prompts.ids, prompts.end, prompts.position, context=before, keep=True)
    (r, m, p), layers = prompts.own.shape, model.cfg.layers
    last = jnp.take_along_axis(prompts.own, jnp.maximum(prompts.length - 1, 0)[..., None], axis=2)
    hidden = jnp.take_along_axis(passed.hidden, last, axis=1).reshape(r * m, -1)

    def own(x_lrtkz: Array) -> Array:
        at = prompts.own.reshape(1, r, m * p, 1, 1)
        return jnp.take_along_axis(x_lrtkz, at, axis=2).reshape(
            layers, r * m, p, *x_lrtkz.shape[3:]
        )

    length = prompts.length.reshape(-1)
    start, kept = prompts.root.reshape(-1) + length, None
    shared: Array | np.ndarray | None = None
    if before is not None:
        start, kept = start + before.length, attention.cached(*before.kv)
        shared = jnp.full(before.kv[0].shape[1], before.length)
    elif root:
        shared = prompts.root.reshape(-1)
        kept = attention.cached(*(x[:, :, :root] for x in passed.kept))
    own_kv = attention.cached(*map(own, passed.kept))
    return model.logits(hidden), BranchContext(own_kv, length, start, kept, shared)


def branch_cache(
    cfg: DecoderConfig, shape: tuple[int, int, int], dtype: DTypeLike
) -> tuple[Array, Array]:
    """Zeroed keys and values of branches [n, g, c], stacked over layers as those of prompts."""
    empty = jnp.zeros((cfg.layers, *shape, cfg.kv_heads, cfg.head_dim), dtype)
    return attention.cached(empty, empty)


def decode_step(
    model: decoder.Decoder,
    token_ng: Int[Array, "n g"],
    context: BranchContext,
    branch_kv: KV | list[KV],
    step: Int[Array, ""] | Int[Array, " n"],
    blocks: Sequence[nnx.State] | None = None,
) -> tuple[Float[Array, "n g v"], KV | list[KV]]:
    """Logits after one more token a branch, and the branches' grown keys and values.

    `step` says where the token stands in its completion: one number, or one a row. With `blocks`
    (of `Decoder.apart`) both caches are lists, an entry a layer, and `step` is one number.
    """
    step_ng = step[:, None] if step.ndim else step[None, None]
    slots = jax.tree.leaves(branch_kv)[0].shape[-1]  # of keys
    own_real = jnp.arange(slots) <= step_ng[..., None]
    grow: Callable[..., tuple[KV | list[KV], KV]] = _grown if blocks is None else _grown_apart

    def attend(
        q: Array, k: Array, v: Array, this: tuple[Any, Any, Any], grown: KV | list[KV]
    ) -> tuple[Array, None, KV | list[KV]]:
        own, root, layer = this
        grown, branch = grow(grown, (k, v), layer, step)
        pieces = [(own, context.length)]
        if root is not None and context.shared is not None:
            pieces.append((root, context.shared))
        o = attention.decode_attention(q, pieces, branch, own_real)
        return o, None, grown

    layers = model.cfg.layers
    per_layer: Any
    if blocks is None:
        per_layer = context.own, context.root, jnp.arange(layers)
    else:
        roots = [None] * layers if context.root is None else context.root
        per_layer = list(zip(context.own, roots, range(layers), strict=True))
    position_ng = jnp.broadcast_to(context.start[:, None] + step_ng, token_ng.shape)
    passed = model.hidden(
        token_ng, position_ng, attend, per_layer=per_layer, carry=branch_kv, blocks=blocks
    )
    return model.logits(passed.hidden), passed.carry


def _grown(stacked: KV, new: tuple[Array, Array], layer: Array, slot: Array) -> tuple[KV, KV]:
    """Stacked branches' keys and values with those of one token in its slot, and the layer's."""
    (k, v), (k_ngkz, v_ngkz) = stacked, new
    if slot.ndim:
        row = jnp.arange(slot.shape[0])
        k = k.at[layer, row, :, :, :, slot].set(k_ngkz)
        v = v.at[layer, row, :, :, slot].set(v_ngkz)
    else:
        k = jax.lax.dynamic_update_slice(k, k_ngkz[None, ..., None], (layer, 0, 0, 0, 0, slot))
        v = jax.lax.dynamic_update_slice(v, v_ngkz[None, ..., None, :], (layer, 0, 0, 0, slot, 0))
    own_k, own_v = (jax.lax.dynamic_index_in_dim(x, layer, keepdims=False) for x in (k, v))
    return (k, v), (own_k, own_v)


def _grown_apart(
    caches: list[KV], new: tuple[Array, Array], layer: int, slot: Array
) -> tuple[list[KV], KV]:
    """As _grown, of a list of the layers' caches."""
    (k, v), (k_ngkz, v_ngkz) = caches[layer], new
    own = (
        jax.lax.dynamic_update_slice(k, k_ngkz[..., None], (0, 0, 0, 0, slot)),
        jax.lax.dynamic_update_slice(v, v_ngkz[..., None, :], (0, 0, 0, slot, 0)),
    )
    return [*caches[:layer], own, *caches[layer + 1 :]], own


def _apart(stacked: KV) -> list[KV]:
    """A list of the layers' keys and values."""
    k, v = stacked
    return [(k[layer], v[layer]) for layer in range(k.shape[0])]


def _written(
    out: Decoded, token: Array, logp: Array, step: Array | int, limits: tuple[Array, Array]
) -> Decoded:
    """With a step's tokens in the branches that are not finished."""
    allowed, end = limits
    alive = ~out.finished & (step < allowed)
    at = (0, 0, step)
    ended = (token[..., None] == end).any(axis=-1)
    return Decoded(
        jax.lax.dynamic_update_slice(out.ids, jnp.where(alive, token, 0)[..., None], at),
        out.lengths + alive,
        jax.lax.dynamic_update_slice(out.logprobs, jnp.where(alive, logp, 0.0)[..., None], at),
        out.finished | (alive & ended),
    )


_Carry = tuple[Array, Array, KV | list[KV], Decoded]  # step, tokens, branches' caches, output


def completed(
    model: decoder.Decoder,
    logits_ngv: Float[Array, "n g v"],
    context: BranchContext,
    absent_ng: Bool[Array, "n g"],
    draws: tuple[Key[Array, "n g"], sampling.Sampling, tuple[Array, Array]],
    *,
    slots: int,
    apart: bool,
) -> Decoded:
    """Completions drawn from logits on; those of absent branches are empty, and finished.

    `draws` are keys, settings and limits as in `rollout`. `apart` has weights and caches copied
    layer by layer before the first step, so that no step copies them out of their stacks: for
    CPUs, which do.
    """
    key_ng, how, limits = draws
    (n, g), cfg = key_ng.shape, model.cfg

    def pick(logits_ngv: Array, step: Array | int) -> tuple[Array, Array]:
        step_keys = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, step)))(key_ng)
        token, logp = sampling.sample(
            logits_ngv.reshape(n * g, cfg.vocab), step_keys.reshape(n * g), how
        )
        return token.reshape(n, g), logp.reshape(n, g)

    def body(carry: _Carry) -> _Carry:
        step, token, branch_kv, out = carry
        logits, branch_kv = decode_step(model, token, context, branch_kv, step, blocks)
        token, logp = pick(logits, step + 1)
        return step + 1, token, branch_kv, _written(out, token, logp, step + 1, limits)

    def more(carry: _Carry) -> Array:
        step, _, _, out = carry
        return (step + 1 < jnp.minimum(limits[0], slots)) & ~out.finished.all()

    out = Decoded(
        jnp.zeros((n, g, slots), jnp.int32),
        jnp.zeros((n, g), jnp.int32),
        jnp.zeros((n, g, slots), jnp.float32),
        absent_ng,
    )
    dtype = jax.tree.leaves(context.own)[0].dtype
    axes = (None, "rows", None, "kv_heads", None, None)
    k, v = (sharding.constrain(x, *axes) for x in branch_cache(cfg, (n, g, slots), dtype))
    branch_kv: KV | list[KV] = (k, v)
    blocks: list[nnx.State] | None = None

    def laid_out(x: Array) -> Array:
        return sharding.constrain(x, None, "rows", "kv_heads", None, None)

    own, root = jax.tree.map(laid_out, (context.own, context.root))
    if apart:
        own, root = _apart(own), None if root is None else _apart(root)
        branch_kv, blocks = _apart((k, v)), model.apart()
    context = dataclasses.replace(context, own=own, root=root)
    token, logp = pick(logits_ngv, 0)
    first: _Carry = (jnp.int32(0), token, branch_kv, _written(out, token, logp, 0, limits))
    return jax.lax.while_loop(more, body, first)[-1]


@functools.partial(jax.jit, static_argnames=("graph", "root", "slots", "apart"))
def rollout(
    graph: nnx.GraphDef,
    state: Any,
    prompts: Prompts,
    key_ng: Key[Array, "n g"],
    how: sampling.Sampling,
    limits: tuple[Int[Array, ""], Int[Array, " k"]],
    before: decoder.Context | None = None,
    *,
    root: int,
    slots: int,
    apart: bool = False,
) -> Decoded:
    """A completion a key, at most `slots` long; stops when every branch has ended.

    `key_ng` has g keys a prompt, in the order of the rows; `limits` are (tokens allowed, end
    tokens). A prompt of length 0 is padding: it counts as ended. `root` and `before` as in
    `prefill`, `apart` as in `completed`.
    """
    model, shape = nnx.merge(graph, state), key_ng.shape
    logits_nv, context = prefill(model, prompts, root=root, before=before)
    logits_ngv = jnp.broadcast_to(logits_nv[:, None], (*shape, model.cfg.vocab))
    absent = jnp.broadcast_to((context.length == 0)[:, None], shape)
    draws = key_ng, how, limits
    return completed(model, logits_ngv, context, absent, draws, slots=slots, apart=apart)
