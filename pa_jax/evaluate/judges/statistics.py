"""Figures of agreement: Cohen's kappa, calibration, rank correlation; nan where undefined."""

import dataclasses

import numpy as np

from pa_jax.core.typing import Bool, Float, Int

Figures = dict[str, float | int]


@dataclasses.dataclass(frozen=True)
class Bin:
    """Scores of one stretch of [0, 1]: how many, their mean, and the share of them that is good."""

    count: int
    score: float
    good: float


@dataclasses.dataclass(frozen=True)
class Calibration:
    """ece: mean over scores of |mean score - share that is good| of their bin; `bins` filled ones.

    A judge may rank perfectly and still be badly calibrated.
    """

    ece: float
    bins: tuple[Bin, ...]


def kappa(
    one: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"], *, levels: int, quadratic: bool
) -> float:
    """Cohen's kappa of two raters' levels 0 .. levels-1 (Cohen 1960; quadratic weights 1968).

    1 - observed / expected disagreement; nan without items, or where both give one level to all.
    """
    if not len(one):
        return float("nan")
    for rating in (one, other):
        if rating.min() < 0 or rating.max() >= levels:
            got = sorted(set(rating.tolist()))
            raise ValueError(f"levels {got}: must be 0 .. {levels - 1}; subtract the lowest first.")
    steps = np.subtract.outer(np.arange(levels), np.arange(levels))
    weight = steps**2 if quadratic else steps != 0
    seen = np.zeros((levels, levels))
    np.add.at(seen, (one, other), 1 / len(one))
    by_chance = np.outer(seen.sum(axis=1), seen.sum(axis=0))
    expected = (weight * by_chance).sum()
    return float(1 - (weight * seen).sum() / expected) if expected > 0 else float("nan")


def calibration(
    score: Float[np.ndarray, " n"], good: Bool[np.ndarray, " n"], *, bins: int = 10
) -> Calibration:
    """How far scores in [0, 1] can be read as the chance that a snippet is good; equal-width bins.

    The last bin holds 1 too.
    """
    if not len(score):
        return Calibration(float("nan"), ())
    place = np.minimum((np.asarray(score, np.float64) * bins).astype(int), bins - 1)
    found = [
        Bin(int(np.sum(at)), float(score[at].mean()), float(good[at].mean()))
        for at in (place == b for b in range(bins))
        if at.any()
    ]
    ece = sum(b.count * abs(b.score - b.good) for b in found) / len(score)
    return Calibration(float(ece), tuple(found))


def rank_correlation(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> float:
    """Spearman's; nan for fewer than three items or where one side is constant."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    from scipy import stats  # here alone: it takes a sixth of a job's imports

    return float(stats.spearmanr(one, other).statistic)
