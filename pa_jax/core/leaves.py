"""The leaves of a tree by their paths, and as what a checkpoint holds them: keys as their words."""

from typing import Any

import jax


def named(tree: Any) -> dict[str, Any]:
    """Every leaf by its path, joined by dots."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    found = {jax.tree_util.keystr(p, simple=True, separator="."): x for p, x in flat}
    if len(found) != len(flat):
        raise ValueError(
            f"{len(flat)} leaves have {len(found)} different paths: a key that holds a dot equals "
            "another path; rename it."
        )
    return found


def arrays(state: Any) -> dict[str, jax.Array]:
    """`named` of a tree all of whose leaves are jax Arrays."""
    found = named(state)
    for name, x in found.items():
        if not isinstance(x, jax.Array):
            raise TypeError(
                f"{name} is a {type(x).__name__}: save jax Arrays; put the rest in meta."
            )
    return found


def describe(x: Any) -> str:
    """dtype[shape] of an array or a ShapeDtypeStruct."""
    return f"{x.dtype}[{','.join(map(str, x.shape))}]"


def plain(x: jax.Array) -> jax.Array:
    """The array as it is stored."""
    return jax.random.key_data(x) if _is_key(x) else x


def plain_abstract(x: Any) -> jax.ShapeDtypeStruct:
    """Shape, dtype and sharding of what is stored of it."""
    sharding = getattr(x, "sharding", None) or jax.sharding.SingleDeviceSharding(
        jax.local_devices()[0]
    )
    if _is_key(x):
        x = jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct(x.shape, x.dtype))
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def typed(got: jax.Array, asked: Any) -> jax.Array:
    """What was stored as what was asked for: a key again where that is one."""
    if not _is_key(asked):
        return got
    kinds: list[Any] = []  # a name, or JAX's own description
    abstract = jax.ShapeDtypeStruct(asked.shape, asked.dtype)
    jax.eval_shape(lambda key: kinds.append(jax.random.key_impl(key)), abstract)
    return jax.random.wrap_key_data(got, impl=kinds[0])


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
