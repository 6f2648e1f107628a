"""One model behind few batch sizes: a lone user does not pay for the rows of a full batch."""

from collections.abc import Sequence

import jax
from flax import nnx

from pa_jax import models
from pa_jax.core import keys
from pa_jax.infer import engine
from pa_jax.judge import forward


def sizes(rows: int, mesh: jax.sharding.Mesh | None) -> tuple[int, ...]:
    """Row counts to compile for, rising: 1, a quarter and all; only all on several devices."""
    if rows < 1:
        raise ValueError(f"infer.rows={rows}: must be at least 1.")
    if mesh is not None and mesh.size > 1:
        return (rows,)
    return tuple(sorted({1, max(rows // 4, 1), rows}))


class Batches:
    """Prefills of `rows` trees or fewer, under one frozen model."""

    def __init__(self, module: nnx.Module, rows: int, mesh: jax.sharding.Mesh | None):
        self.rows, self.mesh = rows, mesh
        self._by_rows = {n: forward.Forward(module, n, mesh) for n in sizes(rows, mesh)}

    def fitting(self, n: int) -> forward.Forward:
        """The smallest that takes n trees at once, the largest where none does."""
        return next((f for rows, f in self._by_rows.items() if rows >= n), self._by_rows[self.rows])


class Engines:
    """Greedy replies to `rows` prompts or fewer at a time, under one frozen model."""

    def __init__(
        self,
        model: models.LoadedModel,
        rows: int,
        trunks: Sequence[int],
        mesh: jax.sharding.Mesh | None,
    ):
        self.rows = rows
        self._by_rows = {
            n: engine.Engine(model, mesh=mesh, rows=n, trunks=trunks) for n in sizes(rows, mesh)
        }

    def greedy(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, seed: int
    ) -> engine.Completions:
        """One completion a prompt, by the smallest engine that takes them all at once."""
        fitting = next(n for n in self._by_rows if n >= min(len(prompts), self.rows))
        return self._by_rows[fitting].generate(
            prompts,
            n=1,
            max_new_tokens=max_new_tokens,
            temperature=0.0,
            seed=seed,
            stream=keys.Stream.GENERATE,
        )
