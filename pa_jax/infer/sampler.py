"""Completions of many prompts under one model: packed, in calls of few shapes."""

import dataclasses
import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import keys, sharding
from pa_jax.core import mesh as meshes
from pa_jax.core.typing import Array, Int, Key
from pa_jax.dialogue import thought
from pa_jax.infer import decode, forest, prompt_rows, sampling
from pa_jax.infer.root import Root
from pa_jax.models import decoder

# Widths of a completion's cache.
WIDTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048)


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


@functools.partial(jax.jit, static_argnums=1)
def branch_keys(key_n: Key[Array, " n"], branches: int) -> Key[Array, "n g"]:
    """The key of every branch, from its prompt's key and its place among the branches."""
    fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    return jax.vmap(fold, in_axes=(0, None))(key_n, jnp.arange(branches))


@jax.jit
def _chosen(key_ng: Key[Array, "n g"], at_x: Int[Array, " x"]) -> Key[Array, "x g"]:
    return key_ng[at_x]


def relayout(dtypes: Any, where: Any) -> jax.stages.Wrapped:
    """Jitted copy of parameters as `dtypes`, laid out by the shardings `where` (None: as it is)."""

    def copy(state: Any) -> Any:
        return jax.tree.map(lambda x, dtype: x.astype(dtype), state, dtypes)

    return jax.jit(copy, out_shardings=where)


