"""Which array axis lies on which mesh axis, decided by one table of logical axis names.

A parameter names its axes where it is made, `nnx.Param(x, axes=("layers", "embed", "mlp"))`; an
optimiser made by `nnx.Optimizer` inherits them. A dimension that its mesh axis does not divide (3
key/value heads on tp=2) is replicated instead: decided by shape alone, logged once, and visible
in `layout`.

The data axes are fsdp and ep: rows and dense parameters are cut over both, experts over ep alone
(their remaining axes over fsdp: a mesh axis that an earlier dimension took is left out). So a
dense policy and a judge with experts share one mesh.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core.typing import Array, Shaped

AnyMesh = jax.sharding.Mesh | jax.sharding.AbstractMesh
Rules = Mapping[str, str | tuple[str, ...] | None]

DATA = ("fsdp", "ep")
TRAIN_RULES: Rules = {
    "rows": DATA,
    "embed": DATA,
    "heads": "tp",
    "kv_heads": "tp",
    "mlp": "tp",
    "vocab": "tp",
    "experts": "ep",
    "layers": None,
    "head_dim": None,
    "norm": None,
    "rank": None,
}
# Decoding reads every weight at every token: dense parameters are whole along the data axes.
INFER_RULES: Rules = {**TRAIN_RULES, "embed": None}
# Activations. Rows stay where they are, up to their logits: what crosses the wire does not grow
# with the number of rows, so neither with that of chips.
ACTIVATION_RULES: Rules = {
    "rows": DATA,
    "kv_heads": "tp",
    "vocab": "tp",
}


def spec(
    axes: Sequence[str | None],
    shape: Sequence[int],
    mesh: AnyMesh,
    rules: Rules,
    name: str = "array",
) -> PartitionSpec:
    """The mesh axis of each dimension; `name` is for the error message."""
    if len(axes) != len(shape):
        raise ValueError(
            f"{name}: axes {tuple(axes)} name {len(axes)} dimensions, its shape {tuple(shape)} has "
            f"{len(shape)}; name every dimension, None where it is never cut."
        )
    parts, used = [], set[str]()
    for axis, size in zip(axes, shape, strict=True):
        part = _part(axis, size, mesh, rules, name, used)
        if used & {*part}:
            raise ValueError(
                f"{name}: axes {tuple(axes)} use mesh axis {part[0]!r} twice; rename one of them "
                "or set it to None."
            )
        used |= {*part}
        parts.append(_entry(part))
    return PartitionSpec(*parts)


def shardings(abstract_state: Any, mesh: AnyMesh, rules: Rules) -> Any:
    """The same tree with a NamedSharding in place of each array or abstract array.

    Leaves are nnx Variables with `axes` metadata; scalars need none and are replicated.
    """
    leaves, tree = _named_leaves(abstract_state)
    made = []
    for name, leaf in leaves:
        sharding = NamedSharding(mesh, _leaf_spec(name, leaf, mesh, rules))
        made.append(leaf.replace(sharding) if isinstance(leaf, nnx.Variable) else sharding)
    return jax.tree.unflatten(tree, made)


def activation_spec(
    axes: Sequence[str | None], shape: Sequence[int], mesh: AnyMesh
) -> PartitionSpec:
    """ACTIVATION_RULES' mesh axes of each dimension; whole where they do not divide it."""
    parts = []
    for axis, size in zip(axes, shape, strict=True):
        names = _names(ACTIVATION_RULES[axis]) if axis else ()
        parts.append(_entry(names if size % _count(mesh, names) == 0 else ()))
    return PartitionSpec(*parts)


def constrain(x: Shaped[Array, "..."], *axes: str | None) -> Shaped[Array, "..."]:
    """`x` laid out by ACTIVATION_RULES on the mesh set by `jax.set_mesh`; as it is without one."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    return jax.lax.with_sharding_constraint(x, activation_spec(axes, x.shape, mesh))


def gathered(state: Any) -> Any:
    """One layer's parameters, brought together over the data axes just before they are used.

    `state` is a slice of stacked Variables, whose `axes` name the layers first. Left to itself XLA
    brings the rows' activations together instead on some meshes: three times the bytes of the
    reference's log-probs on v5e-64 (16.6 against 5.4 GB a chip).
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return state

    def together(leaf: nnx.Variable) -> nnx.Variable:
        value = leaf.get_value()
        part = spec((_axes(leaf) or ())[1:], value.shape, mesh, INFER_RULES)
        return leaf.replace(jax.lax.with_sharding_constraint(value, part))

    return jax.tree.map(together, state, is_leaf=lambda x: isinstance(x, nnx.Variable))


