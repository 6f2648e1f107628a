"""Rollouts on trees: each prompt is prefilled once, its branches decode against one shared KV."""

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import keys, sharding
from pa_jax.core import mesh as meshes
from pa_jax.core.typing import Array, Bool, Float, Int, Key
from pa_jax.infer import buckets, sampling
from pa_jax.models import attention, decoder, tree
from pa_jax.models.config import DecoderConfig


@dataclasses.dataclass(frozen=True)
class Completions:
    """Sampled branches. ids [n, g, c] (0 past the lengths), lengths [n, g] with the end token.

    logprobs [n, g, c] are float32, of the model that sampled; finished is False where the
    completion was cut at max_new_tokens; texts leave the end token out.
    """

    ids: np.ndarray
    lengths: np.ndarray
    logprobs: np.ndarray
    finished: np.ndarray
    texts: list[list[str]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Decoded:
    """Completions on device, or what `jax.device_get` made of them."""

    ids: Int[Array | np.ndarray, "n g c"]
    lengths: Int[Array | np.ndarray, "n g"]
    logprobs: Float[Array | np.ndarray, "n g c"]
    finished: Bool[Array | np.ndarray, "n g"]


def prefill(
    model: decoder.Decoder, ids_np: Int[Array, "n p"], length_n: Int[Array, " n"]
) -> tuple[Float[Array, "n v"], tuple[Array, Array]]:
    """Logits after each prompt's last token, and its keys and values as `attention.cached`.

    Those are stacked: [l, n, k, z, p] and [l, n, k, p, z].
    """
    spec, lens = tree.TreeSpec(ids_np.shape[1]), tree.lengths(length_n)

    def attend(q, k, v, layer, carry):
        o = attention.tree_attention(q, k, v, spec=spec, lens=lens, impl=model.attention)
        return o, attention.cached(k, v), carry

    passed = model.hidden(ids_np, tree.positions(spec, lens), attend)
    last = jnp.take_along_axis(passed.hidden, tree.trunk_end(lens)[:, None, None], axis=1)
    return model.logits(last[:, 0]), passed.kept


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """What branches are decoded behind.

    kv     keys and values as `prefill` gives them; or a list, a pair a layer
    seen   which of their slots each branch sees
    start  position of each branch's first token
    """

    kv: tuple[Float[Array, "l n k z s"], Float[Array, "l n k s z"]] | list[tuple[Array, Array]]
    seen: Bool[Array, "#n #g s"]
    start: Int[Array, "#n #g"]


def behind(kv: tuple[Array, Array], length_n: Int[Array, " n"]) -> Context:
    """Every branch follows its whole prompt."""
    real = jnp.arange(kv[0].shape[-1]) < length_n[:, None]
    return Context(kv, real[:, None], length_n[:, None])


def branch_cache(cfg: DecoderConfig, shape: tuple[int, int, int], dtype) -> tuple[Array, Array]:
    """Zeroed keys and values of branches [n, g, c], stacked over layers as those of prompts."""
    empty = jnp.zeros((cfg.layers, *shape, cfg.kv_heads, cfg.head_dim), dtype)
    return attention.cached(empty, empty)


def decode_step(
    model: decoder.Decoder,
    token_ng: Int[Array, "n g"],
    context: Context,
    branch_kv: tuple[Array, Array] | list[tuple[Array, Array]],
    step: Int[Array, ""] | Int[Array, " n"],
    blocks: Sequence[nnx.State] | None = None,
) -> tuple[Float[Array, "n g v"], tuple[Array, Array] | list[tuple[Array, Array]]]:
    """Logits after one more token a branch, and the branches' grown keys and values.

    `step` says where the token stands in its completion: one number, or one a row. With `blocks`
    (of `Decoder.apart`) both caches are lists, an entry a layer, and `step` is one number.
    """
    step_ng = step[:, None] if step.ndim else step[None, None]
    slots = (branch_kv if blocks is None else branch_kv[0])[0].shape[-1]
    own_real = jnp.arange(slots) <= step_ng[..., None]
    grow = _grown if blocks is None else _grown_apart

    def attend(q, k, v, this, grown):
        trunk_kv, layer = this
        grown, own = grow(grown, (k, v), layer, step)
        o = attention.decode_attention(q, trunk_kv, own, trunk_seen=context.seen, own_real=own_real)
        return o, None, grown

    layers = model.cfg.layers
    if blocks is None:
        per_layer = context.kv, jnp.arange(layers)
    else:
        per_layer = list(zip(context.kv, range(layers), strict=True))
    position_ng = jnp.broadcast_to(context.start + step_ng, token_ng.shape)
    passed = model.hidden(
        token_ng, position_ng, attend, per_layer=per_layer, carry=branch_kv, blocks=blocks
    )
    return model.logits(passed.hidden), passed.carry


def _grown(stacked, new, layer, slot):
    """Stacked branches' keys and values with those of one token in its slot, and the layer's."""
    (k, v), (k_ngkz, v_ngkz) = stacked, new
    if slot.ndim:
        row = jnp.arange(slot.shape[0])
        k = k.at[layer, row, :, :, :, slot].set(k_ngkz)
        v = v.at[layer, row, :, :, slot].set(v_ngkz)
    else:
        k = jax.lax.dynamic_update_slice(k, k_ngkz[None, ..., None], (layer, 0, 0, 0, 0, slot))
        v = jax.lax.dynamic_update_slice(v, v_ngkz[None, ..., None, :], (layer, 0, 0, 0, slot, 0))
    own = tuple(jax.lax.dynamic_index_in_dim(x, layer, keepdims=False) for x in (k, v))
    return (k, v), own


def _grown_apart(caches, new, layer: int, slot):
    """As _grown, of a list of the layers' caches."""
    (k, v), (k_ngkz, v_ngkz) = caches[layer], new
    own = (
        jax.lax.dynamic_update_slice(k, k_ngkz[..., None], (0, 0, 0, 0, slot)),
        jax.lax.dynamic_update_slice(v, v_ngkz[..., None, :], (0, 0, 0, slot, 0)),
    )
    return [*caches[:layer], own, *caches[layer + 1 :]], own


def _apart(stacked):
    """A list of the layers' keys and values."""
    return [tuple(x[layer] for x in stacked) for layer in range(stacked[0].shape[0])]


@functools.partial(jax.jit, static_argnums=1)
def branch_keys(key_n: Key[Array, " n"], branches: int) -> Key[Array, "n g"]:
    """The key of every branch, from its prompt's key and its place among the branches."""
    fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    return jax.vmap(fold, in_axes=(0, None))(key_n, jnp.arange(branches))


@functools.partial(jax.jit, static_argnames=("graph", "slots", "apart"))
def rollout(
    graph: nnx.GraphDef,
    state: Any,
    prompts: tuple[Int[Array, "n p"], Int[Array, " n"]],
    key_ng: Key[Array, "n g"],
    how: sampling.Sampling,
    limits: tuple[Int[Array, ""], Int[Array, " k"]],
    *,
    slots: int,
    apart: bool = False,
) -> Decoded:
    """A completion a key, at most `slots` long; stops when every branch has ended.

    `prompts` are ids and lengths, `key_ng` one key a branch, `limits` (tokens allowed, end tokens).
    A row of length 0 is padding: it counts as ended. `apart` as in `completed`.
    """
    model = nnx.merge(graph, state)
    length_n, shape = prompts[1], key_ng.shape
    logits_nv, kv = prefill(model, *prompts)
    logits_ngv = jnp.broadcast_to(logits_nv[:, None], (*shape, model.cfg.vocab))
    absent = jnp.broadcast_to((length_n == 0)[:, None], shape)
    context = behind(kv, length_n)
    draws = key_ng, how, limits
    return completed(model, logits_ngv, context, absent, draws, slots=slots, apart=apart)


def completed(
    model: decoder.Decoder,
    logits_ngv: Float[Array, "n g v"],
    context: Context,
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
    key_ng, how, (allowed, end) = draws
    (n, g), cfg = key_ng.shape, model.cfg

    def pick(logits_ngv, step):
        step_keys = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, step)))(key_ng)
        token, logp = sampling.sample(
            logits_ngv.reshape(n * g, cfg.vocab), step_keys.reshape(n * g), how
        )
        return token.reshape(n, g), logp.reshape(n, g)

    def write(out: Decoded, token, logp, step):
        alive = ~out.finished & (step < allowed)
        at = (0, 0, step)
        ended = (token[..., None] == end).any(axis=-1)
        return Decoded(
            jax.lax.dynamic_update_slice(out.ids, jnp.where(alive, token, 0)[..., None], at),
            out.lengths + alive,
            jax.lax.dynamic_update_slice(out.logprobs, jnp.where(alive, logp, 0.0)[..., None], at),
            out.finished | (alive & ended),
        )

    def body(carry):
        step, token, branch_kv, out = carry
        logits, branch_kv = decode_step(model, token, context, branch_kv, step, blocks)
        token, logp = pick(logits, step + 1)
        return step + 1, token, branch_kv, write(out, token, logp, step + 1)

    def more(carry):
        step, _, _, out = carry
        return (step + 1 < jnp.minimum(allowed, slots)) & ~out.finished.all()

    out = Decoded(
        jnp.zeros((n, g, slots), jnp.int32),
        jnp.zeros((n, g), jnp.int32),
        jnp.zeros((n, g, slots), jnp.float32),
        absent_ng,
    )
    branch_kv, blocks = branch_cache(cfg, (n, g, slots), context.kv[0].dtype), None
    axes = (None, "rows", None, "kv_heads", None, None)
    branch_kv = tuple(sharding.constrain(x, *axes) for x in branch_kv)
    kv = tuple(sharding.constrain(x, None, "rows", "kv_heads", None, None) for x in context.kv)
    if apart:
        kv, branch_kv, blocks = _apart(kv), _apart(branch_kv), model.apart()
    context = dataclasses.replace(context, kv=kv)
    token, logp = pick(logits_ngv, 0)
    first = (jnp.int32(0), token, branch_kv, write(out, token, logp, 0))
    return jax.lax.while_loop(more, body, first)[-1]


