"""int8 weights: one symmetric scale for each output channel, activations as they are.

Block matrices (experts included), embedding and head become int8 under their own names; their
float32 scales stand beside them, in `scales` of Block and Decoder. Norms, biases and the router,
which is small and decides discretely, keep their dtype. The embedding's scale is one a token: an
output channel where it is tied to the head.

Written here rather than with qwix: its post-training quantisation finds a weight by looking for
the multiplied array among the calling module's own attributes and replaces it there. Our blocks
are called on slices of stacked parameters inside `jax.lax.scan`, merged afresh for each layer, so
nothing would be kept, and what it makes carries no `axes`. All we need is the rounding below.
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from flax import nnx

from pa_jax.core.typing import Array, DTypeLike
from pa_jax.models import decoder, precision

LARGEST = 127


def quantise(module: decoder.Decoder) -> decoder.Decoder:
    """The same decoder with int8 weights; the given one keeps its own.

    Compiled one parameter at a time, so temporaries are at most that one in float32 (as seen on
    CPU). Runs under jit and nnx.eval_shape too. Adapters stay as they are.
    """
    if is_int8(module):
        raise ValueError("the module's weights are int8 already; quantise one with float weights.")
    made = copy(module)
    for owner, name, summed in _matrices(made):
        weight = getattr(owner, name)
        values, scale = _rounded(weight[...], summed)
        axes = weight.get_metadata()["axes"]
        kept = tuple(axis for i, axis in enumerate(axes) if i not in summed)
        setattr(owner, name, nnx.Param(values, axes=axes))
        owner.scales[name] = nnx.Param(scale, axes=kept)
    return made


def dequantise(module: decoder.Decoder) -> decoder.Decoder:
    """Weights times their scales in the norms' dtype; a module without int8 as it is."""
    if not is_int8(module):
        return module
    made = copy(module)
    dtype = made.final_norm[...].dtype
    for owner, name, summed in _matrices(made):
        weight, scale = getattr(owner, name), owner.scales[name]
        values = _widened(weight[...], scale[...], summed, dtype)
        setattr(owner, name, nnx.Param(values, axes=weight.get_metadata()["axes"]))
    made.scales, made.blocks.scales = nnx.Dict(), nnx.Dict()
    return made


def is_int8(module: decoder.Decoder) -> bool:
    """Whether the module's weights are int8."""
    return bool(module.scales)


def copy(module: decoder.Decoder) -> decoder.Decoder:
    """A module of its own that shares the arrays: setting its parameters leaves the given one's."""
    graph, state = nnx.split(module)
    return nnx.merge(graph, jax.tree.map(lambda x: x, state))


def _matrices(
    module: decoder.Decoder,
) -> Iterator[tuple[decoder.Decoder | decoder.Block, str, tuple[int, ...]]]:
    """(owner, name, axes that a product sums over) of every weight that becomes int8."""
    yield module, "embed", (1,)
    if not module.cfg.tied:
        yield module, "head", (0,)
    for name, inputs in decoder.PROJECTIONS.items():
        experts = bool(module.cfg.experts) and name.startswith("w_")
        first = 2 if experts else 1  # behind layers, and experts
        yield module.blocks, name, tuple(range(first, first + inputs))


@functools.partial(jax.jit, static_argnums=1)
def _rounded(weight: Array, summed: tuple[int, ...]) -> tuple[Array, Array]:
    weight = precision.matrix(weight)
    top = jnp.max(jnp.abs(weight), axis=summed, keepdims=True).astype(jnp.float32)
    scale = jnp.where(top > 0, top / LARGEST, 1.0)
    values = jnp.round(weight.astype(jnp.float32) / scale).astype(jnp.int8)
    return values, jnp.squeeze(scale, summed)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _widened(values: Array, scale: Array, summed: tuple[int, ...], dtype: DTypeLike) -> Array:
    return (values * jnp.expand_dims(scale, summed)).astype(dtype)
