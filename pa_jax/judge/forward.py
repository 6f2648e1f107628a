"""One prefill a tree shape for the judges: log-probs of branches and leaves together."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.core.typing import Array, Float, Int
from pa_jax.infer import score

# Coarse, so that a run compiles a handful of programs.
TRUNKS = (16, 128, 256, 512, 1024)
NODES = (28, 42, 64, 96, 160, 256, 1024)  # 28: a laptop run's snippets (24) and line end

Nodes = Sequence[Sequence[Sequence[int]]]  # ids of row i's branch k
LogProbs = list[list[np.ndarray]]  # one float32 a token of row i's branch k


@functools.partial(jax.jit, static_argnames=("graph",))
def both(
    graph: nnx.GraphDef, state: nnx.State, trees: score.TreeIds
) -> tuple[Float[Array, "n g c"], Float[Array, "n g j q"], Int[Array, "l e"]]:
    """Jitted `score.node_logprobs` of a model split into graph and state."""
    return score.node_logprobs(nnx.merge(graph, state), trees, jnp.float32(1.0))


class Forward:
    """A frozen model split for jit; `rows` trees go in at a time, cut over the mesh."""

    def __init__(
        self,
        module: nnx.Module,
        rows: int,
        mesh: jax.sharding.Mesh | None,
        *,
        trunks: Sequence[int] = TRUNKS,
        nodes: Sequence[int] = NODES,
    ):
        self.graph, self.state = nnx.split(module)
        self.rows, self.mesh, self.trunks, self.nodes = rows, mesh, trunks, nodes
        self.slots = 0  # token slots that went through the model so far, padding included
        self.load = np.zeros((0, 0))  # [layers, experts], choices that fell on each expert

    def trees(
        self, trunks: Sequence[Sequence[int]], branches: Nodes, leaves: list | None
    ) -> score.TreeIds:
        """Up to `rows` trees in the judges' buckets."""
        return score.pack(
            trunks,
            branches,
            leaves,
            rows=self.rows,
            trunks=self.trunks,
            nodes=self.nodes,
            mesh=self.mesh,
        )

    def compile(self, trees: score.TreeIds) -> None:
        """Compiles the program for trees of this shape; they are not run, which takes longer."""
        with meshes.using(self.mesh):
            both.lower(self.graph, self.state, trees).compile()

    def branches(self, trunks: Sequence[Sequence[int]], branches: Nodes) -> LogProbs:
        """Log-probs of branch tokens given their trunk."""
        return self.with_leaf(trunks, branches, None)[0]

    def with_leaf(
        self, trunks: Sequence[Sequence[int]], branches: Nodes, leaf: Sequence | None
    ) -> tuple[LogProbs, LogProbs]:
        """Log-probs of branch tokens, and of leaf[i] (one for row i) after each of its branches."""
        leaves = None
        if leaf is not None:
            leaves = [[[leaf[i]] for _ in row] for i, row in enumerate(branches)]
        trees = self.trees(trunks, branches, leaves)
        branch, after = self._scored(trees)
        of_branch, of_leaf = [], []
        for i, row in enumerate(branches):
            of_branch.append([branch[i, k, : len(ids)] for k, ids in enumerate(row)])
            if leaf is not None:
                of_leaf.append([after[i, k, 0, : len(leaf[i])] for k in range(len(row))])
        return of_branch, of_leaf

    def leaves(
        self, trunks: Sequence[Sequence[int]], branches: Nodes, leaves: Sequence[Nodes]
    ) -> list[tuple[list[np.ndarray], ...]]:
        """Log-probs of leaves[i][k] after branch k of row i: one list of leaves for each branch."""
        trees = self.trees(trunks, branches, leaves)
        _, after = self._scored(trees)
        return [
            tuple(
                [after[i, k, j, : len(ids)] for j, ids in enumerate(of_branch)]
                for k, of_branch in enumerate(row)
            )
            for i, row in enumerate(leaves)
        ]

    def labels(self, trees: score.TreeIds, label: Int[Array, " k"]) -> Float[np.ndarray, "n g j k"]:
        """Log-probs of each label token right after every leaf."""
        self.slots += self.rows * trees.spec.slots
        with meshes.using(self.mesh):
            logp, load = sharding.fetch(score.labelled(self.graph, self.state, trees, label))
        self._count(load)
        return logp

    def _scored(self, trees: score.TreeIds) -> tuple[np.ndarray, np.ndarray]:
        self.slots += self.rows * trees.spec.slots
        with meshes.using(self.mesh):
            branch, leaf, load = sharding.fetch(both(self.graph, self.state, trees))
        self._count(load)
        return branch, leaf

    def _count(self, load: np.ndarray) -> None:
        self.load = self.load + load.astype(np.int64) if self.load.size else load.astype(np.int64)

    def busiest(self) -> float | None:
        """The busiest expert's choices over the mean expert's, of the worst layer; 1 is even.

        Since the last call; None without a forward in between, and of a model without experts.
        """
        load, self.load = self.load, np.zeros((0, 0))
        if not load.size:
            return None
        return float(np.max(np.max(load, axis=-1) / np.maximum(np.mean(load, axis=-1), 1.0)))
