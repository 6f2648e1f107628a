"""One model behind few batch sizes: a lone user does not pay for the rows of a full batch."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from flax import nnx

from pa_jax import models
from pa_jax.agent import caller
from pa_jax.core import keys
from pa_jax.infer import buckets, engine, sampling
from pa_jax.judge import forward

# Few: all that a server may need is compiled before its first request.
TRUNKS = (8, 48, 80, 112, 160, 256, 512, 1024)  # tokens of a turn that statements are held against
NODES = (16, 64, 128, 256, 1024)  # of a statement; most have 8 to 15


@dataclasses.dataclass(frozen=True)
class Written:
    """A reply a prompt, and whether the model came to its end."""

    texts: list[str]
    finished: list[bool]


@runtime_checkable
class Writes(Protocol):
    """What Engines and Served do."""

    def warm_up(self, max_new_tokens: int) -> None: ...

    def greedy(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, seed: int
    ) -> Written: ...


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
        self.rows, self._trunks = rows, tuple(trunks)
        self._by_rows = {
            n: engine.Engine(model, mesh=mesh, rows=n, trunks=trunks) for n in sizes(rows, mesh)
        }

    def warm_up(self, max_new_tokens: int) -> None:
        """Compiles every program of `greedy` with this limit."""
        slots = buckets.fit(max_new_tokens, engine.SLOTS, what="max_new_tokens")
        how = sampling.settings(0.0, 0, 1.0)
        base = keys.stream_key(0, keys.Stream.GENERATE, 0)
        for rows, run in self._by_rows.items():
            key_ng = engine.branch_keys(keys.row_keys(base, np.zeros(rows, np.int32)), 1)
            for trunk in run.trunks:
                prompts = buckets.pad_rows([[0]] * rows, trunk)
                run.decode(prompts, key_ng, how, (1, slots))

    def greedy(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, seed: int
    ) -> Written:
        """A reply a prompt: prompts of like length together, the rest in the smallest engine."""
        texts, finished = [""] * len(prompts), [False] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        for start in range(0, len(order), self.rows):
            chosen = order[start : start + self.rows]
            fitting = next(n for n in self._by_rows if n >= len(chosen))
            longest = max(len(prompts[i]) for i in chosen)
            trunk = buckets.fit(longest, self._trunks, what="prompt")
            done = (
                self._by_rows[fitting]
                .only(trunk)
                .generate(
                    [prompts[i] for i in chosen],
                    n=1,
                    max_new_tokens=max_new_tokens,
                    temperature=0.0,
                    seed=seed,
                    stream=keys.Stream.GENERATE,
                )
            )
            for row, i in enumerate(chosen):
                texts[i], finished[i] = done.texts[row][0], bool(done.finished[row][0])
        return Written(texts, finished)


class Served:
    """The same replies from an engine that serves others meanwhile: each is one more request."""

    def __init__(self, serves: Any, wait_seconds: float):
        """`serves` is a live.Live; room in its queue is waited for that long."""
        self.serves, self.wait_seconds = serves, wait_seconds

    def warm_up(self, max_new_tokens: int) -> None:
        """Nothing: who owns the engine warms it up."""

    def greedy(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, seed: int
    ) -> Written:
        """A reply a prompt; the requests of all that have room decode side by side."""
        how = {"max_new_tokens": max_new_tokens, "temperature": 0.0, "seed": seed}
        waiting = [caller.Caller() for _ in prompts]
        for one, prompt in zip(waiting, prompts, strict=True):
            submit = functools.partial(self.serves.submit, prompt, **how)
            one.ticket_of(submit, wait_seconds=self.wait_seconds)
        done = [one.ticket.result() for one in waiting]
        return Written([reply.text for reply in done], [reply.finished for reply in done])
