"""Rows that decode side by side, each at its own step: requests join and leave between chunks.

A row holds one request: a trunk (its prompt) and one branch. All shapes are fixed, settings are
traced, so that a handful of programs, one a trunk width, serve every mix of requests. The trunk of
a prompt that begins with the sampler's root holds a copy of the root's keys: they are not computed
again.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import keys, sharding
from pa_jax.core import mesh as meshes
from pa_jax.core.typing import Array, Bool, Float, Int, Key, UInt32
from pa_jax.infer import decode, forest, sampler, sampling
from pa_jax.infer.serving import ruled_out, widths
from pa_jax.models import decoder, lora

SHORTEST = 64  # tokens of a root from which it is worth programs of its own


@dataclasses.dataclass(frozen=True)
class RowRequest:
    """What a row decodes: at most `allowed` tokens.

    They are those of Sampler.generate([prompt], n=1, seed=seed, stream=keys.Stream.GENERATE, ...),
    without `adapters` those of the base. `penalty` makes what was drawn before less likely
    (sampling.discouraged); 1 is off. None of the token sequences of `avoid` is drawn.
    """

    prompt: Sequence[int]
    allowed: int
    seed: int
    temperature: float
    top_k: int
    top_p: float
    penalty: float = 1.0
    adapters: bool = True
    avoid: Sequence[Sequence[int]] = ()


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Joining:
    """Requests that enter rows, as arrays; one whose row does not exist enters none.

    prompt  what is to be computed of it: all, or what follows the root
    length  how many tokens those are
    """

    prompt: Int[Array | np.ndarray, "n p"]
    length: Int[Array | np.ndarray, " n"]
    row: Int[Array | np.ndarray, " n"]
    allowed: Int[Array | np.ndarray, " n"]
    seed: UInt32[Array | np.ndarray, " n"]
    penalty: Float[Array | np.ndarray, " n"]
    adapters: Bool[Array | np.ndarray, " n"]
    avoid: Int[Array | np.ndarray, "n w s"]
    how: sampling.Sampling


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows:
    """What is on device. `recent` are the last tokens drawn, `step` the last one's place.

    `drawn` says which tokens of the vocabulary a row has drawn.

    A row that is done draws nothing until a request joins it.
    """

    trunk_kv: tuple[Float[Array, "l n k z p"], Float[Array, "l n k p z"]]
    own_kv: tuple[Float[Array, "l n 1 k z c"], Float[Array, "l n 1 k c z"]]
    trunk_len: Int[Array, " n"]
    recent: Int[Array, "n s"]
    step: Int[Array, " n"]
    allowed: Int[Array, " n"]
    done: Bool[Array, " n"]
    key: UInt32[Array, "n 2"]
    drawn: Bool[Array, "n v"]
    penalty: Float[Array, " n"]
    adapters: Bool[Array, " n"]
    avoid: Int[Array, "n w s"]
    how: sampling.Sampling


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Drawn:
    """New tokens of each row: the first `count` of ids and logprobs [n, t]; done after them."""

    ids: Int[Array | np.ndarray, "n t"]
    logprobs: Float[Array | np.ndarray, "n t"]
    count: Int[Array | np.ndarray, " n"]
    done: Bool[Array | np.ndarray, " n"]


# Tokens of the chunk so far, the last few, steps, own caches, tokens seen, what was drawn.
_Carry = tuple[Array, Array, Array, decode.KV | list[decode.KV], Array, Drawn]


def _laid_out(rows: Rows) -> Rows:
    """Rows over the mesh as the sampler lays out its own, so that no program sees two layouts."""

    def one(x: Array) -> Array:
        if x.ndim < 5:
            return sharding.constrain(x, "rows", *[None] * (x.ndim - 1))
        branch = [None] * (x.ndim - 5)
        return sharding.constrain(x, None, "rows", *branch, "kv_heads", None, None)

    return jax.tree.map(one, rows)


def _branch_key(seed: UInt32[Array, ""]) -> UInt32[Array, "2"]:
    """The raw key that Sampler.generate gives the only branch of its only prompt."""
    base = keys.stream_key(seed, keys.Stream.GENERATE, 0)
    key_ng = sampler.branch_keys(keys.row_keys(base, jnp.zeros(1, jnp.int32)), 1)
    return jax.random.key_data(key_ng[0, 0])


def _step_keys(key: UInt32[Array, "n 2"], step: Int[Array, " n"]) -> Key[Array, " n"]:
    """The key of each row's token number `step`, as decode.rollout derives it."""
    return jax.vmap(jax.random.fold_in)(jax.random.wrap_key_data(key, impl="threefry2x32"), step)


