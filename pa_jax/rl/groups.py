"""Groups of completions packed into rows, and numbers a completion or a token spread over them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pa_jax.core.typing import Bool, Int, Shaped
from pa_jax.infer import forest
from pa_jax.models import flops


@dataclasses.dataclass(frozen=True)
class Groups:
    """Packed rows in calls of one a data shard, and whose tokens they hold.

    rows    forest.Forest of [calls, shards, ...] host arrays
    place   where each completion token's log-prob stands among its row's wanted; tokens that
            completions of a prompt begin with alike share a place
    whose   prompt, completion and place in the completion of each
    number  which of its row's completions each is of
    real    which of the u entries are tokens
    count   calls that hold rows; those behind them are empty
    size    what a pass over the rows costs
    """

    rows: forest.Forest
    place: Int[np.ndarray, "x m u"]
    whose: tuple[Int[np.ndarray, "x m u"], Int[np.ndarray, "x m u"], Int[np.ndarray, "x m u"]]
    number: Int[np.ndarray, "x m u"]
    real: Bool[np.ndarray, "x m u"]
    count: int
    size: flops.Size

    @property
    def tokens(self) -> int:
        """Real slots."""
        return self.size.tokens

    def of_tokens(self, values_ngc: Shaped[np.ndarray, "n g c"]) -> Shaped[np.ndarray, "x m u"]:
        """A number a completion token, where the tokens are; 0 elsewhere."""
        return np.where(self.real, values_ngc[self.whose], 0).astype(values_ngc.dtype)

    def of_completions(self, values_ng: Shaped[np.ndarray, "n g"]) -> Shaped[np.ndarray, "x m u"]:
        """A number a completion, at each of its tokens; 0 elsewhere."""
        return np.where(self.real, values_ng[self.whose[:2]], 0).astype(values_ng.dtype)

    @property
    def slots(self) -> int:
        """Slots that are computed, padding included."""
        return self.count * int(np.prod(self.rows.ids.shape[1:]))

    @property
    def fill(self) -> float:
        """Share of the computed slots that hold tokens."""
        return self.tokens / max(self.slots, 1)


def pack(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[Sequence[int]]],
    *,
    lengths: Sequence[int],
    shards: int = 1,
    calls: int = 1,
) -> Groups:
    """Rows of one length, the one of `lengths` that takes fewest slots; several prompts a row.

    As many calls as `roomy` says.
    """
    trees = [
        [forest.follows(prompt, ids) for ids in row]
        for prompt, row in zip(prompts, completions, strict=True)
    ]
    packed = forest.pack(trees, lengths, even=True)
    count = -(-len(packed.rows) // shards)
    shape = roomy(count, calls), shards
    length = packed.rows[0].ids.shape[-1] if packed.rows else min(lengths)
    rows = forest.stacked(packed.rows, shape[0] * shards, length=length)
    tokens_of = np.zeros(shape[0] * shards, np.int64)
    for tree in packed.places:
        for row, places in tree:
            tokens_of[row] += len(places)
    # Seldom more than slots: only where most completions are the same.
    width = max(-(-int(tokens_of.max(initial=0)) // length), 1) * length
    place = np.zeros((shape[0] * shards, width), np.int32)
    whose = np.zeros((3, *place.shape), np.int32)
    number, seen = np.zeros(place.shape, np.int32), np.zeros(len(place), np.int32)
    real, used = np.zeros(place.shape, bool), np.zeros(len(place), np.int32)
    for i, tree in enumerate(packed.places):
        for k, (row, places) in enumerate(tree):
            at = slice(used[row], used[row] + len(places))
            place[row, at], real[row, at] = places, True
            whose[0, row, at], whose[1, row, at], whose[2, row, at] = i, k, np.arange(len(places))
            number[row, at] = seen[row]
            used[row] += len(places)
            seen[row] += len(places) > 0

    def cut(x: np.ndarray) -> np.ndarray:
        return x.reshape(*shape, *x.shape[1:])

    leaves = dataclasses.astuple(rows)
    return Groups(
        forest.Forest(*map(cut, leaves)),
        cut(place),
        (cut(whose[0]), cut(whose[1]), cut(whose[2])),
        cut(number),
        cut(real),
        count,
        packed.size,
    )


def roomy(count: int, calls: int) -> int:
    """Calls that an update of `count` has room for: a multiple of `calls`, few shapes for few
    programs; but one where one is enough, which keeps no sum of gradients beside them.
    """
    return count if count == 1 else -(-count // calls) * calls


def completions_of(
    ids_ngc: Int[np.ndarray, "n g c"], length_ng: Int[np.ndarray, "n g"]
) -> list[list[list[int]]]:
    """Padded completions as lists."""
    return [
        [ids[:length].tolist() for ids, length in zip(*row, strict=True)]
        for row in zip(ids_ngc, length_ng, strict=True)
    ]
