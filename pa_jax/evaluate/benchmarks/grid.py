"""System x benchmark, resumable: a row an item in records.jsonl, written as soon as it is known."""

import json
import pathlib
from collections.abc import Mapping, Sequence

import jax
import tqdm

from pa_jax.core import distributed, files
from pa_jax.evaluate.benchmarks import protocol
from pa_jax.evaluate.systems import baselines

_READ_SECONDS = 300  # that processes wait for each other to have read what is there


class Records:
    """The rows of a work directory; a half-written last one is dropped and made again.

    Several processes make every row together: all hold them, and the first writes them.
    """

    def __init__(self, path: pathlib.Path, *, retry_failed: bool) -> None:
        self.path, self._writes = path, jax.process_index() == 0
        if self._writes:
            files.truncate_rows(path, lambda row: not (retry_failed and row["failed"]))
        distributed.meet("records cut", _READ_SECONDS)
        self._rows: dict[tuple[str, str], dict[tuple[str, str], protocol.Row]] = {}
        for row in files.read_rows(path) if path.exists() else ():
            self._keep(row)
        distributed.meet("records read", _READ_SECONDS)  # before one is added

    def _keep(self, row: protocol.Row) -> None:
        of = self._rows.setdefault((row["benchmark"], row["model"]), {})
        of[row["system"], row["id"]] = row

    def add(self, row: protocol.Row) -> None:
        """Write a row and remember it."""
        if self._writes:
            files.append_line(self.path, json.dumps(row))
        self._keep(row)

    def known(self, benchmark: str, model: str) -> Mapping[tuple[str, str], protocol.Row]:
        """Rows by system and id; grows as rows are added."""
        return self._rows.setdefault((benchmark, model), {})

    def rows(self) -> list[protocol.Row]:
        """All rows, in an order that does not depend on when the run was stopped."""
        found = [row for of in self._rows.values() for row in of.values()]
        return sorted(found, key=lambda r: (r["benchmark"], r["model"], r["system"], r["id"]))


def run(
    benchmark: protocol.Benchmark,
    model: str,
    chosen: Mapping[str, baselines.System],
    tools: protocol.Tools,
    records: Records,
) -> None:
    """Fill in the rows that are missing for `model`; chunks with all their rows are passed over."""
    known = records.known(benchmark.name, model)
    chunks: Sequence[protocol.Chunk] = benchmark.chunks()
    total = sum(len(chunk.ids) for chunk in chunks) * len(chosen)
    with tqdm.tqdm(total=total, unit="row", desc=f"{model} {benchmark.name}") as bar:
        for chunk in chunks:
            left = {
                name: system
                for name, system in chosen.items()
                if any((name, one) not in known for one in chunk.ids)
            }
            bar.update(sum((name, one) in known for name in chosen for one in chunk.ids))
            if not left:
                continue
            for rows in benchmark.run(chunk, left, tools, known):
                for row in rows:
                    if (row["system"], row["id"]) not in known:
                        records.add(row | {"model": model})
                        bar.update(1)
