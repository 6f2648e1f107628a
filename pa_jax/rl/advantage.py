"""Group-relative advantages from the scores of a judge or a function (GRPO, arXiv 2402.03300)."""

import dataclasses
import math
import re

import numpy as np

from pa_jax.core.typing import Bool, Float
from pa_jax.judge import rubric

AGGREGATES = ("sum", "per_criterion")


@dataclasses.dataclass(frozen=True)
class RewardConfig:
    """How scores become advantages.

    function         module:function that scores in the judge's place (judge/own.py); "": the judge
    names            of the function's scores; () where the judge scores
    weights          one a score: a judge's in the order of judge.rubric, or of `names`
    aggregate        sum: weigh, add, then normalise in the group; per_criterion: normalise each
                     score in the group, then weigh and add (GDPO, arXiv 2601.05242)
    scale_std        divide by the group's standard deviation (plus eps)
    eps              a group whose spread is at most this carries no gradient
    truncated        what becomes of completions cut at the limit. mask: they are left out; keep:
                     they are scored as they stand; a number: that is their reward, whatever was
                     scored
    """

    function: str
    names: tuple[str, ...]
    weights: tuple[float, ...]
    aggregate: str
    scale_std: bool
    eps: float
    truncated: str | float

    def __post_init__(self) -> None:
        if self.aggregate not in AGGREGATES:
            raise ValueError(f"reward.aggregate={self.aggregate!r}: choose one of {AGGREGATES}.")
        number = type(self.truncated) in (int, float) and math.isfinite(float(self.truncated))
        if not number and self.truncated not in ("mask", "keep"):
            raise ValueError(f"reward.truncated={self.truncated!r}: 'mask', 'keep' or a number.")
        if bool(self.function) != bool(self.names):
            raise ValueError(
                f"reward.function={self.function!r}, reward.names={self.names}: give both, as in "
                "--config.reward.function=my_reward:score \"--config.reward.names=('brief',)\", or "
                "neither."
            )
        taken = [n for n in self.names if n in ("mean", "std") or n.endswith("_std")]
        wrong = [n for n in self.names if not re.fullmatch(r"[a-z][a-z0-9_]*", n)]
        if taken or wrong or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"reward.names={self.names}: each once, of small letters, digits and _, and not "
                "'mean', 'std' or ending in '_std', which metrics are called."
            )
        count = len(self.names) or len(rubric.CRITERIA)
        if len(self.weights) != count or not any(self.weights):
            what = f"names {self.names}" if self.names else f"a judge's criteria {rubric.CRITERIA}"
            raise ValueError(
                f"reward.weights={self.weights}: {count} numbers, one for each of {what}, not all "
                "zero."
            )
        if not all(map(math.isfinite, self.weights)):
            raise ValueError(f"reward.weights={self.weights}: must be finite numbers.")


@dataclasses.dataclass(frozen=True)
class Advantages:
    """values are 0 where `used` is False; spread_zero marks groups that carry no gradient."""

    values: Float[np.ndarray, "n g"]
    reward: Float[np.ndarray, "n g"]
    used: Bool[np.ndarray, "n g"]
    spread_zero: Bool[np.ndarray, " n"]


def _normalise(
    x_ng: np.ndarray, used_ng: np.ndarray, cfg: RewardConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Centred (and scaled) in the group over used members, and which groups have no spread."""
    count = np.maximum(used_ng.sum(axis=1, keepdims=True), 1)
    x = np.where(used_ng, x_ng, 0.0)
    centred = np.where(used_ng, x - x.sum(axis=1, keepdims=True) / count, 0.0)
    std = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    flat = std[:, 0] <= cfg.eps
    scaled = centred / (std + cfg.eps) if cfg.scale_std else centred
    return np.where(flat[:, None], 0.0, scaled), flat


def advantages(
    score_ngk: Float[np.ndarray, "n g k"],
    failed_ng: Bool[np.ndarray, "n g"],
    finished_ng: Bool[np.ndarray, "n g"],
    cfg: RewardConfig,
) -> Advantages:
    """Advantages within each group; failed verdicts (and masked truncations) take no part.

    A completion that was cut and has a reward for it takes part though its verdict failed.
    """
    weights = np.asarray(cfg.weights, np.float64)
    score = np.where(failed_ng[..., None], 0.0, score_ngk).astype(np.float64)
    used = ~failed_ng
    if cfg.truncated == "mask":
        used = used & finished_ng
    elif cfg.truncated != "keep":
        # The share of each criterion, so that the weighted sum is the reward: weights may sum to 0.
        share = float(cfg.truncated) * np.sign(weights) / np.abs(weights).sum()
        score = np.where(finished_ng[..., None], score, share)
        used = used | ~finished_ng
    reward = score @ weights
    if cfg.aggregate == "sum":
        values, flat = _normalise(reward, used, cfg)
    else:
        parts = [(w, *_normalise(score[..., k], used, cfg)) for k, w in enumerate(weights) if w]
        values = sum(w * value for w, value, _ in parts)
        flat = np.logical_and.reduce([part_flat for _, _, part_flat in parts])
    return Advantages(values.astype(np.float32), reward.astype(np.float32), used, flat)
