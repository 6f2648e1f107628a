"""Sequences whose items are made when they are asked for: nothing is held."""

import bisect
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Numbered(Sequence[T]):
    """`count` items by number, as `make` makes them at each access."""

    def __init__(self, count: int, make: Callable[[int], T]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> T:  # type: ignore[override]  # no slices
        return self._make(range(self._count)[operator.index(index)])


def joined(parts: Sequence[Sequence[T]], counts: Sequence[int] | None = None) -> Numbered[T]:
    """The parts one after another; part k counts `counts[k]` items, begun anew as it ends."""
    starts = [0, *itertools.accumulate(counts or map(len, parts))]

    def make(index: int) -> T:
        part = bisect.bisect_right(starts, index) - 1
        return parts[part][(index - starts[part]) % len(parts[part])]

    return Numbered(starts[-1], make)


def counts(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """How often each part is drawn from in a pass: in the weights' shares, all of each at least.

    The part that is longest for its weight goes in once, the others begin anew.
    """
    longest = max(size / weight for size, weight in zip(sizes, weights, strict=True))
    return [max(size, round(longest * w)) for size, w in zip(sizes, weights, strict=True)]
