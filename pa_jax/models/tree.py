"""Index arithmetic of trees: where each node's tokens lie in a flat row, and what they may see.

A row of n holds one tree, laid out flat: the trunk's p slots, then g branches of c slots, then,
branch by branch, j leaves of q slots. Slots past a node's length are padding, whatever their ids.
"""

import dataclasses

import jax
import jax.numpy as jnp

from pa_jax.core.typing import Array, Bool, Int


@dataclasses.dataclass(frozen=True)
class TreeSpec:
    """Static shape of a tree: slots a node, and nodes a parent. Zero branches: a plain sequence."""

    trunk: int
    branches: int = 0
    branch: int = 0
    leaves: int = 0
    leaf: int = 0

    @property
    def branch_slots(self) -> int:
        return self.branches * self.branch

    @property
    def leaf_slots(self) -> int:
        return self.branches * self.leaves * self.leaf

    @property
    def slots(self) -> int:
        return self.trunk + self.branch_slots + self.leaf_slots


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TreeLengths:
    """Real tokens of every node: trunk [n], branch [n, g], leaf [n, g, j]."""

    trunk: Int[Array, " n"]
    branch: Int[Array, "n g"]
    leaf: Int[Array, "n g j"]


def lengths(trunk, branch=None, leaf=None) -> TreeLengths:
    """TreeLengths with empty branches and leaves where none are given."""
    trunk = jnp.asarray(trunk, jnp.int32)
    n = trunk.shape[0]
    branch = jnp.zeros((n, 0), jnp.int32) if branch is None else jnp.asarray(branch, jnp.int32)
    g = branch.shape[1]
    leaf = jnp.zeros((n, g, 0), jnp.int32) if leaf is None else jnp.asarray(leaf, jnp.int32)
    return TreeLengths(trunk, branch, leaf)


def join(spec: TreeSpec, trunk: Array, branch: Array | None, leaf: Array | None) -> Array:
    """Flat rows [n, t, ...] of node arrays [n, p, ...], [n, g, c, ...], [n, g, j, q, ...]."""
    n, rest = trunk.shape[0], trunk.shape[2:]
    parts = [trunk]
    if spec.branch_slots:
        parts.append(branch.reshape(n, spec.branch_slots, *rest))
    if spec.leaf_slots:
        parts.append(leaf.reshape(n, spec.leaf_slots, *rest))
    return jnp.concatenate(parts, axis=1)


def split(spec: TreeSpec, flat: Array) -> tuple[Array, Array, Array]:
    """Node arrays [n, p, ...], [n, g, c, ...], [n, g, j, q, ...] of flat rows; inverse of join."""
    n, rest = flat.shape[0], flat.shape[2:]
    p, b = spec.trunk, spec.trunk + spec.branch_slots
    branch = flat[:, p:b].reshape(n, spec.branches, spec.branch, *rest)
    leaf = flat[:, b:].reshape(n, spec.branches, spec.leaves, spec.leaf, *rest)
    return flat[:, :p], branch, leaf


def positions(spec: TreeSpec, lens: TreeLengths) -> Int[Array, "n t"]:
    """Rotary position of every slot: its depth along its own path."""
    n = lens.trunk.shape[0]
    trunk_np = jnp.broadcast_to(jnp.arange(spec.trunk), (n, spec.trunk))
    branch_ngc = jnp.broadcast_to(
        lens.trunk[:, None, None] + jnp.arange(spec.branch), (n, spec.branches, spec.branch)
    )
    start_ng = lens.trunk[:, None] + lens.branch
    leaf_ngjq = jnp.broadcast_to(
        start_ng[:, :, None, None] + jnp.arange(spec.leaf),
        (n, spec.branches, spec.leaves, spec.leaf),
    )
    return join(spec, trunk_np, branch_ngc, leaf_ngjq)


def real(spec: TreeSpec, lens: TreeLengths) -> Bool[Array, "n t"]:
    """Which slots hold tokens."""
    return join(
        spec,
        jnp.arange(spec.trunk)[None] < lens.trunk[:, None],
        jnp.arange(spec.branch) < lens.branch[..., None],
        jnp.arange(spec.leaf) < lens.leaf[..., None],
    )


def visible(spec: TreeSpec, query, key):
    """Whether slot `query` may attend to slot `key`, padding aside: ancestors and own past.

    Plain integer arithmetic on arrays that broadcast (numpy or JAX), so that the same function is
    the oracle's mask and the mask that Splash computes block by block.
    """
    p, c, q = spec.trunk, max(spec.branch, 1), max(spec.leaf, 1)
    b = p + spec.branch_slots
    leaves = max(spec.leaves, 1)
    past = key <= query
    to_trunk = key < p
    query_branch_node = (query - p) // c
    key_branch_node = (key - p) // c
    query_leaf_node = (query - b) // q
    key_leaf_node = (key - b) // q
    key_is_branch = (key >= p) & (key < b)
    query_is_branch = (query >= p) & (query < b)
    own_branch = key_is_branch & (
        (query_is_branch & (query_branch_node == key_branch_node))
        | ((query >= b) & (query_leaf_node // leaves == key_branch_node))
    )
    own_leaf = (query >= b) & (key >= b) & (query_leaf_node == key_leaf_node)
    return past & (to_trunk | own_branch | own_leaf)


def trunk_end(lens: TreeLengths) -> Int[Array, " n"]:
    """Slot of the last trunk token, which predicts every branch's first."""
    return jnp.maximum(lens.trunk - 1, 0)


def branch_predictors(spec: TreeSpec, lens: TreeLengths) -> Int[Array, "n g c"]:
    """Slot whose hidden state predicts each branch token."""
    n = lens.trunk.shape[0]
    own = jnp.arange(spec.branch_slots).reshape(spec.branches, spec.branch) + spec.trunk - 1
    own = jnp.broadcast_to(own, (n, spec.branches, spec.branch))
    first = jnp.arange(spec.branch) == 0
    return jnp.where(first, trunk_end(lens)[:, None, None], own)


def branch_end(spec: TreeSpec, lens: TreeLengths) -> Int[Array, "n g"]:
    """Slot of the last token on each path down to its branch (the trunk's if it is empty)."""
    start = spec.trunk + jnp.arange(spec.branches) * spec.branch
    end = start + lens.branch - 1
    return jnp.where(lens.branch > 0, end, trunk_end(lens)[:, None])


def leaf_predictors(spec: TreeSpec, lens: TreeLengths) -> Int[Array, "n g j q"]:
    """Slot whose hidden state predicts each leaf token."""
    n = lens.trunk.shape[0]
    shape = (spec.branches, spec.leaves, spec.leaf)
    own = jnp.arange(spec.leaf_slots).reshape(shape) + spec.trunk + spec.branch_slots - 1
    own = jnp.broadcast_to(own, (n, *shape))
    first = jnp.arange(spec.leaf) == 0
    return jnp.where(first, branch_end(spec, lens)[:, :, None, None], own)


def leaf_end(spec: TreeSpec, lens: TreeLengths) -> Int[Array, "n g j"]:
    """Slot of each leaf's last token (its branch's last if the leaf is empty)."""
    start = spec.trunk + spec.branch_slots
    node = jnp.arange(spec.branches * spec.leaves).reshape(spec.branches, spec.leaves)
    end = start + node * spec.leaf + lens.leaf - 1
    return jnp.where(lens.leaf > 0, end, branch_end(spec, lens)[..., None])
