"""How many rows go in a call, and what each is padded to: few shapes, none nearly empty."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

from pa_jax.evaluate import prompt_trees
from pa_jax.infer import buckets, score

ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # of a batch that is not full


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Limits of a call.

    most_rows  rows
    tokens     slots, padding included
    trunks     padded prompt lengths
    least      rows that the mesh divides between its data axes
    """

    most_rows: int
    tokens: int
    trunks: tuple[int, ...]
    least: int

    def rows(self, slots: int) -> int:
        """Rows of so many slots a call, as the mesh divides them."""
        rows = min(self.most_rows, max(1, self.tokens // slots))
        return -(-rows // self.least) * self.least

    def trunk(self, length: int) -> int:
        """The padded length of a prompt."""
        return buckets.fit(length, self.trunks, what="prompt")

    def nodes(self) -> tuple[int, ...]:
        """Padded lengths of what follows a trunk, the answer's first tokens included."""
        return tuple(sorted({*score.NODES, *self.trunks}))

    def row_count(self, count: int) -> int:
        """Rows that a batch of so many is padded to: of ROWS on each part of the mesh."""
        each = buckets.fit(-(-count // self.least), (*ROWS, self.most_rows), what="batch")
        return each * self.least


def even(items: Sequence, key: Callable, most: Callable) -> list[list]:
    """Batches of items of one key, none larger than `most` of its items."""
    out = []
    for _, found in itertools.groupby(sorted(items, key=key), key):
        same = list(found)
        out += parts(same, min(map(most, same)))
    return out


def parts(items: Sequence, most: int) -> list[list]:
    """Batches of at most so many, none nearly empty."""
    size = -(-len(items) // -(-len(items) // most))
    return [list(items[k : k + size]) for k in range(0, len(items), size)]


def alike(
    families: Sequence[prompt_trees.Family], sizes: Sizes
) -> list[list[tuple[int, prompt_trees.Level]]]:
    """(Row, level) that are decoded together: of as many branches, the widest first.

    One joins where that at most doubles the width of its beginning: a call more costs more.
    """
    rows = [(row, level) for row, family in enumerate(families) for level in family.levels]
    rows.sort(key=lambda one: (len(one[1].places), -one[1].length))
    groups: list[list[tuple[int, prompt_trees.Level]]] = []
    for row, level in rows:
        widest = groups[-1][0][1] if groups else None
        if (
            widest is None
            or len(widest.places) != len(level.places)
            or sizes.trunk(widest.length) > 2 * sizes.trunk(level.length)
        ):
            groups.append([])
        groups[-1].append((row, level))
    return [part for group in groups for part in parts(group, sizes.rows(1))]
