"""Completions of many prompts under one model: packed, in calls of few shapes."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import keys, sharding
from pa_jax.core import mesh as meshes
from pa_jax.core.typing import Array, Int, Key
from pa_jax.infer import decode, forest, sampling
from pa_jax.infer import root as roots
from pa_jax.models import decoder

# Widths of a completion's cache.
WIDTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048)
APART = 16  # tokens in common from which a row's prompts keep them as a piece of their own


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


def relayout(dtypes: Any, where: Any) -> Callable[[Any], Any]:
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
        self.model, self.mesh, self.rows = model, mesh, rows
        self.lengths, self.key, self.prefilled = tuple(lengths), key, 0
        self.graph, state = nnx.split(model.module)
        self.root = roots.Root(root, self.graph, mesh)
        where = None
        if mesh is not None:
            where = sharding.shardings(state, mesh, sharding.INFER_RULES)
        self._dtypes = jax.tree.map(lambda x: x.dtype, state)
        device = mesh.devices.flat[0] if mesh is not None else jax.devices()[0]
        self.apart = device.platform == "cpu"
        self.shards = sharding.data_shards(mesh)
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
        self.root.forget()

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
        for chosen in self._calls(prompts):
            numbers = np.array(chosen, np.int32)
            key_ng = branch_keys(keys.row_keys(base, numbers), n)
            out = self.sample([prompts[i] for i in chosen], key_ng, how, max_new_tokens)
            ids[chosen], logp[chosen] = out.ids, out.logprobs
            length[chosen], finished[chosen] = out.lengths, out.finished
        return Completions(ids, length, logp, finished, self.texts(ids, length))

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        key_ng: Key[Array, "n g"],
        how: sampling.Sampling,
        max_new_tokens: int,
    ) -> decode.Decoded:
        """A completion a key of prompts that go in at once, on the host, in their order."""
        before, count = None, len(prompts)
        if all(map(self.root.begins, prompts)):
            before = self.root.context(self.state)
            prompts = [prompt[len(self.root) :] for prompt in prompts]
        each = -(-min(self.rows, _up(count, self.rows)) // self.shards)
        packed, root = self._packed(prompts, each, apart=before is None)
        key_ng = key_ng[np.r_[np.arange(count), np.zeros(self.shards * each - count, int)]]
        args, fixed = self._call(packed, key_ng, how, max_new_tokens, before)
        with meshes.using(self.mesh):
            out = decode.rollout(*args, **fixed, root=root)
        self.prefilled += packed.ids.size
        out = sharding.fetch(out)
        return decode.Decoded(
            out.ids[:count, :, :max_new_tokens],
            out.lengths[:count],
            out.logprobs[:count, :, :max_new_tokens],
            out.finished[:count],
        )

    def warm_up(self, longest: int, max_new_tokens: int) -> None:
        """Compiles `generate` with n=1 for prompts of up to `longest` tokens, however many.

        With a root: for prompts that begin with it and have so many more.
        """
        how = sampling.settings(0.0, 0, 1.0)
        base = keys.stream_key(0, keys.Stream.GENERATE, 0)
        before = self.root.context(self.state) if len(self.root) else None
        counts = {-(-_up(count, self.rows) // self.shards) for count in range(1, self.rows + 1)}
        for each in sorted(counts):
            key_ng = branch_keys(keys.row_keys(base, np.zeros(self.shards * each, np.int32)), 1)
            for length, width, root in self._shapes(longest, each, apart=before is None):
                packed = _empty((self.shards, each), length, width)
                args, fixed = self._call(packed, key_ng, how, max_new_tokens, before)
                with meshes.using(self.mesh):
                    decode.rollout.lower(*args, **fixed, root=root).compile()

    def _shapes(self, longest: int, each: int, *, apart: bool) -> list[tuple[int, int, int]]:
        """Row lengths, widths and roots' slots that rows of `each` prompts can have."""
        widest = forest.fit(longest, self.lengths, what="prompt")
        most = forest.fit(min(each * longest, max(self.lengths)), self.lengths, what="row")
        return [
            (length, width, root)
            for length in self.lengths
            for width in self.lengths
            for root in (0, *(self.lengths if apart and each > 1 else ()))
            if max(width, root) <= length <= most and width <= widest
            if each > 1 or width == length
        ]

    def _call(
        self,
        packed: decode.Prompts,
        key_ng: Key[Array, "n g"],
        how: sampling.Sampling,
        max_new_tokens: int,
        before: decoder.Context | None,
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of decode.rollout, all but the root's slots."""
        slots = forest.fit(max_new_tokens, WIDTHS, what="max_new_tokens")
        packed = jax.tree.map(lambda x: sharding.put(x, self.mesh, "rows"), packed)
        limits = jnp.int32(max_new_tokens), self.ends()
        args = (self.graph, self.state, packed, key_ng, how, limits, before)
        return args, {"slots": slots, "apart": self.apart}

    def _calls(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Prompts that share most side by side, as many a call as go in at once.

        Those that begin with the root are in calls of their own.
        """
        behind = [i for i, prompt in enumerate(prompts) if self.root.begins(prompt)]
        others = sorted(set(range(len(prompts))) - set(behind))
        cut = len(self.root)
        return [
            *self._cut({i: prompts[i][cut:] for i in behind}),
            *self._cut({i: prompts[i] for i in others}),
        ]

    def _cut(self, prompts: Mapping[int, Sequence[int]]) -> list[list[int]]:
        """Calls of prompts by their numbers."""
        order = sorted(prompts, key=lambda i: tuple(prompts[i]))
        each, calls = -(-self.rows // self.shards), []
        row, used, before = [], 0, np.zeros(0, np.int32)
        rows = []
        for i in order:
            ids = np.asarray(prompts[i], np.int32)
            added = len(ids) - forest.shared(before, ids)
            if row and (len(row) == each or used + added > max(self.lengths)):
                rows.append(row)
                row, used, added = [], 0, len(ids)
            row, used, before = [*row, i], used + added, ids
        rows += [row] if row else []
        for start in range(0, len(rows), self.shards):
            some = rows[start : start + self.shards]
            even = len(some) == 1 or all(len(row) == each for row in some[:-1])
            calls += [[i for row in some for i in row]] if even else some
        return calls

    def _packed(
        self, prompts: Sequence[Sequence[int]], each: int, *, apart: bool
    ) -> tuple[decode.Prompts, int]:
        """Rows of `each` prompts, one a shard, and the slots of what the prompts of a row share.

        That is kept apart, or not.
        """
        arrays = [np.asarray(prompt, np.int32) for prompt in prompts]
        rows = [arrays[i * each : (i + 1) * each] for i in range(self.shards)]
        orders = [sorted(range(len(row)), key=lambda i: tuple(row[i])) for row in rows]
        least = [_in_common(row) if apart else 0 for row in rows]
        root = forest.fit(max(least), self.lengths, what="root") if max(least) else 0
        total = [
            _distinct([row[i] for i in order]) for row, order in zip(rows, orders, strict=True)
        ]
        length = forest.fit(max(total), self.lengths, what=f"prompts of a row (see {self.key})")
        longest = max(
            (len(ids) - common for row, common in zip(rows, least, strict=True) for ids in row)
        )
        width = forest.fit(longest, self.lengths, what="prompt")
        out = _empty((self.shards, each), length, width)
        out.root[:] = least
        for r, (row, order) in enumerate(zip(rows, orders, strict=True)):
            made = forest.laid_out([row[i] for i in order], length)
            out.ids[r], out.end[r], out.position[r] = made.ids, made.end, made.position
            for i, slots in zip(order, made.slots, strict=True):
                own = slots[least[r] :]
                out.own[r, i, : len(own)], out.length[r, i] = own, len(own)
        return out, root

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


def _up(count: int, most: int) -> int:
    """Prompts a call: 1, a quarter of the most, or the most: few programs, and a lone one cheap."""
    return next(n for n in (1, max(most // 4, 1), most) if n >= min(count, most))


def _empty(rows: tuple[int, int], length: int, width: int) -> decode.Prompts:
    """So many rows of so many prompts each, without any."""
    shape = rows[0], length
    zero = np.zeros(shape, np.int32)
    end = np.broadcast_to(np.arange(1, length + 1, dtype=np.int32), shape).copy()
    return decode.Prompts(
        zero,
        end,
        zero.copy(),
        np.zeros(rows[0], np.int32),
        np.zeros((*rows, width), np.int32),
        np.zeros(rows, np.int32),
    )


def _in_common(row: Sequence[np.ndarray]) -> int:
    """Tokens that all prompts begin with, but for the last of each; 0 where they are few."""
    if not row:
        return 0
    count = min(forest.common([ids.tolist() for ids in row]), min(map(len, row)) - 1)
    return count if count >= APART and len(row) > 1 else 0


def _distinct(ordered: Sequence[np.ndarray]) -> int:
    """Tokens of sorted sequences, common beginnings once."""
    before, total = np.zeros(0, np.int32), 0
    for ids in ordered:
        total, before = total + len(ids) - forest.shared(before, ids), ids
    return total
