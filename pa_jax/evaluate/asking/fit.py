"""The weights and thresholds of the decision to ask, from hand-labelled requests.

`fit` gives the weights of needs.SCORES for one model, `ranking` how well a model's needs agree with
the labels, `sweep` what thresholds make of them, `choose` the best of these. All are called with
the requests of "dev"; those of "test" are for the report alone.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pa_jax.agent.asking import needs as needing
from pa_jax.agent.asking import rule
from pa_jax.core.typing import Bool
from pa_jax.data import requests
from pa_jax.evaluate import metrics
from pa_jax.evaluate.asking import worth

RIDGE = 1e-5  # of the standardised weights, a case
ROUNDS = 40


def labels(needs: needing.Needs, wants: Sequence[requests.Request]) -> Bool[np.ndarray, "n s"]:
    """Whether each request depends on each slot."""
    return np.array([[slot in want.slots for slot in needs.lexicon.slots] for want in wants])


def fit(needs: needing.Needs, wants: Sequence[requests.Request]) -> dict[str, float]:
    """Weights and bias of the logistic model of needs, by Newton's method."""
    scores = needs.scores([want.words for want in wants])
    x = scores.reshape(-1, scores.shape[-1])
    y = labels(needs, wants).reshape(-1).astype(float)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    used = spread > 0
    z = np.concatenate([(x - mean)[:, used] / spread[used], np.ones((len(x), 1))], axis=1)
    w = np.zeros(z.shape[1])
    w[-1] = np.log(y.mean() / (1 - y.mean()))
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-z @ w))
        slope = z.T @ (p - y) + RIDGE * len(y) * w
        bend = (z * (p * (1 - p))[:, None]).T @ z + RIDGE * len(y) * np.eye(len(w))
        step = np.linalg.solve(bend, slope)
        w = w - step / max(1.0, np.abs(step).max())  # rare labels: a full step overshoots
    weights = np.zeros(len(mean))
    weights[used] = w[:-1] / spread[used]
    fitted = dict(zip(needing.SCORES, weights.tolist(), strict=True))
    return fitted | {"bias": float(w[-1] - weights @ mean)}


def ranking(needs: needing.Needs, wants: Sequence[requests.Request]) -> dict[str, metrics.Interval]:
    """How the needs rank the slots of requests that depend on some.

    first    the likeliest need is a labelled slot
    average  average precision
    recall   share of the labelled slots among the 24 likeliest
    """
    wants = [want for want in wants if want.slots]
    weights = np.array([getattr(needs.cfg, name) for name in needing.SCORES])
    scores = needs.scores([want.words for want in wants]) @ weights
    found: dict[str, list[float]] = {"first": [], "average": [], "recall": []}
    for score, label in zip(scores, labels(needs, wants), strict=True):
        hit = label[np.argsort(-score, kind="stable")]
        precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
        found["first"].append(float(hit[0]))
        found["average"].append(float(precision[hit].mean()))
        found["recall"].append(float(hit[:24].sum() / hit.sum()))
    return {name: metrics.interval(values) for name, values in found.items()}


def sweep(
    decider: rule.Proactive,
    wants: Sequence[requests.Request],
    grid: Mapping[str, Sequence[float]],
) -> list[tuple[dict[str, float], dict[str, float]]]:
    """For each setting of the AskConfig fields in `grid`, the shares of requests that ask.

    known    all labelled slots are known (asking is a fault)
    nothing  the request depends on no slot (asking is a fault)
    unknown  nothing is known; `right` of these questions are about a labelled slot
    """
    decider = worth.remembering(decider)
    some = [want for want in wants if want.slots]
    none = [want for want in wants if not want.slots]
    found = []
    for values in itertools.product(*grid.values()):
        setting: dict[str, Any] = dict(zip(grid, values, strict=True))
        decider.cfg = dataclasses.replace(decider.cfg, **setting)
        first = worth.firsts(decider, some)
        right = [slot in want.slots for want, slot in zip(some, first, strict=True) if slot]
        figures = {
            "known": worth.asks_when(decider, some, known=True).mean,
            "nothing": worth.asks_when(decider, none, known=False).mean,
            "unknown": sum(map(bool, first)) / len(first),
            "right": sum(right) / max(len(right), 1),
        }
        found.append((setting, figures))
    return found


def choose(
    decider: rule.Proactive,
    wants: Sequence[requests.Request],
    grid: Mapping[str, Sequence[float]],
    *,
    most: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """The best setting of `sweep`, and its shares: `unknown` over `nothing`, `known` under `most`.

    Of equal ones the first in the grid. ValueError where none asks so seldom what is known.
    """
    found = [one for one in sweep(decider, wants, grid) if one[1]["known"] < most]
    if not found:
        raise ValueError(f"no setting of {dict(grid)} has `known` under {most}; widen the grid.")
    return max(found, key=lambda one: one[1]["unknown"] - one[1]["nothing"])
