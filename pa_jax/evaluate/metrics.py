"""Means with bootstrap intervals, and ALOE's summary of an alignment curve."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean of n values and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float] | np.ndarray, *, seed: int = 0, draws: int = 2000) -> Interval:
    """Percentile bootstrap over the values; raises ValueError where there are none."""
    x = np.asarray(values, np.float64)
    if not x.size or not np.isfinite(x).all():
        raise ValueError(
            f"{x.size} values, {np.sum(~np.isfinite(x))} not finite: need finite ones."
        )
    rng = np.random.default_rng(seed)
    means = x[rng.integers(0, x.size, (draws, x.size))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(x.mean()), float(low), float(high), int(x.size))


@dataclasses.dataclass(frozen=True)
class AlignmentCurve:
    """ALOE's summary of AL(k), k = 1..K: mean, slope, slope of the normalised curve, and R2."""

    mean: float
    ir: float
    n_ir: float
    r2: float


def alignment_curve(scores: Sequence[float] | np.ndarray) -> AlignmentCurve:
    """Least squares of AL on k; a flat curve has n_ir = 0 and r2 = 0 by our definition."""
    y = np.asarray(scores, np.float64)
    if y.size < 2:
        raise ValueError(f"{y.size} turns: a curve needs at least 2.")
    k = np.arange(1, y.size + 1, dtype=np.float64)
    slope, start = np.polyfit(k, y, 1)
    spread = y.max() - y.min()
    if spread == 0:
        return AlignmentCurve(float(y.mean()), 0.0, 0.0, 0.0)
    left = np.sum((y - (slope * k + start)) ** 2)
    r2 = 1 - left / np.sum((y - y.mean()) ** 2)
    return AlignmentCurve(float(y.mean()), float(slope), float(slope / spread), float(r2))
