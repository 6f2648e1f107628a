"""Pictures of a training run and of before against after."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib import figure

from pa_jax.evaluate import metrics
from pa_jax.judge import rubric

matplotlib.use("Agg")

PANELS = (
    ("reward by criterion", tuple(f"reward/{name}" for name in rubric.CRITERIA)),
    ("reward", ("reward/mean", "reward/std")),
    ("loss", ("loss",)),
    ("KL to the reference, nats a token", ("kl",)),
    ("entropy, nats a token", ("entropy",)),
    ("completion tokens", ("rollout/length_mean", "rollout/length_max")),
    ("completions cut, left out", ("rollout/truncated", "rollout/masked")),
    ("seconds a phase", ("seconds/rollout", "seconds/judge", "seconds/logprobs", "seconds/update")),
)


def training(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> None:
    """Curves of metrics.jsonl rows; panels whose metrics a job has not are left out."""
    panels = [(t, [n for n in names if any(n in r for r in rows)]) for t, names in PANELS]
    panels = [(title, names) for title, names in panels if names]
    fig = figure.Figure(figsize=(11, 2.4 * ((len(panels) + 1) // 2)), layout="constrained")
    for i, (title, names) in enumerate(panels):
        axis = fig.add_subplot((len(panels) + 1) // 2, 2, i + 1)
        for name in names:
            points = [(r["step"], r[name]) for r in rows if r.get(name) is not None]
            axis.plot(*zip(*points, strict=True) if points else ((), ()), label=name.split("/")[-1])
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend(fontsize=7)
    fig.savefig(path, dpi=110)


def before_after(
    before: Mapping[str, metrics.Interval],
    after: Mapping[str, metrics.Interval],
    path: pathlib.Path,
) -> None:
    """Held-out means with their 95 % intervals, before beside after."""
    names = [name for name in before if name in after]
    fig = figure.Figure(figsize=(1.4 * len(names) + 2, 3.6), layout="constrained")
    axis = fig.add_subplot()
    for offset, label, values in ((-0.2, "before", before), (0.2, "after", after)):
        mean = [values[name].mean for name in names]
        error = [
            [values[name].mean - values[name].low for name in names],
            [values[name].high - values[name].mean for name in names],
        ]
        at = [i + offset for i in range(len(names))]
        axis.bar(at, mean, 0.4, yerr=error, capsize=3, label=label)
    axis.set_xticks(
        range(len(names)), [n.removeprefix("criteria/").replace("_", "\n") for n in names]
    )
    axis.tick_params(labelsize=8)
    axis.set_title("held-out snippets (greedy), mean and 95 % interval", fontsize=9)
    axis.legend(fontsize=8)
    fig.savefig(path, dpi=110)
