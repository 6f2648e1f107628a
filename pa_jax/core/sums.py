"""Sums that tell whether an array is bit for bit the one that was saved; made where it lies.

They are sums of integers, so the same however the array is cut over devices and hosts, and take
one pass over it in the chips' own memory: what was written need not be read back, and what is read
is checked from the file to the device. What is summed is each word mixed with its place, one to
one, so that any change of a single word shows, and others but for a chance of 2 to the -64.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core import sharding

_PLACES = (0x9E3779B1, 0x85EBCA77)  # odd: a place times it tells places apart
_BLOCK = 2**20


def of(arrays: Mapping[str, jax.Array]) -> dict[str, str]:
    """Each array's sum, as hexadecimal digits; of typed keys give their words."""
    # One after the other: of many sums over devices at once XLA's CPU runtime runs out of threads.
    made = {name: np.asarray(sharding.fetch(_sum(x))) for name, x in arrays.items()}
    return {name: "".join(f"{int(word):08x}" for word in x) for name, x in made.items()}


def _sum(x: jax.Array) -> jax.Array:
    return _of_blocks(x) if len(x.sharding.device_set) == 1 and x.size > _BLOCK else _of_all(x)


@jax.jit
def _of_all(x: jax.Array) -> jax.Array:
    place = jnp.zeros(x.shape, jnp.uint32)
    for axis, size in enumerate(x.shape):
        place = place * np.uint32(size % 2**32)
        place = place + jax.lax.broadcasted_iota(jnp.uint32, x.shape, axis)
    return _totals(_words(x), place)


@jax.jit
def _of_blocks(x: jax.Array) -> jax.Array:
    """The same, a block at a time: a program that is not optimised holds no copy of the array."""
    flat, size = x.reshape(-1), x.size

    def add(number: jax.Array, total: jax.Array) -> jax.Array:
        start = jnp.minimum(number * _BLOCK, size - _BLOCK)  # the last one overlaps
        words = _words(jax.lax.dynamic_slice_in_dim(flat, start, _BLOCK))
        place = start.astype(jnp.uint32) + jax.lax.iota(jnp.uint32, _BLOCK)
        new = place >= (number * _BLOCK).astype(jnp.uint32)
        return total + _totals(words, place, new)

    return jax.lax.fori_loop(0, -(-size // _BLOCK), add, jnp.zeros(2, jnp.uint32))


def _words(x: jax.Array) -> jax.Array:
    if x.dtype == jnp.bool_:
        x = x.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{8 * x.dtype.itemsize}"))
    return words.astype(jnp.uint32)


def _totals(words: jax.Array, place: jax.Array, new: jax.Array | bool = True) -> jax.Array:
    mixed = [jnp.where(new, _mixed(words ^ (place * np.uint32(odd))), 0) for odd in _PLACES]
    return jnp.stack([jnp.sum(x, dtype=jnp.uint32) for x in mixed])


def _mixed(x: jax.Array) -> jax.Array:
    """One to one, every bit of it from all bits (lowbias32 of C. Wellons' hash prospector)."""
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)
