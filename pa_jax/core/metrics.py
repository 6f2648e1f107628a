"""Rows of a run: metrics.jsonl has one a step, evaluations.jsonl one an evaluation; also in tb/.

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
_NAMES = ("step", "phase")  # what a row is of


def without_timing(row: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a row that a resumed run reproduces."""
    return {k: v for k, v in row.items() if not k.startswith(TIMING)}


class MetricWriter:
    """Writes rows from process 0 only; the other processes make one too, and it does nothing.

    `resume_step` is the step the run goes on from: rows of that step and later are cut away, as is
    a half-written last line (0: a fresh run, all rows). Evaluations come before the step they are
    named by: those up to `evaluated` stay.
    """

    def __init__(
        self, folder: pathlib.Path, *, tensorboard: bool, resume_step: int, evaluated: int = -1
    ) -> None:
        self.path, self.evaluations = folder / "metrics.jsonl", folder / "evaluations.jsonl"
        self._writes = jax.process_index() == 0
        self._board = None
        if not self._writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        cut = files.truncate_rows(self.path, lambda row: row.get("step", resume_step) < resume_step)
        if cut:
            logging.warning("%s: %d rows cut to go on from step %d", self.path, cut, resume_step)
        files.truncate_rows(self.evaluations, lambda row: row["step"] <= evaluated)
        if tensorboard:
            self._board = tensorboardX.SummaryWriter(
                str(folder / "tb"), purge_step=resume_step or None
            )
            if evaluated == resume_step:  # purged though it stays
                for row in files.read_rows(self.evaluations):
                    if row["step"] == evaluated:
                        self._show(evaluated, "heldout/", row)

    def write(self, step: int, values: Mapping[str, SupportsFloat], *, phase: str = "") -> None:
        """Add the row of one step: "step" and the phase first, then keys in order.

        NaN and infinities, which JSON has not, become null; their number is "metrics/nonfinite".
        """
        row = _row(step, phase, values)
        if self._writes:
            files.append_line(self.path, json.dumps(row, allow_nan=False))
            self._show(step, "", row)

    def evaluated(self, step: int, values: Mapping[str, SupportsFloat], *, phase: str) -> None:
        """Add the row of an evaluation of what `step` updates made; durable once this returns."""
        row = _row(step, phase, values)
        if self._writes:
            line = json.dumps(row, allow_nan=False)
            files.append_lines(self.evaluations, [line], durable=True)
            self._show(step, "heldout/", row)

    def close(self) -> None:
        """Flush what TensorBoard has buffered; rows are on file already."""
        if self._board is not None:
            self._board.close()

    def _show(self, step: int, prefix: str, row: Mapping[str, Any]) -> None:
        """The row's figures for TensorBoard."""
        if self._board is not None:
            for name, value in row.items():
                if name not in _NAMES and value is not None:
                    self._board.add_scalar(f"{prefix}{name}", value, step)


def _row(step: int, phase: str, values: Mapping[str, SupportsFloat]) -> dict[str, Any]:
    taken = {*_NAMES, NONFINITE} & values.keys()
    if taken:
        raise ValueError(f"metric names {sorted(taken)} are the writer's own; rename them.")
    row = {name: _number(values[name]) for name in values}
    row[NONFINITE] = sum(v is None for v in row.values())
    named = {"step": int(step)} | ({"phase": phase} if phase else {})
    return named | dict(sorted(row.items()))


def _number(value: SupportsFloat) -> float | int | None:
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None
