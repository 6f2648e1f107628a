"""Which array axis lies on which mesh axis, decided by one table of logical axis names.

A parameter names its axes where it is made, `nnx.Param(x, axes=("layers", "embed", "mlp"))`; an
optimiser made by `nnx.Optimizer` inherits them. A dimension that its mesh axis does not divide (3
key/value heads on tp=2) is replicated instead: decided by shape alone, logged once, and visible
in `layout`.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core.typing import Array, Shaped

Rules = Mapping[str, str | None]

TRAIN_RULES: Rules = {
    "rows": "fsdp",
    "embed": "fsdp",
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
# Activations. The output projection of scoring is cut by vocabulary over every chip: neither logits
# nor the whole embedding cross the wire.
ACTIVATION_RULES: Mapping[str, tuple[str, ...]] = {"rows": ("fsdp",), "all_vocab": ("fsdp", "tp")}
# Decoding reads every weight at every token: parameters are whole along fsdp, only rows are cut.
INFER_RULES: Rules = {**TRAIN_RULES, "embed": None}


def spec(
    axes: Sequence[str | None],
    shape: Sequence[int],
    mesh: jax.sharding.Mesh,
    rules: Rules,
    name: str = "array",
) -> PartitionSpec:
    """The mesh axis of each dimension; `name` is for the error message."""
    if len(axes) != len(shape):
        raise ValueError(
            f"{name}: axes {tuple(axes)} name {len(axes)} dimensions, its shape {tuple(shape)} has "
            f"{len(shape)}; name every dimension, None where it is never cut."
        )
    parts = tuple(_part(a, n, mesh, rules, name) for a, n in zip(axes, shape, strict=True))
    used = [p for p in parts if p is not None]
    if len(set(used)) != len(used):
        raise ValueError(
            f"{name}: axes {tuple(axes)} use one mesh axis twice, {parts}; rename one of them or "
            "set it to None."
        )
    return PartitionSpec(*parts)


def shardings(abstract_state: Any, mesh: jax.sharding.Mesh, rules: Rules) -> Any:
    """The same tree with a NamedSharding in place of each array or abstract array.

    Leaves are nnx Variables with `axes` metadata; scalars need none and are replicated.
    """
    leaves, tree = _named_leaves(abstract_state)
    made = []
    for name, leaf in leaves:
        sharding = NamedSharding(mesh, _leaf_spec(name, leaf, mesh, rules))
        made.append(leaf.replace(sharding) if isinstance(leaf, nnx.Variable) else sharding)
    return jax.tree.unflatten(tree, made)


def constrain(x: Shaped[Array, "..."], *axes: str | None) -> Shaped[Array, "..."]:
    """`x` laid out by ACTIVATION_RULES on the mesh set by `jax.set_mesh`; as it is without one."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    wanted = [ACTIVATION_RULES[axis] if axis else () for axis in axes]
    parts = [
        names if names and size % math.prod(mesh.shape[name] for name in names) == 0 else None
        for names, size in zip(wanted, x.shape, strict=True)
    ]
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*parts))


def layout(state: Any, mesh: jax.sharding.Mesh, rules: Rules) -> dict[str, str]:
    """Path -> "float32[30,576,1536] layers:-, embed:fsdp, mlp:tp", sorted: for golden files."""
    lines = {}
    for name, leaf in _named_leaves(state)[0]:
        value = _value(leaf)
        parts = _leaf_spec(name, leaf, mesh, rules)
        axes = _axes(leaf) or ()
        cut = ", ".join(f"{a or '_'}:{p or '-'}" for a, p in zip(axes, parts, strict=True))
        lines[name] = f"{value.dtype}[{','.join(map(str, value.shape))}] {cut}".strip()
    return dict(sorted(lines.items()))


def host_to_global(
    array: Shaped[np.ndarray, "..."], mesh: jax.sharding.Mesh, part: PartitionSpec
) -> Shaped[Array, "..."]:
    """A global array from what this process holds: its own rows where `part` cuts, else all."""
    here = jax.process_count()
    for dim, names in enumerate(part):
        names = (names,) if isinstance(names, str) else names or ()
        n = math.prod(mesh.shape[name] for name in names)
        if array.shape[dim] * (here if names else 1) % n:
            raise ValueError(
                f"dimension {dim} of {array.shape} ({here} processes) does not divide by "
                f"{'x'.join(names)}={n}; use {max(1, array.shape[dim] * here // n) * n} rows "
                "over all processes or change the mesh."
            )
    return jax.make_array_from_process_local_data(NamedSharding(mesh, part), array)


def _part(
    axis: str | None, size: int, mesh: jax.sharding.Mesh, rules: Rules, name: str
) -> str | None:
    if axis is None:
        return None
    if axis not in rules:
        raise ValueError(
            f"{name}: unknown logical axis {axis!r}; choose one of {sorted(rules)}, or add it to "
            "the tables in core/sharding.py."
        )
    target = rules[axis]
    if target is None:
        return None
    if target not in mesh.shape:
        raise ValueError(
            f"{name}: axis {axis!r} is mapped to mesh axis {target!r}; the mesh has "
            f"{tuple(mesh.axis_names)}. Make it with core/mesh.make."
        )
    if size % mesh.shape[target]:
        _log_replicated(axis, size, target, mesh.shape[target])
        return None
    return target


@functools.cache
def _log_replicated(axis: str, size: int, target: str, n: int) -> None:
    logging.warning("axis %s of %d is not cut: %s=%d does not divide it", axis, size, target, n)


def _leaf_spec(name: str, leaf: Any, mesh: jax.sharding.Mesh, rules: Rules) -> PartitionSpec:
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
