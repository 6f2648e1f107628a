"""Pictures of a training run, of before against after, and of a grid."""

import io
import itertools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib import axes, figure

from pa_jax.evaluate import metrics
from pa_jax.evaluate.reports import tables
from pa_jax.evaluate.reports.ablation import DIFFERENCES, Arm
from pa_jax.judge import rubric

matplotlib.use("Agg")

WARM_LOSS = "warm/loss"  # `loss` of a warm start's rows: of another scale than GRPO's
HELDOUT = (  # of evaluations.jsonl
    ("held-out while it trains", ("token_f1", "criteria_mean", "finished")),
    ("held-out by criterion", tuple(f"criteria/{name}" for name in rubric.CRITERIA)),
    ("held-out, shares with a fault", ("copies", "wrong_stances")),
)
PANELS = (
    ("reward", ("reward/mean", "reward/std")),
    ("loss of the warm start, nats a token", (WARM_LOSS,)),
    ("loss", ("loss",)),
    ("KL to the reference, nats a token", ("kl",)),
    ("entropy, nats a token", ("entropy",)),
    ("completion tokens", ("rollout/length_mean", "rollout/length_max")),
    ("completions cut, left out", ("rollout/truncated", "rollout/masked")),
    ("shares of completions with a fault", ("rollout/copies", "rollout/wrong_stances")),
    ("seconds a phase", ("seconds/rollout", "seconds/judge", "seconds/logprobs", "seconds/update")),
)


def save(made: figure.Figure, path: pathlib.Path) -> None:
    """The picture as PNG."""
    made.savefig(path, dpi=110)


def svg(made: figure.Figure) -> bytes:
    """The picture as SVG without a background, texts as text; the same bytes every time."""
    out = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pa_jax"}):
        made.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue()


