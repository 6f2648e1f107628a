"""Group-relative advantages from the four criteria's scores (GRPO, arXiv 2402.03300)."""

import dataclasses

import numpy as np

from pa_jax.core.typing import Bool, Float

AGGREGATES = ("sum", "per_criterion")


@dataclasses.dataclass(frozen=True)
class RewardConfig:
    """How scores become advantages.

    weights          one a criterion, in judge.rubric order
    aggregate        sum: weigh, add, then normalise in the group; per_criterion: normalise each
                     criterion in the group, then weigh and add (GDPO, arXiv 2601.05242)
    scale_std        divide by the group's standard deviation (plus eps)
    eps              a group whose spread is at most this carries no gradient
    truncated        what becomes of completions cut at the limit. mask: they are left out; keep:
                     they are scored as they stand; a number: that is their reward
    """

    weights: tuple[float, ...]
    aggregate: str
    scale_std: bool
    eps: float
    truncated: str | float

    def __post_init__(self) -> None:
        if self.aggregate not in AGGREGATES:
            raise ValueError(f"reward.aggregate={self.aggregate!r}: choose one of {AGGREGATES}.")
        if isinstance(self.truncated, str) and self.truncated not in ("mask", "keep"):
            raise ValueError(f"reward.truncated={self.truncated!r}: 'mask', 'keep' or a number.")
        if len(self.weights) != 4 or not any(self.weights):
            raise ValueError(f"reward.weights={self.weights}: four numbers, not all zero.")


@dataclasses.dataclass(frozen=True)
class Advantages:
    """values are 0 where `used` is False; spread_zero marks groups that carry no gradient."""

    values: Float[np.ndarray, "n g"]
    reward: Float[np.ndarray, "n g"]
    used: Bool[np.ndarray, "n g"]
    spread_zero: Bool[np.ndarray, " n"]


def _normalise(x_ng: np.ndarray, used_ng: np.ndarray, cfg: RewardConfig):
    """Centred (and scaled) in the group over used members, and which groups have no spread."""
    count = np.maximum(used_ng.sum(axis=1, keepdims=True), 1)
    x = np.where(used_ng, x_ng, 0.0)
    centred = np.where(used_ng, x - x.sum(axis=1, keepdims=True) / count, 0.0)
    std = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    flat = std[:, 0] <= cfg.eps
    scaled = centred / (std + cfg.eps) if cfg.scale_std else centred
    return np.where(flat[:, None], 0.0, scaled), flat


def advantages(
    score_ngk: Float[np.ndarray, "n g 4"],
    failed_ng: Bool[np.ndarray, "n g"],
    finished_ng: Bool[np.ndarray, "n g"],
    cfg: RewardConfig,
) -> Advantages:
    """Advantages within each group; failed verdicts (and masked truncations) take no part."""
    weights = np.asarray(cfg.weights, np.float64)
    score = np.where(failed_ng[..., None], 0.0, score_ngk).astype(np.float64)
    used = ~failed_ng
    if cfg.truncated == "mask":
        used = used & finished_ng
    elif cfg.truncated != "keep":
        share = float(cfg.truncated) / weights.sum()
        score = np.where(finished_ng[..., None], score, share)
    reward = score @ weights
    if cfg.aggregate == "sum":
        values, flat = _normalise(reward, used, cfg)
    else:
        parts = [_normalise(score[..., k], used, cfg) for k in range(len(weights))]
        values = sum(w * value for w, (value, _) in zip(weights, parts, strict=True))
        flat = np.logical_and.reduce([part_flat for _, part_flat in parts])
    return Advantages(values.astype(np.float32), reward.astype(np.float32), used, flat)