@functools.partial(jax.jit, static_argnames=("graph", "count", "trunk", "slots"))
def empty(graph: nnx.GraphDef, state: Any, *, count: int, trunk: int, slots: int) -> Rows:
    """`count` rows without a request."""
    model = nnx.merge(graph, state)
    cfg, dtype = model.cfg, model.final_norm[...].dtype
    k, v = (x[:, :, 0] for x in decode.branch_cache(cfg, (count, 1, trunk), dtype))
    own_kv = decode.branch_cache(cfg, (count, 1, slots), dtype)
    zero, real = jnp.zeros(count, jnp.int32), jnp.zeros(count, jnp.float32)
    how = sampling.Sampling(real, zero, real + 1)
    done, key = jnp.ones(count, bool), jnp.zeros((count, 2), jnp.uint32)
    drawn = jnp.zeros((count, cfg.vocab), bool)
    recent = jnp.zeros((count, sampling.SEQUENCE), jnp.int32)
    avoid = jnp.full((count, ruled_out.SEQUENCES, sampling.SEQUENCE), sampling.ANY, jnp.int32)
    return _laid_out(
        Rows((k, v), own_kv, zero, recent, zero, zero, done, key, drawn, real + 1, done, avoid, how)
    )


def _alone(joining: Joining) -> decode.Prompts:
    """A row a prompt."""
    n, p = joining.prompt.shape
    slot = jnp.broadcast_to(jnp.arange(p), (n, p))
    length = joining.length[:, None]
    end = jnp.where(slot < length, length, slot + 1)
    nothing = jnp.zeros(n, jnp.int32)
    return decode.Prompts(joining.prompt, end, slot, nothing[:, None], slot[:, None], length)


@functools.partial(jax.jit, static_argnames=("graph", "root"), donate_argnames="rows")
def admit(
    graph: nnx.GraphDef,
    state: Any,
    rows: Rows,
    joining: Joining,
    end: Int[Array, " e"],
    before: decoder.Context | None,
    *,
    root: int,
) -> tuple[Rows, Drawn]:
    """Prefills prompts into their rows and draws the first token of each; Drawn is of `joining`.

    All follow the `root` tokens of `before`, where that is not None.
    """
    model, width = lora.on_rows(nnx.merge(graph, state), joining.adapters), joining.prompt.shape[1]
    logits, context = decode.prefill(model, _alone(joining), root=0, before=before)
    zero = jnp.zeros_like(joining.row)
    key = jax.vmap(_branch_key)(jnp.asarray(joining.seed))
    recent = jnp.full((len(zero), sampling.SEQUENCE), sampling.NONE)
    logits = sampling.forbidden(logits, recent, jnp.asarray(joining.avoid))
    token, logp = sampling.sample(logits, _step_keys(key, zero), joining.how)
    done = (joining.allowed <= 1) | (token[:, None] == end).any(axis=-1)

    def entered(old: Array, new: Array | np.ndarray) -> Array:
        return old.at[joining.row].set(new, mode="drop")

    k, v = rows.trunk_kv
    if before is not None:
        root_k, root_v = cast(decode.KV, context.root)  # as all here, not taken apart by layers
        root_k, root_v = root_k[..., :root], root_v[..., :root, :]
        k = k.at[:, joining.row, :, :, :root].set(root_k, mode="drop")
        v = v.at[:, joining.row, :, :root].set(root_v, mode="drop")
    k = k.at[:, joining.row, :, :, root : root + width].set(context.own[0], mode="drop")
    v = v.at[:, joining.row, :, root : root + width].set(context.own[1], mode="drop")
    rows = Rows(
        (k, v),
        rows.own_kv,
        entered(rows.trunk_len, context.start),
        entered(rows.recent, recent.at[:, -1].set(token)),
        entered(rows.step, zero),
        entered(rows.allowed, joining.allowed),
        entered(rows.done, done),
        entered(rows.key, key),
        entered(rows.drawn, jnp.arange(rows.drawn.shape[1]) == token[:, None]),
        entered(rows.penalty, joining.penalty),
        entered(rows.adapters, joining.adapters),
        entered(rows.avoid, joining.avoid),
        jax.tree.map(entered, rows.how, joining.how),
    )
    return _laid_out(rows), Drawn(token[:, None], logp[:, None], zero + 1, done)


