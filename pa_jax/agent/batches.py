"""One model behind few batch sizes: a lone user does not pay for the rows of a full batch."""

from collections.abc import Sequence

import jax
import numpy as np
from flax import nnx

from pa_jax import models
from pa_jax.core import keys
from pa_jax.infer import buckets, engine, sampling
from pa_jax.judge import forward

# Coarse: all that a server may need is compiled before its first request.
TRUNKS = (16, 128, 256, 1024)
NODES = (64, 128, 256, 1024)


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
        few, most = sizes(rows, mesh)[0], sizes(rows, mesh)[-1]
        self._by_rows = {
            n: forward.Forward(module, n, mesh, trunks=TRUNKS, nodes=NODES)
            for n in dict.fromkeys((few, most))
        }

    def all(self) -> tuple[forward.Forward, ...]:
        """One of each batch size."""
        return tuple(self._by_rows.values())

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

    def warm_up(self, max_new_tokens: int) -> None:
        """Compiles every program of `greedy` with this limit."""
        slots = buckets.fit(max_new_tokens, engine.SLOTS, what="max_new_tokens")
        how = sampling.settings(0.0, 0, 1.0)
        base = keys.stream_key(0, keys.Stream.GENERATE, 0)
        for rows, run in self._by_rows.items():
            key_n = keys.row_keys(base, np.zeros(rows, np.int32))
            for trunk in run.trunks:
                prompts = buckets.pad_rows([[0]] * rows, trunk)
                run.decode(prompts, key_n, how, (1, slots), 1)

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
