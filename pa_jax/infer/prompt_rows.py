"""Prompts in rows: which go together, and what a row keeps of them for decoding.

A row's first slots hold its longest prompt. What its other prompts begin with as that one does is
one piece of keys for all (decode.Prompts); what each adds is its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pa_jax.core.typing import Int
from pa_jax.infer import decode, forest

APART = 16  # tokens in common from which a row's prompts keep them as a piece of their own
CALL = 1024  # slots that one more row is worth: the weights are read for each at every token


class PromptRow(NamedTuple):
    """Prompts of one row in the order in which it holds them.

    chosen  their numbers, the longest first, then those that leave it last
    root    tokens that each begins with as the first does, 0 where they are not kept apart
    own     most tokens that one has beyond those
    tokens  of all, what they share once
    """

    chosen: list[int]
    root: list[int]
    own: int
    tokens: int

    @property
    def most(self) -> int:
        """Slots that are kept for all."""
        return max(self.root, default=0)

    @property
    def cost(self) -> int:
        """Slots that are computed, and those that are kept for the branches."""
        return self.tokens + self.most + len(self.chosen) * self.own


def packed(
    prompts: Sequence[Sequence[int]],
    *,
    shards: int = 1,
    lengths: Sequence[int] = forest.LENGTHS,
    key: str = "lengths",
) -> tuple[decode.Prompts, int, Int[np.ndarray, " x"]]:
    """Prompts in rows as `Sampler.sample` has them, and the slots that are kept for all.

    And the number of the prompt at each place of each row, -1 where there is none.
    """
    arrays = [np.asarray(prompt, np.int32) for prompt in prompts]
    rows, each = in_rows(arrays, len(arrays), shards, max(lengths), apart=True)
    made, root = laid_out(arrays, rows, each, shards=shards, lengths=lengths, key=key)
    return made, root, places(rows, each, shards)


def in_rows(
    prompts: Sequence[np.ndarray], count: int, shards: int, longest: int, *, apart: bool
) -> tuple[list[PromptRow], int]:
    """Prompts in their order, as many a row, and how many: few rows a shard that hold them all.

    There is room for `count` of them.
    """
    each = -(-count // shards)
    while True:
        number = -(-count // (each * shards)) * shards
        cut = (range(k * each, min((k + 1) * each, len(prompts))) for k in range(number))
        rows = [row(prompts, some, apart=apart) for some in cut]
        if each == 1 or max(row.tokens for row in rows) <= longest:
            return rows, each
        each = -(-each // 2)


def places(rows: Sequence[PromptRow], each: int, shards: int) -> Int[np.ndarray, " x"]:
    """Numbers of a call's prompts, `each` a row and -1 where there is none; a row a shard."""
    places = np.full((-(-len(rows) // shards) * shards, each), -1, np.int32)
    for row, of in zip(rows, places, strict=False):
        of[: len(row.chosen)] = row.chosen
    return places.reshape(-1)


def laid_out(
    prompts: Sequence[np.ndarray],
    rows: Sequence[PromptRow],
    each: int,
    *,
    width: int = 1,
    shards: int,
    lengths: Sequence[int],
    key: str,
) -> tuple[decode.Prompts, int]:
    """The rows, `each` prompts a row, and the slots of what is kept apart of a row.

    What a prompt has of its own gets `width` slots or more.
    """
    tokens, own, most = (
        max(numbers)
        for numbers in zip(*((row.tokens, row.own, row.most) for row in rows), strict=True)
    )
    length = forest.fit(tokens, lengths, what=f"prompts of a row (see {key})")
    root = forest.fit(most, lengths, what="root") if most else 0
    width = forest.fit(max(own, width), lengths, what="prompt")
    count = -(-len(rows) // shards) * shards
    out = empty((count, each), length, width)
    for r, row in enumerate(rows):
        made = forest.laid_out([prompts[i] for i in row.chosen], length)
        out.ids[r], out.end[r], out.position[r] = made.ids, made.end, made.position
        for k, (slots, shared) in enumerate(zip(made.slots, row.root, strict=True)):
            adds = slots[shared:]
            out.root[r, k], out.length[r, k] = shared, len(adds)
            out.own[r, k, : len(adds)] = adds
    return out, root


def empty(rows: tuple[int, int], length: int, width: int) -> decode.Prompts:
    """So many rows of so many prompts each, without any."""
    zero = np.zeros((rows[0], length), np.int32)
    return decode.Prompts(
        zero,
        np.tile(np.arange(1, length + 1, dtype=np.int32), (rows[0], 1)),
        zero.copy(),
        np.zeros(rows, np.int32),
        np.zeros((*rows, width), np.int32),
        np.zeros(rows, np.int32),
    )


def row(prompts: Sequence[np.ndarray], chosen: Sequence[int], *, apart: bool) -> PromptRow:
    """The row of these prompts; `apart`: what they begin with is kept apart, where it is long."""
    if not len(chosen):
        return PromptRow([], [], 1, 1)
    first = max(chosen, key=lambda i: len(prompts[i]))
    common = {i: forest.shared(prompts[first], prompts[i]) for i in chosen}
    order = sorted(chosen, key=lambda i: (i != first, -common[i], sort_key(prompts[i])))
    root = [min(common[i], len(prompts[i]) - 1) for i in order]
    adds = [len(prompts[i]) - shared for i, shared in zip(order, root, strict=True)]
    most = max(root[1:], default=0)
    if most < APART or not apart:
        root, own = [0] * len(order), len(prompts[first])
    else:  # the first keeps to itself no more than the others do
        own = max(adds[1:])
        root[0] = max(most, len(prompts[first]) - own)
        own = max(own, len(prompts[first]) - root[0])
    return PromptRow(order, root, own, _distinct([prompts[i] for i in order]))


def sort_key(ids: np.ndarray) -> bytes:
    """Sorts as the sequences of tokens do."""
    return ids.astype(">u4").tobytes()


def _distinct(ordered: Sequence[np.ndarray]) -> int:
    """Tokens of sequences that stand beside those they share most with, beginnings once."""
    before, total = np.zeros(0, np.int32), 0
    for ids in ordered:
        total, before = total + len(ids) - forest.shared(before, ids), ids
    return total
