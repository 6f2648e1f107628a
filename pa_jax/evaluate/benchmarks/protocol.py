"""What a benchmark is to the grid: chunks of work, and rows that come out of each."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from pa_jax.evaluate import chat_model
from pa_jax.evaluate.benchmarks import jury
from pa_jax.evaluate.systems import baselines

Row = dict[str, Any]
# Sections and keys of the config that benchmarks read by way of systems. Each module of a benchmark
# says in KEYS what its benchmarks read, by their names.
JUDGED = ("judge",)  # where a judge decides
SYSTEMS = ("systems", "system", "infer", "ask")
# A row's keys: benchmark, model, system, id (unique among these), part (what is tabled apart, like
# "N=10"), cluster (the user or dialogue), measures {name: number}, failed (no verdict: its measures
# are empty), and whatever is worth reading.


@dataclasses.dataclass(frozen=True)
class Tools:
    """What a benchmark works with: the model under test, the judge and the simulated user."""

    model: chat_model.ChatModel
    jury: jury.Jury
    user: chat_model.ChatModel
    cfg: baselines.SystemConfig


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Work that is computed together: always the same items, so a resumed run draws the same."""

    number: int
    items: tuple[Any, ...]
    ids: tuple[str, ...]  # of the rows that each system gets


@runtime_checkable
class Benchmark(Protocol):
    """`run` yields rows as they are finished; those in `known` need not come again."""

    name: str

    def chunks(self) -> Sequence[Chunk]: ...

    def run(
        self,
        chunk: Chunk,
        chosen: Mapping[str, baselines.System],
        tools: Tools,
        known: Mapping[tuple[str, str], Row],
    ) -> Iterator[list[Row]]: ...


def cut(items: Sequence[Any], ids: Sequence[Sequence[str]], size: int) -> list[Chunk]:
    """Chunks of `size` items in order; ids[i] are the rows of item i."""
    return [
        Chunk(
            number,
            tuple(items[start : start + size]),
            tuple(one for of in ids[start : start + size] for one in of),
        )
        for number, start in enumerate(range(0, len(items), size))
    ]
