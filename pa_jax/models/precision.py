"""Mixed precision: float32 activations times frozen bfloat16 matrices (arXiv 1710.03740).

A product rounds its activations, and on the way back its gradients, to bfloat16 and adds up in
float32. What stands between products (norms, softmax, residual stream, adapters) stays float32.
Half the bytes, and on processors with bfloat16 instructions about half the time: XLA's own product
of float32 and bfloat16 widens the matrix first, and one whose result is bfloat16 is slower than
float32 on a CPU.
"""

import functools
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from pa_jax.core.typing import Array, Float

MIXED = "mixed"
SAVED = "product"  # the name of products for checkpoint policies, which cannot look into them
DTYPES = (jnp.bfloat16, jnp.float32)  # of matrices, and of all that is small
BITS = jnp.uint16

_Module = TypeVar("_Module", bound=nnx.Module)


def is_narrower(weight: Array, x: Array) -> bool:
    """Whether their product is one of mixed precision."""
    return (weight.dtype, x.dtype) == DTYPES


def held(module: _Module) -> _Module:
    """The module with the bfloat16 matrices of which a pass takes parts as the integers of their
    bits; `matrix` reads them. The given one is used up.

    XLA's CPU compiler has no slice and no gather of bfloat16: to take one layer of a stack, or a
    few rows of the embedding, it widens all of it to float32, at every call.
    """
    graph, state = nnx.split(module)
    flat = [
        (path, _bits(leaf) if leaf.dtype == DTYPES[0] and path != ("head",) else leaf)
        for path, leaf in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(flat))


def matrix(x: Array) -> Array:
    """A matrix, or a part of one, as bfloat16 where it is held as bits; others as they are."""
    return jax.lax.bitcast_convert_type(x, DTYPES[0]) if x.dtype == BITS else x


def _bits(leaf: nnx.Variable) -> nnx.Variable:
    turned = jax.jit(lambda x: jax.lax.bitcast_convert_type(x, BITS), donate_argnums=0)
    return leaf.replace(turned(leaf[...]))


def product(
    x: Float[Array, "*b d"], weight: Float[Array, "d v"] | Float[Array, "v d"], *, along: int = 0
) -> Float[Array, "*b v"]:
    """x times a frozen bfloat16 matrix, float32, summed along that axis of the matrix.

    The matrix gets no gradient.
    """
    return checkpoint_name(_product(along, x, weight), SAVED)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(along: int, x: Array, weight: Array) -> Array:
    # Named axes, no transpose: XLA's CPU compiler would lay a bfloat16 matrix out anew.
    axes = ((x.ndim - 1,), (along,)), ((), ())
    return jax.lax.dot_general(
        x.astype(weight.dtype), weight, axes, preferred_element_type=jnp.float32
    )


def _forward(along: int, x: Array, weight: Array) -> tuple[Array, Array]:
    return _product(along, x, weight), weight


def _backward(along: int, weight: Array, grad: Array) -> tuple[Array, None]:
    return _product(1 - along, grad, weight), None


_product.defvjp(_forward, _backward)
