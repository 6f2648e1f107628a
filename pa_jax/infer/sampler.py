"""Completions of many prompts under one model: packed, in calls of few shapes."""

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
from pa_jax.core.typing import Array, Int, Key
from pa_jax.infer import decode, forest, sampling

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
    ) -> None:
        """`model` is a LoadedModel (module, config, tokenizer).

        On a mesh its weights are laid out by INFER_RULES, as the dtypes they have. `key` is the
        config key that a message names for a prompt that is too long.
        """
        self.model, self.mesh, self.rows = model, mesh, rows
        self.lengths, self.key, self.prefilled = tuple(lengths), key, 0
        self.graph, state = nnx.split(model.module)
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
            forest.fit(len(prompt), self.lengths, what=f"prompt {i} (see {self.key})")
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
        slots = forest.fit(max_new_tokens, WIDTHS, what="max_new_tokens")
        each = -(-min(self.rows, _up(len(prompts), self.rows)) // self.shards)
        made, root = packed(prompts, each, shards=self.shards, lengths=self.lengths, key=self.key)
        self.prefilled += made.ids.size
        missing = self.shards * each - len(prompts)
        key_ng = key_ng[np.r_[np.arange(len(prompts)), np.zeros(missing, int)]]
        with meshes.using(self.mesh):
            out = decode.rollout(
                self.graph,
                self.state,
                jax.tree.map(lambda x: sharding.put(x, self.mesh, "rows"), made),
                key_ng,
                how,
                (jnp.int32(max_new_tokens), self.ends()),
                root=root,
                slots=slots,
                apart=self.apart,
            )
        out = sharding.fetch(out)
        return decode.Decoded(
            out.ids[: len(prompts), :, :max_new_tokens],
            out.lengths[: len(prompts)],
            out.logprobs[: len(prompts), :, :max_new_tokens],
            out.finished[: len(prompts)],
        )

    def _calls(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Prompts that share most side by side, as many a call as go in at once."""
        order = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]))
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


def packed(
    prompts: Sequence[Sequence[int]],
    each: int,
    *,
    shards: int = 1,
    lengths: Sequence[int] = forest.LENGTHS,
    key: str = "lengths",
) -> tuple[decode.Prompts, int]:
    """`shards` rows of `each` prompts, and the slots of what the prompts of a row share."""
    arrays = [np.asarray(prompt, np.int32) for prompt in prompts]
    rows = [arrays[i * each : (i + 1) * each] for i in range(shards)]
    orders = [sorted(range(len(row)), key=lambda i: tuple(row[i])) for row in rows]
    least = [_in_common(row) for row in rows]
    root = forest.fit(max(least), lengths, what="root") if max(least) else 0
    total = [_distinct([row[i] for i in order]) for row, order in zip(rows, orders, strict=True)]
    length = forest.fit(max(total), lengths, what=f"prompts of a row (see {key})")
    longest = max(
        len(ids) - common for row, common in zip(rows, least, strict=True) for ids in row
    )
    width = forest.fit(longest, lengths, what="prompt")
    out = decode.Prompts(
        *(np.zeros((shards, length), np.int32) for _ in range(3)),
        np.array(least, np.int32),
        np.zeros((shards, each, width), np.int32),
        np.zeros((shards, each), np.int32),
    )
    for r, (row, order) in enumerate(zip(rows, orders, strict=True)):
        made = forest.laid_out([row[i] for i in order], length)
        out.ids[r], out.end[r], out.position[r] = made.ids, made.end, made.position
        for i, slots in zip(order, made.slots, strict=True):
            own = slots[least[r] :]
            out.own[r, i, : len(own)], out.length[r, i] = own, len(own)
    return out, root


def _up(count: int, most: int) -> int:
    """Prompts a call: 1, a quarter of the most, or the most: few programs, and a lone one cheap."""
    return next(n for n in (1, max(most // 4, 1), most) if n >= min(count, most))


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
