"""A training run as one HTML page: its verdict, held-out figures and curves; the rest is folded.

Everything comes from what the work directory holds; what has no file there is left out.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pa_jax.dialogue import schema
from pa_jax.evaluate import heldout
from pa_jax.evaluate.reports import page, plots, run_verdict

TREES = 6  # sample trees shown
PHASES = ("data", "rollout", "judge", "logprobs", "update")
EVALUATED = ("token_f1", "criteria_mean", "finished", "copies", "wrong_stances")


@dataclasses.dataclass(frozen=True)
class Branch:
    """One answer of a group. Where `failed`, the judge gave no verdict: figures mean nothing."""

    text: str
    scores: Mapping[str, float]  # by name, as far as they are shown
    reward: float
    advantage: float
    finished: bool
    failed: bool


@dataclasses.dataclass(frozen=True)
class Tree:
    """One group of a step: the episode, the messages it was asked with, and its G answers."""

    step: int
    episode: schema.Episode
    about: tuple[str, ...]  # the episode, beside the user's words and gold
    asked: tuple[schema.Message, ...]
    branches: tuple[Branch, ...]


@dataclasses.dataclass(frozen=True)
class Run:
    """What a page is made of.

    about        facts of the run, in order
    written      what the policy's texts are called
    measured     by what the held-out ones are scored
    config       flat: names joined by dots
    rows         of metrics.jsonl
    evaluations  rows of evaluations.jsonl
    after        of the last step; empty while the run is not finished
    best         of the best checkpoint; empty where that is the last step's, or none is kept
    counted      failures: what, and how many
    """

    title: str
    about: Mapping[str, object]
    written: str
    measured: str
    config: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    evaluations: Sequence[Mapping[str, Any]]
    before: Sequence[heldout.Record]
    after: Sequence[heldout.Record]
    best: Sequence[heldout.Record]
    trees: Sequence[Tree]
    counted: Mapping[str, object]


def render(run: Run) -> str:
    """The page: the verdict and its figures in sight, the rest folded."""
    before, after, best = (
        heldout.summary(of) if of else {} for of in (run.before, run.after, run.best)
    )
    moved = run_verdict.changes(run.before, run.after) if run.before and run.after else {}
    return page.render(
        "run.html.j2",
        run=run,
        moved=moved,
        pairs=run_verdict.worst_first(run.before, run.after) if moved else [],
        wrong=sum(record.wrong_stances > 0 for record in run.after),
        collapsed=run_verdict.collapse(run.rows, run.evaluations, run.config.get("eval.best")),
        before=before,
        after=after,
        best=best,
        chart=plots.svg(plots.before_after(before, after)) if moved else None,
        curves=plots.svg(plots.training(run.rows, run.evaluations)) if run.rows else None,
        evaluated=EVALUATED,
        rewards=_rewards(run.rows),
        seconds=_seconds(run.rows, run.evaluations),
    )


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def counts(rows: Sequence[Mapping[str, Any]], group_rows: int) -> dict[str, int]:
    """Failures that metrics.jsonl counts; `group_rows` groups a step (0: no groups)."""
    made = {
        "updates skipped (loss or gradient not finite)": _total(rows, "skipped"),
        "figures that were not finite": _total(rows, "metrics/nonfinite"),
    }
    if group_rows:
        flat = sum(row.get("rollout/zero_spread_groups") or 0 for row in rows) * group_rows
        made |= {
            "completions without a verdict of the judge": _total(rows, "judge/failed"),
            "completions cut at the length limit": _total(rows, "rollout/truncated"),
            "completions left out of their group": _total(rows, "rollout/masked"),
            "groups without a spread (no gradient)": round(flat),
        }
    return made


def _total(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return int(sum(row.get(name) or 0 for row in rows))


def _rewards(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """By the training judge: at the first step, the last, in the first quarter and the last."""
    lines = []
    for name in ("mean", *plots.rewards(rows)):
        found = [row.get(f"reward/{name}") for row in rows]
        values = [v for v in found if v is not None]  # steps with a verdict
        if values:
            part = max(1, len(values) // 4)
            shown = values[0], values[-1], np.mean(values[:part]), np.mean(values[-part:])
            label = "reward" if name == "mean" else name
            lines.append((label, *(f"{value:.3f}" for value in shown)))
    return lines


def _seconds(
    rows: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    """Of each phase: in all, its share, of the first step, the mean of later steps."""
    whole = sum(row["seconds/step"] for row in rows)
    lines: list[tuple[str, ...]] = []
    for name in (*PHASES, "step"):
        values = [row[f"seconds/{name}"] for row in rows if row.get(f"seconds/{name}") is not None]
        if values:
            later = f"{np.mean(values[1:]):.2f}" if values[1:] else "-"
            share = f"{100 * sum(values) / max(whole, 1e-9):.0f} %"
            lines.append((name, f"{sum(values):.1f}", share, f"{values[0]:.2f}", later))
    between = [row["seconds/evaluation"] for row in evaluations]
    if between:
        later = f"{np.mean(between[1:]):.2f}" if between[1:] else "-"
        name = "evaluations, between steps"
        lines.append((name, f"{sum(between):.1f}", "-", f"{between[0]:.2f}", later))
    return lines
