"""What all prompts begin with, instructions say: computed once for as long as the weights stand.

Every data shard has a copy of its keys and values, so that nobody asks another one for them.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.core.typing import Array, Int
from pa_jax.models import attention, decoder

SLOTS = attention.BLOCK  # the root is padded to a multiple of these


@functools.partial(jax.jit, static_argnames="graph")
def computed(
    graph: nnx.GraphDef, state: Any, ids_rt: Int[Array, "r t"], length: Int[Array, ""]
) -> decoder.Context:
    """Keys and values of the first `length` tokens of each row; all rows are the same."""
    slot = jnp.arange(ids_rt.shape[1])
    end = jnp.where(slot < length, length, slot + 1)
    rows = (jnp.broadcast_to(x, ids_rt.shape) for x in (end, slot))
    kept = nnx.merge(graph, state).on_rows(ids_rt, *rows, keep=True).kept
    axes = (None, "rows", None, "kv_heads", None)
    k, v = (sharding.constrain(x, *axes) for x in kept)
    return decoder.Context((k, v), length)


class Root:
    """The ids of a root, and its context under the weights of whoever asks first."""

    def __init__(
        self, ids: Sequence[int], graph: nnx.GraphDef, mesh: jax.sharding.Mesh | None
    ) -> None:
        self.ids, self._graph, self._mesh = tuple(ids), graph, mesh
        self._context: decoder.Context | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def begins(self, ids: Sequence[int]) -> bool:
        """Whether `ids` are the root and more; never, where the root is empty."""
        n = len(self.ids)
        return 0 < n < len(ids) and tuple(ids[:n]) == self.ids

    def context(self, state: Any) -> decoder.Context:
        """Keys and values, a row a data shard; computed at the first call."""
        if self._context is None:
            row = np.zeros(-(-len(self.ids) // SLOTS) * SLOTS, np.int32)
            row[: len(self.ids)] = self.ids
            rows = np.repeat(row[None], sharding.data_shards(self._mesh), axis=0)
            length = jnp.int32(len(self.ids))
            with meshes.using(self._mesh):
                ids = sharding.put(rows, self._mesh, "rows")
                self._context = computed(self._graph, state, ids, length)
        return self._context

    def forget(self) -> None:
        """The weights are others: the next call computes it again."""
        self._context = None