def relayout(dtypes: Any, where: Any) -> Callable[[Any], Any]:
    """Jitted copy of parameters as `dtypes`, laid out by the shardings `where` (None: as it is)."""

    def copy(state: Any) -> Any:
        return jax.tree.map(lambda x, dtype: x.astype(dtype), state, dtypes)

    return jax.jit(copy, out_shardings=where)


class Engine:
    """Samples from a model; `rows` prompts a call, prompt and completion shapes from buckets."""

    def __init__(
        self,
        model: Any,
        *,
        mesh: jax.sharding.Mesh | None = None,
        rows: int = 8,
        trunks: Sequence[int] = (128, 256, 512, 1024, 2048, 4096),
    ) -> None:
        """`model` is a LoadedModel (module, config, tokenizer).

        On a mesh its weights are laid out by INFER_RULES, as the dtypes they have.
        """
        self.model, self.mesh, self.rows, self.trunks = model, mesh, rows, tuple(trunks)
        self.graph, state = nnx.split(model.module)
        where = None
        if mesh is not None:
            where = sharding.shardings(state, mesh, sharding.INFER_RULES)
        self._dtypes = jax.tree.map(lambda x: x.dtype, state)
        device = mesh.devices.flat[0] if mesh is not None else jax.devices()[0]
        self.apart = device.platform == "cpu"
        self._laid_out = relayout(self._dtypes, where)
        self.update(state)

    def update(self, state: Any) -> None:
        """Sample from these parameters from now on.

        They are laid out for inference on the devices, in the model's dtypes; on one device without
        a copy where they are so already.
        """
        dtypes = jax.tree.map(lambda x: x.dtype, state)
        as_is = (self.mesh is None or self.mesh.size == 1) and dtypes == self._dtypes
        self.state = None  # the old copy goes before the new one is made
        self.state = state if as_is else self._laid_out(state)

    def only(self, trunk: int) -> "Engine":
        """The same engine, weights shared, with one prompt bucket: for prompts of like length."""
        other = copy.copy(self)
        other.trunks = (trunk,)
        return other

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        n: int,
        max_new_tokens: int,
        temperature: float,
        seed: int,
        top_k: int = 0,
        top_p: float = 1.0,
        stream: keys.Stream = keys.Stream.ROLLOUT,
        step: int = 0,
    ) -> Completions:
        """`n` completions of every prompt; prompt i draws from the key (seed, stream, step, i).

        Raises ValueError on an empty prompt or one longer than the largest bucket.
        """
        for i, prompt in enumerate(prompts):
            if not len(prompt):
                raise ValueError(f"prompt {i} is empty; a prompt needs at least one token.")
        how = sampling.settings(temperature, top_k, top_p)
        base = keys.stream_key(seed, stream, step)
        buckets_of = [
            buckets.fit(len(p), self.trunks, what=f"prompt {i}") for i, p in enumerate(prompts)
        ]
        order = sorted(range(len(prompts)), key=lambda i: buckets_of[i])
        slots = buckets.fit(max_new_tokens, SLOTS, what="max_new_tokens")
        shape = (len(prompts), n, max_new_tokens)
        ids, logp = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        length, finished = np.zeros(shape[:2], np.int32), np.zeros(shape[:2], bool)
        while order:
            chosen = [i for i in order[: self.rows] if buckets_of[i] == buckets_of[order[0]]]
            order = order[len(chosen) :]
            trunk, trunk_len = buckets.pad_rows(
                [*(prompts[i] for i in chosen), *([[]] * (self.rows - len(chosen)))],
                buckets_of[chosen[0]],
            )
            rows = np.array(chosen + [0] * (self.rows - len(chosen)), np.int32)
            key_ng = branch_keys(keys.row_keys(base, rows), n)
            out = self.decode((trunk, trunk_len), key_ng, how, (max_new_tokens, slots))
            out = sharding.fetch(out)
            real = slice(0, len(chosen))
            ids[chosen] = out.ids[real, :, :max_new_tokens]
            logp[chosen] = out.logprobs[real, :, :max_new_tokens]
            length[chosen], finished[chosen] = out.lengths[real], out.finished[real]
        return Completions(ids, length, logp, finished, self.texts(ids, length))

    def decode(self, prompts, key_ng, how, limits: tuple[int, int]) -> Decoded:
        """One batch on device: `prompts` (ids [n, p], lengths [n]), `limits` (tokens, slots)."""
        allowed, slots = limits
        with meshes.using(self.mesh):
            return rollout(
                self.graph,
                self.state,
                tuple(sharding.put(rows, self.mesh, "rows") for rows in prompts),
                key_ng,
                how,
                (jnp.int32(allowed), self.ends()),
                slots=slots,
                apart=self.apart,
            )

    def ends(self) -> Int[Array, " k"]:
        """Tokens that end a completion."""
        tokenizer = self.model.tokenizer
        return jnp.asarray(tuple(tokenizer.eos_ids) if tokenizer is not None else (), jnp.int32)

    def texts(self, ids_ngc: np.ndarray, length_ng: np.ndarray) -> list[list[str]]:
        """Texts of completions without their end token; empty where there is no tokenizer."""
        tokenizer = self.model.tokenizer
        if tokenizer is None:
            return [["" for _ in row] for row in length_ng]
        ends = set(tokenizer.eos_ids)
        return [
            [
                tokenizer.decode([int(t) for t in ids[:count] if int(t) not in ends])
                for ids, count in zip(row, counts, strict=True)
            ]
            for row, counts in zip(ids_ngc, length_ng, strict=True)
        ]


SLOTS = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048)
