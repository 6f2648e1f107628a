"""Random streams: every draw is keyed by (seed, purpose, step, prompt).

A stopped and resumed run therefore draws what the uninterrupted run draws, and a prompt's draws do
not depend on where in the batch it stands or on how the batch is sharded, as long as row ids name
the prompt and not the position.
"""

import collections
import enum
import hashlib
from collections.abc import Sequence

import jax
import numpy as np

from pa_jax.core.typing import Array, Int, Key, Shaped


class Stream(enum.IntEnum):
    """Purposes of random numbers. The values enter the keys: add new ones, never renumber."""

    ROLLOUT = 1
    EVAL = 2
    INIT = 3
    DATA = 4
    LORA = 5
    GENERATE = 6
    JUDGE = 7
    BENCH = 8


def check_seed(seed: int) -> None:
    """Raises ValueError on a seed that no stream can have."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed}: allowed are 0 to 2**32 - 1; choose another seed.")


def stream_key(
    seed: int | Shaped[Array, ""], stream: Stream, step: int | Int[Array, ""]
) -> Key[Array, ""]:
    """The key of one purpose at one step; `step` may be traced, and so may `seed`, as uint32.

    The generator is fixed here (threefry): its draws do not depend on sharding or on a flag.
    """
    if not isinstance(seed, jax.Array):
        check_seed(seed)
    key = jax.random.key(seed, impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, int(stream)), step)


def row_keys(key: Key[Array, ""], row_ids: Shaped[Array | np.ndarray, " n"]) -> Key[Array, " n"]:
    """One key a row, from the row's id alone (32 bits of it). Equal ids draw equal numbers."""
    if not np.issubdtype(row_ids.dtype, np.integer):
        raise TypeError(f"row_ids are {row_ids.dtype}: pass integers, as row_ids() makes them.")
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, row_ids.astype(np.uint32))


def row_ids(names: Sequence[str]) -> Shaped[np.ndarray, " n"]:
    """Stable 32-bit ids of prompts by name; the k-th repetition of a name gets its own id."""
    seen: collections.Counter[str] = collections.Counter()
    ids = np.zeros(len(names), np.uint32)
    for i, name in enumerate(names):
        digest = hashlib.sha256(f"{seen[name]}\0{name}".encode()).digest()
        ids[i] = int.from_bytes(digest[:4], "little")
        seen[name] += 1
    return ids