@functools.partial(jax.jit, static_argnames=("graph", "chunk", "width"), donate_argnames="rows")
def advance(
    graph: nnx.GraphDef,
    state: Any,
    rows: Rows,
    keep: Bool[Array | np.ndarray, " n"],
    eager: Bool[Array | np.ndarray, ""],
    end: Int[Array, " e"],
    *,
    chunk: int,
    width: int,
) -> tuple[Rows, Drawn]:
    """Up to `chunk` more tokens of every row that is not done; rows not in `keep` are given up.

    `width` trunk slots hold every kept row's prompt. `eager` stops as soon as a row is done:
    somebody waits for it.
    """
    model, n = lora.on_rows(nnx.merge(graph, state), rows.adapters), rows.step.shape[0]
    trunk_kv = rows.trunk_kv[0][..., :width], rows.trunk_kv[1][..., :width, :]
    context = decode.BranchContext(trunk_kv, rows.trunk_len, rows.trunk_len)
    idle = rows.done | ~keep

    def more(carry: _Carry) -> Array:
        i, *_, out = carry
        left = (out.done & ~idle).any()
        return (i < chunk) & ~out.done.all() & ~(eager & left)

    def body(carry: _Carry) -> _Carry:
        i, recent, step, own_kv, seen, out = carry
        logits, own_kv = decode.decode_step(model, recent[:, -1:], context, own_kv, step)
        likely = sampling.discouraged(logits[:, 0], seen, rows.penalty)
        likely = sampling.forbidden(likely, recent, rows.avoid)
        new, logp = sampling.sample(likely, _step_keys(rows.key, step + 1), rows.how)
        alive = ~out.done
        seen = seen.at[jnp.arange(n), new].max(alive)
        grown = jnp.concatenate([recent[:, 1:], new[:, None]], axis=1)
        recent, step = jnp.where(alive[:, None], grown, recent), step + alive
        ended = (recent[:, -1:] == end).any(axis=-1) | (step + 1 >= rows.allowed)
        out = Drawn(
            jnp.asarray(out.ids).at[:, i].set(jnp.where(alive, new, 0)),
            jnp.asarray(out.logprobs).at[:, i].set(jnp.where(alive, logp, 0.0)),
            out.count + alive,
            out.done | ended,
        )
        return i + 1, recent, step, own_kv, seen, out

    ids = jnp.zeros((n, chunk), jnp.int32)
    out = Drawn(ids, ids.astype(jnp.float32), jnp.zeros(n, jnp.int32), idle)
    first: _Carry = (jnp.int32(0), rows.recent, rows.step, rows.own_kv, rows.drawn, out)
    _, recent, step, own_kv, seen, out = jax.lax.while_loop(more, body, first)
    rows = dataclasses.replace(
        rows,
        recent=recent,
        step=step,
        own_kv=cast(decode.KV, own_kv),
        drawn=seen,
        done=jnp.asarray(out.done),
    )
    return _laid_out(rows), out