def training(
    rows: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]
) -> figure.Figure:
    """Curves of metrics.jsonl and evaluations.jsonl; panels of what a job has not are left out.

    A dotted line stands where one phase of the run ends and the next begins.
    """
    shown = [_apart(row) for row in rows]
    scores = ("reward by criterion", tuple(f"reward/{name}" for name in rewards(rows)))
    panels = [
        (title, _named(names, of), of)
        for title, names, of in (
            *((title, names, shown) for title, names in (scores, *PANELS)),
            *((title, names, evaluations) for title, names in HELDOUT),
        )
    ]
    panels = [panel for panel in panels if panel[1]]
    changes = [b["step"] for a, b in itertools.pairwise(rows) if a.get("phase") != b.get("phase")]
    fig = figure.Figure(figsize=(11, 2.4 * ((len(panels) + 1) // 2)), layout="constrained")
    for i, (title, names, of) in enumerate(panels):
        axis = fig.add_subplot((len(panels) + 1) // 2, 2, i + 1)
        for name in names:
            points = [(r["step"], r[name]) for r in of if r.get(name) is not None]
            marker = "o" if of is evaluations else ""
            columns = zip(*points, strict=True) if points else ((), ())
            axis.plot(*columns, marker=marker, markersize=3, label=name.split("/")[-1])
        for step in changes:
            axis.axvline(step, color="gray", linestyle=":", linewidth=1)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend(fontsize=7)
    return fig


def rewards(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the scores in metrics.jsonl rows, a judge's criteria or one's own, in order."""
    names = dict.fromkeys(name for row in rows for name in row if name.startswith("reward/"))
    spread = {name for name in names if name.endswith("_std") and name[:-4] in names}
    whole = {"reward/mean", "reward/std"}
    return [name.removeprefix("reward/") for name in names if name not in spread | whole]


def _apart(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of a warm start with its loss under another name."""
    if row.get("phase") != "warm":
        return row
    return {WARM_LOSS if name == "loss" else name: value for name, value in row.items()}


def _named(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in names if any(name in row for row in rows)]


def before_after(
    before: Mapping[str, metrics.Interval], after: Mapping[str, metrics.Interval]
) -> figure.Figure:
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
    axis.set_title("held-out texts (greedy), mean and 95 % interval", fontsize=9)
    axis.legend(fontsize=8)
    return fig


def ablation(rows: Sequence[Arm]) -> figure.Figure:
    """A panel a measure that differences are taken of: every arm's mean and interval, its seeds."""
    fig = figure.Figure(figsize=(10, 0.3 * len(rows) + 1.4), layout="constrained")
    for number, key in enumerate(DIFFERENCES):
        axis = fig.add_subplot(1, len(DIFFERENCES), number + 1)
        values = [row.measures[key] for row in rows]
        names = [row.name for row in rows]
        axis.errorbar([x.mean for x in values], names, xerr=_error(values), fmt="o", capsize=2)
        seeds = [(of[key], row.name) for row in rows for of in row.seeds.values()]
        axis.plot(*zip(*seeds, strict=True) if seeds else ((), ()), "k|", markersize=12)
        axis.invert_yaxis()
        axis.set_title(f"{key} and 95 % interval; | is a seed", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    return fig


Points = Sequence[tuple[int, float]]


def grid(found: Sequence[tables.TableLine], rewards: Mapping[str, Points]) -> figure.Figure:
    """A panel a benchmark: against noise where its parts name it, AL(k) for ALOE, else bars.

    Behind a benchmark in which some system asks back, one of its questions; at the end the
    `rewards` of training, (step, mean reward) by model, where there are any.
    """
    panels: list[tuple[str, Callable[[axes.Axes, Any], None], Any]] = []
    for name in dict.fromkeys(entry.benchmark for entry in found):
        of = [entry for entry in found if entry.benchmark == name and entry.measures]
        if any(entry.curve for entry in of):
            draw = _curves
        elif len({tables.level_of(entry.part) for entry in of} - {None}) > 1:
            draw = _against_level
        else:
            draw = _bars
        panels.append((f"{name}, mean and 95 % interval", draw, of))
        if any("questions" in entry.measures for entry in of):
            panels.append((f"{name}: what questions bring", _questions, of))
    if rewards:
        panels.append(("training", _rewards, rewards))
    fig = figure.Figure(figsize=(10, 3.6 * max(len(panels), 1)), layout="constrained")
    for number, (title, drawn, what) in enumerate(panels):
        axis = fig.add_subplot(len(panels), 1, number + 1)
        drawn(axis, what)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    return fig


def _label(entry: tables.TableLine) -> str:
    return f"{entry.model} {entry.system}"


def _legend(axis: axes.Axes) -> None:
    """Beside the panel: over it, many systems would hide what it shows."""
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _colours(labels: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """A colour a label; 20 before they come again."""
    return {label: matplotlib.colormaps["tab20"](k % 20) for k, label in enumerate(labels)}


def _error(values: Sequence[metrics.Interval]) -> list[list[float]]:
    return [[x.mean - x.low for x in values], [x.high - x.mean for x in values]]


def _curves(axis: axes.Axes, found: Sequence[tables.TableLine]) -> None:
    for entry in found:
        if entry.curve:
            values = entry.curve.turns
            at, mean = range(1, len(values) + 1), [x.mean for x in values]
            axis.errorbar(at, mean, yerr=_error(values), capsize=2, label=_label(entry))
    axis.set_xlabel("turn", fontsize=8)
    axis.set_ylabel("AL(k)", fontsize=8)
    _legend(axis)


def _against_level(axis: axes.Axes, found: Sequence[tables.TableLine]) -> None:
    levels = sorted({x for x in (tables.level_of(e.part) for e in found) if x is not None})
    place: dict[int | None, int] = {level: i for i, level in enumerate(levels)}
    kinds = list(dict.fromkeys(tables.kind_of(entry.part) for entry in found))
    colours = _colours(dict.fromkeys(_label(entry) for entry in found))
    for label, kind in dict.fromkeys((_label(e), tables.kind_of(e.part)) for e in found):
        of = [e for e in found if (_label(e), tables.kind_of(e.part)) == (label, kind)]
        values = [entry.measures[tables.main_measure(list(entry.measures))] for entry in of]
        at = [place[tables.level_of(entry.part)] for entry in of]
        mean = [x.mean for x in values]
        shown = f"{label} {kind}" if len(kinds) > 1 else label
        style: dict[str, Any] = {
            "color": colours[label],
            "linestyle": ("-", "--", ":")[kinds.index(kind) % 3],
        }
        axis.errorbar(at, mean, yerr=_error(values), capsize=2, marker="o", label=shown, **style)
    axis.set_xticks(range(len(levels)), [str(level) for level in levels])
    noise = "N=" in found[0].part
    axis.set_xlabel("pairs of noise before the question" if noise else "turns", fontsize=8)
    axis.set_ylabel(tables.main_measure(list(found[0].measures)), fontsize=8)
    _legend(axis)


def _questions(axis: axes.Axes, found: Sequence[tables.TableLine]) -> None:
    """Every part of every system: questions a request, and the main measure."""
    for label, colour in _colours(dict.fromkeys(_label(entry) for entry in found)).items():
        of = [entry for entry in found if _label(entry) == label]
        values = [entry.measures[tables.main_measure(list(entry.measures))] for entry in of]
        asked = [e.measures["questions"].mean if "questions" in e.measures else 0.0 for e in of]
        mean = [x.mean for x in values]
        style: dict[str, Any] = {"color": colour, "fmt": "o", "capsize": 2, "label": label}
        axis.errorbar(asked, mean, yerr=_error(values), **style)
        for x, y, entry in zip(asked, mean, of, strict=True):
            axis.annotate(entry.part, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axis.set_xlabel("questions a request", fontsize=8)
    axis.set_ylabel(tables.main_measure(list(found[0].measures)), fontsize=8)
    _legend(axis)


def _rewards(axis: axes.Axes, rewards: Mapping[str, Points]) -> None:
    for name, points in rewards.items():
        axis.plot(*zip(*points, strict=True), label=name)
    axis.set_xlabel("step", fontsize=8)
    axis.set_ylabel("mean reward", fontsize=8)
    _legend(axis)


def _bars(axis: axes.Axes, found: Sequence[tables.TableLine]) -> None:
    names = [f"{_label(entry)} {entry.part}".strip() for entry in found]
    values = [entry.measures[tables.main_measure(list(entry.measures))] for entry in found]
    axis.barh(names, [x.mean for x in values], xerr=_error(values), capsize=2)
    if found:
        axis.set_xlabel(tables.main_measure(list(found[0].measures)), fontsize=8)
