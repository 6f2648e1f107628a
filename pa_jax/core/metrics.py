"""One JSON row a step in metrics.jsonl, and the same figures for TensorBoard.

Keys that start with "seconds/", "rate/" or "process/" (compiles, memory) differ from run to run.
Everything else is bit-identical after a resume; compare rows by `without_timing`.
"""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, SupportsFloat

import jax
import numpy as np
import tensorboardX
from absl import logging

from pa_jax.core import files

TIMING = ("seconds/", "rate/", "process/")
NONFINITE = "metrics/nonfinite"


def without_timing(row: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a row that a resumed run reproduces."""
    return {k: v for k, v in row.items() if not k.startswith(TIMING)}


class MetricWriter:
    """Writes rows from process 0 only; the other processes make one too, and it does nothing.

    `resume_step` is the step the run goes on from: rows of that step and later are cut away, as is
    a half-written last line (0: a fresh run, all rows).
    """

    def __init__(self, folder: pathlib.Path, *, tensorboard: bool, resume_step: int) -> None:
        self.path = folder / "metrics.jsonl"
        self._writes = jax.process_index() == 0
        self._board = None
        if not self._writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        cut = files.truncate_rows(self.path, lambda row: row.get("step", resume_step) < resume_step)
        if cut:
            logging.warning("%s: %d rows cut to go on from step %d", self.path, cut, resume_step)
        if tensorboard:
            self._board = tensorboardX.SummaryWriter(
                str(folder / "tb"), purge_step=resume_step or None
            )

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Add the row of one step: "step" first, then keys in order.

        NaN and infinities, which JSON has not, become null; their number is "metrics/nonfinite".
        """
        taken = {"step", NONFINITE} & values.keys()
        if taken:
            raise ValueError(f"metric names {sorted(taken)} are the writer's own; rename them.")
        if not self._writes:
            return
        row = {name: _number(values[name]) for name in values}
        row[NONFINITE] = sum(v is None for v in row.values())
        row = {"step": int(step)} | dict(sorted(row.items()))
        files.append_line(self.path, json.dumps(row, allow_nan=False))
        if self._board is not None:
            for name, value in row.items():
                if name != "step" and value is not None:
                    self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush what TensorBoard has buffered; rows are on file already."""
        if self._board is not None:
            self._board.close()


def _number(value: SupportsFloat) -> float | int | None:
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None