class DecodeSlots:
    """The rows of one model and the programs over them. Calls must not overlap."""

    def __init__(
        self,
        run: sampler.Sampler,
        *,
        rows: int,
        trunk: int,
        slots: int,
        chunk: int,
    ) -> None:
        """`rows` requests at once, prompts up to `trunk` tokens, completions up to `slots`.

        `run` gives the parameters, laid out for inference, the end tokens and the root.
        """
        longest = run.config.max_positions
        if min(rows, trunk, slots, chunk) < 1 or trunk + slots > longest:
            raise ValueError(
                f"rows={rows}, trunk={trunk}, slots={slots}, chunk={chunk}: each must be at least "
                f"1, and trunk + slots at most the model's {longest} positions."
            )
        self.rows, self.slots, self.chunk = rows, slots, chunk
        self.widths, self._entries = widths.of(trunk), widths.entries(trunk)
        fit = tuple(n for n in self._entries if len(run.root) + n <= trunk)
        self._behind = fit if len(run.root) >= SHORTEST else ()
        self._run = run
        tokenizer = run.tokenizer
        self.ends = tuple(tokenizer.eos_ids) if tokenizer is not None else ()
        self.together = min(rows, run.shards)  # one a data shard
        self._lengths = np.zeros(rows, np.int32)
        with meshes.using(run.mesh):
            self._end = jnp.asarray(self.ends, jnp.int32)
            self._rows = self._empty(trunk)

    def admit(self, requests: Mapping[int, RowRequest]) -> dict[int, tuple[int, float, bool]]:
        """Row -> request, at most `together`: first token of each, its log-prob, is it the last."""
        drawn = self._admit(list(requests), list(requests.values()))
        for row, request in requests.items():
            self._lengths[row] = len(request.prompt)
        each = zip(drawn.ids[:, 0], drawn.logprobs[:, 0], drawn.done, strict=True)
        return {
            row: (int(token), float(logp), bool(done))
            for row, (token, logp, done) in zip(requests, each, strict=False)
        }

    def advance(self, keep: Sequence[int], *, eager: bool) -> Drawn:
        """A chunk more of the rows in `keep`; all others are free from now on."""
        kept = np.zeros(self.rows, bool)
        kept[list(keep)] = True
        self._lengths[~kept] = 0
        width = forest.fit(int(self._lengths.max()), self.widths, what="prompt")
        return self._advance(kept, eager, width)

    def warm_up(self) -> None:
        """Compiles every program. All rows must be free."""
        root = self._run.root.ids
        prompts = [[0] * width for width in self._entries]
        prompts += [[*root, *[0] * width] for width in self._behind]
        for _ in range(2):  # the second round sees the arrays that the programs themselves made
            for prompt in prompts:
                self._admit([self.rows], [RowRequest(prompt, 1, 0, 0.0, 0, 1.0)])
            for width in self.widths:
                self._advance(np.zeros(self.rows, bool), False, width)

    def _empty(self, trunk: int) -> Rows:
        run = self._run
        return empty(run.graph, run.state, count=self.rows, trunk=trunk, slots=self.slots)

    def _admit(self, rows: Sequence[int], requests: Sequence[RowRequest]) -> Drawn:
        run, before, root, allowed = self._run, None, 0, self._entries
        spare = self.together - len(rows)
        requests = [*requests, *[requests[0]] * spare]
        prompts = [list(r.prompt) for r in requests]
        if self._follow_root(prompts):
            before, root, allowed = run.root.context(run.state), len(run.root), self._behind
            prompts = [prompt[root:] for prompt in prompts]
        width = forest.fit(max(map(len, prompts)), allowed, what="prompt")
        how = sampling.Sampling(
            np.array([r.temperature for r in requests], np.float32),
            np.array([r.top_k for r in requests], np.int32),
            np.array([r.top_p for r in requests], np.float32),
        )
        joining = Joining(
            np.array([prompt + [0] * (width - len(prompt)) for prompt in prompts], np.int32),
            np.array([len(prompt) for prompt in prompts], np.int32),
            np.array([*rows, *[self.rows] * spare], np.int32),
            np.array([r.allowed for r in requests], np.int32),
            np.array([r.seed for r in requests], np.uint32),
            np.array([r.penalty for r in requests], np.float32),
            np.array([r.adapters for r in requests], bool),
            np.stack([sampling.sequences(r.avoid, ruled_out.SEQUENCES) for r in requests]),
            how,
        )
        with meshes.using(run.mesh):
            self._rows, drawn = admit(
                run.graph, run.state, self._rows, joining, self._end, before, root=root
            )
        return sharding.fetch(drawn)

    def _follow_root(self, prompts: Sequence[Sequence[int]]) -> bool:
        """Whether all begin with the root, and what follows it has a program that holds it."""
        root = self._run.root
        longest = max(map(len, prompts)) - len(root)
        return all(map(root.begins, prompts)) and longest <= max(self._behind, default=0)

    def _advance(self, keep: np.ndarray, eager: bool, width: int) -> Drawn:
        run, how = self._run, {"chunk": self.chunk, "width": width}
        with meshes.using(run.mesh):
            self._rows, drawn = advance(
                run.graph, run.state, self._rows, keep, np.bool_(eager), self._end, **how
            )
        return sharding.fetch(drawn)
