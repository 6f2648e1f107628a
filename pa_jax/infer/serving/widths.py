"""How wide the programs over a trunk are: few of them, none much wider than what it holds."""

import itertools

NARROWEST = 128  # trunk slots of the smallest program


def of(trunk: int) -> tuple[int, ...]:
    """`trunk` and its halves down to NARROWEST, smallest first."""
    found = [trunk]
    while found[-1] % (2 * NARROWEST) == 0:
        found.append(found[-1] // 2)
    return tuple(reversed(found))


def entries(trunk: int) -> tuple[int, ...]:
    """Prompt slots of the programs that let requests in: a prefill costs what its slots cost.

    The widths, the middle between two, and quarters of the smallest.
    """
    found = of(trunk)
    short = () if found[0] % NARROWEST else (found[0] // 4, found[0] // 2)
    middles = ((a + b) // 2 for a, b in itertools.pairwise(found))
    return tuple(sorted({*found, *middles, *short}))
