"""Several sequences of episodes as one, in given shares."""

import bisect
import itertools
import operator
from collections.abc import Sequence

from pa_jax.dialogue import schema


class Joined(Sequence[schema.Episode]):
    """The parts one after another; part k counts `counts[k]` episodes, begun anew as it ends."""

    def __init__(
        self, parts: Sequence[Sequence[schema.Episode]], counts: Sequence[int] | None = None
    ) -> None:
        self._parts = parts
        self._starts = [0, *itertools.accumulate(counts or map(len, parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> schema.Episode:  # type: ignore[override]  # no slices
        index = operator.index(index)
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"episode {index} of {len(self)}")
        part = bisect.bisect_right(self._starts, at) - 1
        return self._parts[part][(at - self._starts[part]) % len(self._parts[part])]


def counts(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """How often each part is drawn from in a pass: in the weights' shares, all of each at least.

    The part that is longest for its weight goes in once, the others begin anew.
    """
    longest = max(size / weight for size, weight in zip(sizes, weights, strict=True))
    return [max(size, round(longest * w)) for size, w in zip(sizes, weights, strict=True)]