class Sampler:
    """Samples from a model; up to `rows` prompts a call, row lengths from one table.

    prefilled  slots that prompts took so far, padding included
    """

    def __init__(
        self,
        model: Any,
        *,
        mesh: jax.sharding.Mesh | None = None,
        rows: int = 8,
        lengths: Sequence[int] = forest.LENGTHS,
        key: str = "lengths",
        root: Sequence[int] = (),
    ) -> None:
        """`model` is a LoadedModel (module, config, tokenizer).

        On a mesh its weights are laid out by INFER_RULES, as the dtypes they have. `key` is the
        config key that a message names for a prompt that is too long. Of prompts that begin with
        `root`, only what follows it is computed: it is kept until `update`.
        """
        # Of the model no more than this: its weights may go at the first `update`.
        self.tokenizer, self.config = model.tokenizer, model.config
        self.mesh, self.rows = mesh, rows
        self.lengths, self.key, self.prefilled = forest.row_lengths(lengths, key), key, 0
        self.graph, state = nnx.split(model.module)
        self.root = Root(root, self.graph, mesh)
        self._where = None
        if mesh is not None:
            where = sharding.shardings(state, mesh, sharding.INFER_RULES)
            self._where = jax.tree.leaves(where)
        self._dtypes = jax.tree.map(lambda x: x.dtype, state)
        self._given: list[weakref.ref] = []  # the arrays that `state` is the layout of
        self._copies: dict[tuple[int, ...], Callable] = {}
        device = mesh.devices.flat[0] if mesh is not None else jax.devices()[0]
        self.apart = device.platform == "cpu"
        self.shards = sharding.data_shards(mesh)
        self.state: Any = None
        self.update(state)

    def update(self, state: Any) -> None:
        """Sample from these parameters from now on.

        They are laid out for inference on the devices, in the model's dtypes; on one device without
        a copy where they are so already. Arrays that were given before, as those of a frozen base,
        keep their copies.
        """
        self.root.forget()
        dtypes = jax.tree.map(lambda x: x.dtype, state)
        if (self.mesh is None or self.mesh.size == 1) and dtypes == self._dtypes:
            self.state, self._given = state, []
            return
        given, kind = jax.tree.flatten(state)
        before = [ref() for ref in self._given] or [None] * len(given)
        made = jax.tree.leaves(self.state) if self._given else []
        changed = tuple(i for i, x in enumerate(given) if x is not before[i])
        for i in changed if made else ():
            made[i] = None
        self.state = None  # the old copies go before the new ones are made
        new = self._copy(changed)([given[i] for i in changed]) if changed else []
        laid_out = dict(enumerate(made)) | dict(zip(changed, new, strict=True))
        self.state = jax.tree.unflatten(kind, [laid_out[i] for i in range(len(given))])
        self._given = [weakref.ref(x) for x in given]

    def _copy(self, numbers: tuple[int, ...]) -> Callable[[Any], Any]:
        """Lays out the leaves of these numbers."""
        if numbers not in self._copies:
            dtypes = jax.tree.leaves(self._dtypes)
            where = None if self._where is None else [self._where[i] for i in numbers]
            self._copies[numbers] = relayout([dtypes[i] for i in numbers], where)
        return self._copies[numbers]

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

        Raises ValueError on an empty prompt or one longer than the largest row.
        """
        for i, prompt in enumerate(prompts):
            if not len(prompt):
                raise ValueError(f"prompt {i} is empty; a prompt needs at least one token.")
            own = len(prompt) - len(self.root) * self.root.begins(prompt)
            forest.fit(own, self.lengths, what=f"prompt {i} (see {self.key})")
        how = sampling.settings(temperature, top_k, top_p)
        base = keys.stream_key(seed, stream, step)
        shape = (len(prompts), n, max_new_tokens)
        ids, logp = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        length, finished = np.zeros(shape[:2], np.int32), np.zeros(shape[:2], bool)
        for behind in (True, False):  # the root, or not
            numbers = [i for i, ids in enumerate(prompts) if self.root.begins(ids) == behind]
            arrays, before = self._cut([prompts[i] for i in numbers], behind)
            for rows in self._calls(arrays, apart=before is None):
                each = max(len(row.chosen) for row in rows)
                if len(rows) <= self.shards:
                    each = self._each(each)
                chosen = prompt_rows.places(rows, each, self.shards)
                at = np.array([numbers[k] for k in np.maximum(chosen, 0)], np.int32)
                key_xg = branch_keys(keys.row_keys(base, at), n)
                out = self._sampled(arrays, rows, each, key_xg, how, max_new_tokens, before)
                at = at[chosen >= 0]
                ids[at], logp[at] = out.ids, out.logprobs
                length[at], finished[at] = out.lengths, out.finished
        return Completions(ids, length, logp, finished, self.texts(ids, length))

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        key_ng: Key[Array, "n g"],
        how: sampling.Sampling,
        max_new_tokens: int,
        *,
        count: int = 0,
    ) -> decode.Decoded:
        """A completion a key of prompts that go in at once, on the host, in their order.

        With a `count` above theirs, prompts that are not there make up the number.
        """
        arrays, before = self._cut(prompts, all(map(self.root.begins, prompts)))
        count = max(count, len(arrays))
        rows, each = prompt_rows.in_rows(
            arrays, count, self.shards, max(self.lengths), apart=before is None
        )
        chosen = prompt_rows.places(rows, each, self.shards)
        key_xg = _chosen(key_ng, np.maximum(chosen, 0))
        out = self._sampled(arrays, rows, each, key_xg, how, max_new_tokens, before)
        order = np.argsort(chosen[chosen >= 0])
        return jax.tree.map(lambda x: x[order], out)

    def warm_up(self, longest: int, max_new_tokens: int) -> None:
        """Compiles `generate` with n=1 for prompts of the root and up to `longest` tokens more."""
        how = sampling.settings(0.0, 0, 1.0)
        base = keys.stream_key(0, keys.Stream.GENERATE, 0)
        before = self.root.context(self.state) if len(self.root) else None
        for each in sorted({self._each(count) for count in range(1, self.rows + 1)}):
            key_xg = branch_keys(keys.row_keys(base, np.zeros(self.shards * each, np.int32)), 1)
            for length, width in self._shapes(longest, each):
                packed = prompt_rows.empty((self.shards, each), length, width)
                args, fixed = self._call(packed, key_xg, how, max_new_tokens, before)
                with meshes.using(self.mesh):
                    decode.rollout.lower(*args, **fixed, root=0).compile()

    def _shapes(self, longest: int, each: int) -> list[tuple[int, int]]:
        """Row lengths and widths that rows of `each` prompts behind the root can have."""
        most = forest.fit(min(each * longest, max(self.lengths)), self.lengths, what="row")
        rows = [length for length in self.lengths if length <= most]
        return [(length, length if each == 1 else self._width(each)) for length in rows]

    def _width(self, each: int) -> int:
        """The one width of prompts that stand `each` a row: so many of it fill the longest row.

        A longer prompt goes into a row of fewer. Else every width would be a program of its own.
        """
        fits = [length for length in self.lengths if each * length <= max(self.lengths)]
        return max(fits, default=min(self.lengths))

    def _cut(
        self, prompts: Sequence[Sequence[int]], behind: bool
    ) -> tuple[list[np.ndarray], decoder.Context | None]:
        """Prompts without the root that all begin with, and its keys; or whole."""
        cut = len(self.root) if behind else 0
        arrays = [np.asarray(ids[cut:], np.int32) for ids in prompts]
        return arrays, self.root.context(self.state) if behind and prompts else None

    def _call(
        self,
        packed: decode.Prompts,
        key_xg: Key[Array, "x g"],
        how: sampling.Sampling,
        max_new_tokens: int,
        before: decoder.Context | None,
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of decode.rollout, all but the root's slots."""
        slots = forest.fit(max_new_tokens, WIDTHS, what="max_new_tokens")
        packed = jax.tree.map(lambda x: sharding.put(x, self.mesh, "rows"), packed)
        limits = jnp.int32(max_new_tokens), self.ends()
        args = (self.graph, self.state, packed, key_xg, how, limits, before)
        return args, {"slots": slots, "apart": self.apart}

    def _sampled(
        self,
        prompts: Sequence[np.ndarray],
        rows: Sequence[prompt_rows.PromptRow],
        each: int,
        key_xg: Key[Array, "x g"],
        how: sampling.Sampling,
        max_new_tokens: int,
        before: decoder.Context | None,
    ) -> decode.Decoded:
        """Completions of the rows' prompts, in their order; a row has `each` keys."""
        made, root = prompt_rows.laid_out(
            prompts,
            rows,
            each,
            width=self._width(each) if before is not None and each > 1 else 1,
            shards=self.shards,
            lengths=self.lengths,
            key=self.key,
        )
        self.prefilled += made.ids.size
        args, fixed = self._call(made, key_xg, how, max_new_tokens, before)
        with meshes.using(self.mesh):
            out = decode.rollout(*args, **fixed, root=root)
        out, real = sharding.fetch(out), prompt_rows.places(rows, each, self.shards) >= 0
        return decode.Decoded(
            out.ids[real, :, :max_new_tokens],
            out.lengths[real],
            out.logprobs[real, :, :max_new_tokens],
            out.finished[real],
        )

    def _calls(
        self, prompts: Sequence[np.ndarray], *, apart: bool
    ) -> list[list[prompt_rows.PromptRow]]:
        """Rows that go in at once: one a shard; on one device more, of a shape and while short.

        `apart`: what a row's prompts begin with is kept apart; else they follow one root.
        """
        rows = sorted(
            self._rows(prompts, apart=apart), key=lambda row: (-row.tokens, -len(row.chosen))
        )
        if self.shards > 1 or not apart:
            return [rows[k : k + self.shards] for k in range(0, len(rows), self.shards)]
        alike: dict[tuple[int, ...], list[prompt_rows.PromptRow]] = {}
        for row in rows:
            shape = tuple(forest.fit(n, self.lengths, what="row") for n in (row.tokens, row.own))
            alike.setdefault(shape, []).append(row)
        calls: list[list[prompt_rows.PromptRow]] = []
        for (length, _), of in alike.items():
            widest = max(len(row.chosen) for row in of)
            most = max(min(self.rows // widest, max(self.lengths) // length), 1)
            size = -(-len(of) // -(-len(of) // most))  # none nearly empty
            calls += [of[k : k + size] for k in range(0, len(of), size)]
        return calls

    def _rows(self, prompts: Sequence[np.ndarray], *, apart: bool) -> list[prompt_rows.PromptRow]:
        """Prompts that share most in one row, unless that costs more than a row of its own."""
        rows: list[prompt_rows.PromptRow] = []
        for i in sorted(range(len(prompts)), key=lambda i: prompt_rows.sort_key(prompts[i])):
            alone = prompt_rows.row(prompts, [i], apart=apart)
            if rows and len(rows[-1].chosen) < -(-self.rows // self.shards):
                joined = prompt_rows.row(prompts, [*rows[-1].chosen, i], apart=apart)
                if apart:
                    cheap = joined.cost <= rows[-1].cost + alone.cost + prompt_rows.CALL
                else:
                    cheap = joined.own <= self._width(self._each(len(joined.chosen)))
                if cheap and joined.tokens <= max(self.lengths):
                    rows[-1] = joined
                    continue
            rows.append(alone)
        return rows

    def _each(self, count: int) -> int:
        """Prompts that a row has room for: 1, a quarter of the most, or the most.

        Few programs, and a lone prompt is cheap.
        """
        most = -(-self.rows // self.shards)
        return next(n for n in (1, max(most // 4, 1), most) if n >= min(count, most))

    def ends(self) -> Int[Array, " k"]:
        """Tokens that end a completion."""
        tokenizer = self.tokenizer
        return jnp.asarray(tuple(tokenizer.eos_ids) if tokenizer is not None else (), jnp.int32)

    def texts(self, ids_ngc: np.ndarray, length_ng: np.ndarray) -> list[list[str]]:
        """Texts of completions without end token and thoughts; empty without a tokenizer."""
        tokenizer = self.tokenizer
        if tokenizer is None:
            return [["" for _ in row] for row in length_ng]
        ends = set(tokenizer.eos_ids)
        return [
            [
                thought.behind(tokenizer.decode([t for t in ids[:count].tolist() if t not in ends]))
                for ids, count in zip(row, counts, strict=True)
            ]
            for row, counts in zip(ids_ngc, length_ng, strict=True)
        ]
