"""Sums of arrays: those of a slow count word by word, however they are cut, and no change hides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core import mesh as meshes
from pa_jax.core import sums

DTYPES = ("float32", "bfloat16", "int8", "uint32", "bool", "float16", "int32")


def slow(x: np.ndarray) -> str:
    """A word at a time, in Python's integers."""
    words = np.ascontiguousarray(x).view(f"uint{8 * x.dtype.itemsize}").reshape(-1)
    totals = [0, 0]
    for place, word in enumerate(map(int, words)):
        for i, odd in enumerate((0x9E3779B1, 0x85EBCA77)):
            mixed = word ^ (place * odd % 2**32)
            mixed = (mixed ^ mixed >> 16) * 0x7FEB352D % 2**32
            mixed = (mixed ^ mixed >> 15) * 0x846CA68B % 2**32
            totals[i] += mixed ^ mixed >> 16
    return "".join(f"{total % 2**32:08x}" for total in totals)


def array(dtype: str, shape: tuple[int, ...]) -> jax.Array:
    drawn = 100 * jax.random.normal(jax.random.key(0), shape)
    return (drawn > 0) if dtype == "bool" else drawn.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (7,), (3, 5, 2)])
def test_equal_a_slow_count(dtype, shape):
    x = array(dtype, shape)
    assert sums.of({"x": x}) == {"x": slow(np.asarray(x))}


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_large_arrays_are_summed_by_the_block(dtype, monkeypatch):
    monkeypatch.setattr(sums, "_BLOCK", 8)
    for shape in ((9,), (3, 5), (16,), (2, 3, 4)):
        x = array(dtype, shape)
        assert sums.of({"x": x}) == {"x": slow(np.asarray(x))}, shape


def test_the_same_however_it_is_cut():
    mesh = meshes.make(meshes.MeshConfig(fsdp=4, tp=2, ep=1))
    x = array("bfloat16", (8, 6))
    want = sums.of({"x": x})
    for spec in (("fsdp", "tp"), ("tp", None), ()):
        cut = jax.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))
        assert sums.of({"x": cut}) == want


def test_every_flipped_bit_and_swapped_pair_shows():
    x = np.asarray(array("float32", (40,)))
    want, seen = sums.of({"x": jnp.asarray(x)})["x"], set()
    for place in range(0, 40, 3):
        for bit in range(0, 32, 5):
            words = x.view(np.uint32).copy()
            words[place] ^= np.uint32(1 << bit)
            seen.add(sums.of({"x": jnp.asarray(words)})["x"])
    assert want not in seen and len(seen) == 14 * 7
    swapped = x.copy()
    swapped[[3, 17]] = swapped[[17, 3]]
    negated = x.copy()
    negated[[3, 17]] *= -1  # the same bit of two words
    for other in (swapped, negated, np.roll(x, 1), np.zeros_like(x)):
        assert sums.of({"x": jnp.asarray(other)})["x"] != want
