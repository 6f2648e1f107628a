"""System x benchmark, resumable: a row an item in records.jsonl, written as soon as it is known."""

import json
import pathlib
from collections.abc import Mapping, Sequence

import tqdm

from pa_jax.core import files
from pa_jax.evaluate.benchmarks import protocol
from pa_jax.evaluate.systems import baselines


class Records:
    """The rows of a work directory; a half-written last one is dropped and made again."""

    def __init__(self, path: pathlib.Path, *, retry_failed: bool) -> None:
        self.path = path
        files.truncate_rows(path, lambda row: not (retry_failed and row["failed"]))
        self._rows: dict[tuple[str, str], dict[tuple[str, str], protocol.Row]] = {}
        for row in files.read_rows(path) if path.exists() else ():
            self._keep(row)

    def _keep(self, row: protocol.Row) -> None:
        of = self._rows.setdefault((row["benchmark"], row["model"]), {})
        of[row["system"], row["id"]] = row

    def add(self, row: protocol.Row) -> None:
        """Write a row and remember it."""
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