def row_parts(rows: int) -> int:
    """Into how many parts that many rows are cut on the mesh set by `jax.set_mesh`."""
    mesh = jax.sharding.get_abstract_mesh()
    parts = 1 if mesh.empty else _count(mesh, DATA)
    return parts if rows % parts == 0 else 1


def data_shards(mesh: AnyMesh | None) -> int:
    """Into how many parts a batch's rows are cut."""
    return 1 if mesh is None else _count(mesh, DATA)


def layout(state: Any, mesh: AnyMesh, rules: Rules) -> dict[str, str]:
    """Path -> "float32[30,576,1536] layers:-, embed:fsdp, mlp:tp", sorted: for golden files."""
    lines = {}
    for name, leaf in _named_leaves(state)[0]:
        value = _value(leaf)
        parts = _leaf_spec(name, leaf, mesh, rules)
        axes = _axes(leaf) or ()
        shown = ("+".join(_names(p)) or "-" for p in parts)
        cut = ", ".join(f"{a or '_'}:{p}" for a, p in zip(axes, shown, strict=True))
        lines[name] = f"{value.dtype}[{','.join(map(str, value.shape))}] {cut}".strip()
    return dict(sorted(lines.items()))


def put(
    array: Shaped[np.ndarray, "..."], mesh: jax.sharding.Mesh | None, *axes: str | None
) -> Shaped[Array, "..."]:
    """A host array that every process holds whole, laid out by ACTIVATION_RULES.

    Each process copies to its own devices only what lies on them. Without a mesh: one device.
    """
    if mesh is None:
        return jax.numpy.asarray(array)
    axes = (*axes, *[None] * (array.ndim - len(axes)))
    where = NamedSharding(mesh, activation_spec(axes, array.shape, mesh))
    return jax.make_array_from_callback(array.shape, where, lambda index: array[index])


def fetch(tree: Any) -> Any:
    """The tree with host arrays, whole on every process whoever holds their parts."""

    def whole(x: Any) -> Any:
        if isinstance(x, jax.Array) and not x.is_fully_addressable:
            return multihost_utils.process_allgather(x, tiled=True)
        return jax.device_get(x)

    return jax.tree.map(whole, tree)


def _part(
    axis: str | None, size: int, mesh: AnyMesh, rules: Rules, name: str, used: set[str]
) -> tuple[str, ...]:
    if axis is None:
        return ()
    if axis not in rules:
        raise ValueError(
            f"{name}: unknown logical axis {axis!r}; choose one of {sorted(rules)}, or add it to "
            "the tables in core/sharding.py."
        )
    target = _names(rules[axis])
    if len(target) > 1:
        target = tuple(x for x in target if x not in used)
    for x in target:
        if x not in mesh.shape:
            raise ValueError(
                f"{name}: axis {axis!r} is mapped to mesh axis {x!r}; the mesh has "
                f"{tuple(mesh.axis_names)}. Make it with core/mesh.make."
            )
    if size % _count(mesh, target):
        _log_replicated(axis, size, "x".join(target), _count(mesh, target))
        return ()
    return target


def _names(target: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (target,) if isinstance(target, str) else tuple(target or ())


def _entry(names: tuple[str, ...]) -> str | tuple[str, ...] | None:
    """A PartitionSpec's entry."""
    return (names[0] if len(names) == 1 else names) if names else None


def _count(mesh: AnyMesh, names: tuple[str, ...]) -> int:
    return math.prod(mesh.shape[name] for name in names)


@functools.cache
def _log_replicated(axis: str, size: int, target: str, n: int) -> None:
    logging.warning("axis %s of %d is not cut: %s=%d does not divide it", axis, size, target, n)


def _leaf_spec(name: str, leaf: Any, mesh: AnyMesh, rules: Rules) -> PartitionSpec:
    shape, axes = _value(leaf).shape, _axes(leaf)
    if axes is None and shape:
        raise ValueError(
            f"{name}: an array of shape {tuple(shape)} without axis names; make it with "
            f"nnx.Param(x, axes=(...)), {len(shape)} names, None where it is never cut."
        )
    return spec(axes or (), shape, mesh, rules, name)


def _named_leaves(state: Any) -> tuple[list[tuple[str, Any]], Any]:
    flat, tree = jax.tree_util.tree_flatten_with_path(
        state, is_leaf=lambda x: isinstance(x, nnx.Variable)
    )
    return [(jax.tree_util.keystr(p, simple=True, separator="."), leaf) for p, leaf in flat], tree


def _axes(leaf: Any) -> tuple[str | None, ...] | None:
    return leaf.get_metadata().get("axes") if isinstance(leaf, nnx.Variable) else None


def _value(leaf: Any) -> Any:
    return leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf
