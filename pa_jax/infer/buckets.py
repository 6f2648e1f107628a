"""Few padded shapes for many lengths, so that a run compiles a handful of programs."""

from collections.abc import Sequence

import numpy as np


def fit(length: int, buckets: Sequence[int], *, what: str) -> int:
    """Smallest bucket that holds `length`; ValueError names the largest allowed."""
    for bucket in sorted(buckets):
        if length <= bucket:
            return bucket
    raise ValueError(
        f"{what} of {length} tokens, at most {max(buckets)} are allowed; "
        "shorten it or add a larger bucket."
    )


def pad_rows(rows: Sequence[Sequence[int]], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Right-padded ids [b, width] int32 (zeros behind) and lengths [b]."""
    ids = np.zeros((len(rows), width), np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return ids, np.array([len(row) for row in rows], np.int32)
