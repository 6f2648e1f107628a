"""Sums that tell whether an array is bit for bit the one that was saved; made where it lies.

They are sums of integers, so the same however the array is cut over devices and hosts, and take
one pass over it in the chips' own memory: what was written need not be read back, and what is read
is checked from the file to the device. Each word counts times an odd number that depends on its
place, so that any change of a single word shows, and others but for a chance of 2 to the -60.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.core import sharding

_SPREAD = 0x9E3779B1  # 2**32 over the golden ratio: neighbours get unlike factors


def of(arrays: Mapping[str, jax.Array]) -> dict[str, str]:
    """Each array's sum, as hexadecimal digits; of typed keys give their words."""
    made = sharding.fetch({name: _sum(x) for name, x in arrays.items()})
    return {name: "".join(f"{int(word):08x}" for word in np.asarray(x)) for name, x in made.items()}


@jax.jit
def _sum(x: jax.Array) -> jax.Array:
    if x.dtype == jnp.bool_:
        x = x.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{8 * x.dtype.itemsize}"))
    words = words.astype(jnp.uint32)
    place = jnp.zeros(x.shape, jnp.uint32)
    for axis, size in enumerate(x.shape):
        place = place * np.uint32(size % 2**32)
        place = place + jax.lax.broadcasted_iota(jnp.uint32, x.shape, axis)
    first = jnp.sum(words * (place * np.uint32(2) + np.uint32(1)), dtype=jnp.uint32)
    second = jnp.sum(words * (place * np.uint32(_SPREAD) | np.uint32(1)), dtype=jnp.uint32)
    return jnp.stack([first, second])
