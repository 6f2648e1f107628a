"""The bench's figures as a table, as JSON and as a picture."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import matplotlib
from matplotlib import figure
from matplotlib.axes import Axes

from pa_jax.bench import measure

matplotlib.use("Agg")

HEAD = (
    f"{'phase':9} {'forest s':>8} {'flat s':>8} {'ratio':>7} {'wanted':>7} {'forest tok/s':>12} "
    f"{'flat tok/s':>11} {'forest TFLOP':>12} {'flat TFLOP':>11} {'GFLOP/s f/f':>12} "
    f"{'fill f/f':>9} {'rows f/f':>9} {'compile f/f s':>14}  largest difference (allowed)"
)


def table(name: str, rows: Sequence[measure.Figures], wanted: Mapping[str, float]) -> str:
    """One line a phase under the name of the sizes and a head line."""
    return "\n".join([f"{name}:", HEAD, *(line(row, wanted.get(row.name)) for row in rows)])


def line(row: measure.Figures, wanted: float | None) -> str:
    """A phase's line of the table; "!" marks a ratio under the one wanted."""
    t, f = row.forest, row.flat
    mark = "" if wanted is None else f">={wanted:g}{'' if row.ratio >= wanted else ' !'}"
    rates = f"{t.gflop_a_second:.0f}/{f.gflop_a_second:.0f}"
    compiled = f"{t.compile_seconds:.1f}/{f.compile_seconds:.1f}"
    fill, calls = f"{t.fill:.0%}/{f.fill:.0%}", f"{t.rows}/{f.rows}"
    apart = ", ".join(
        f"{kind} {value:.1e} ({row.tolerance[kind]:.0e})" for kind, value in row.difference.items()
    )
    return (
        f"{row.name:9} {t.seconds:8.3f} {f.seconds:8.3f} {row.ratio:6.2f}x {mark:>7} "
        f"{t.tokens_a_second:12,.0f} {f.tokens_a_second:11,.0f} {t.tflop:12.4g} {f.tflop:11.4g} "
        f"{rates:>12} {fill:>9} {calls:>9} {compiled:>14}  {apart}"
    )


def figures(rows: Sequence[measure.Figures], wanted: Mapping[str, float]) -> dict[str, Any]:
    """What report.json holds of the phases at one setting's sizes."""
    return {
        row.name: dataclasses.asdict(row)
        | {
            "wanted": wanted.get(row.name),
            "met": row.name not in wanted or row.ratio >= wanted[row.name],
        }
        for row in rows
    }


def machine() -> dict[str, Any]:
    """What the figures were measured with and on."""
    return {
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "backend": jax.default_backend(),
    }


def picture(
    rows: Mapping[str, Sequence[measure.Figures]],
    wanted: Mapping[str, Mapping[str, float]],
    path: pathlib.Path,
) -> None:
    """Bars of each phase's ratio by time and by FLOPs, and a mark at the ratio wanted."""
    most = max(map(len, rows.values()))
    fig = figure.Figure(figsize=(1.4 * most + 2, 3.2 * len(rows)), layout="constrained")
    axes = fig.subplots(len(rows), squeeze=False)[:, 0]
    for axis, (name, of_name) in zip(axes, rows.items(), strict=True):
        _bars(axis, name, of_name, wanted.get(name, {}))
    fig.savefig(path, dpi=110)


def _bars(
    axis: Axes, name: str, rows: Sequence[measure.Figures], wanted: Mapping[str, float]
) -> None:
    at = range(len(rows))
    bars = axis.bar([i - 0.2 for i in at], [row.ratio for row in rows], 0.4, label="time")
    axis.bar_label(bars, fmt="%.1fx", fontsize=8)
    axis.bar(
        [i + 0.2 for i in at], [row.flops_ratio for row in rows], 0.4, label="FLOPs", alpha=0.5
    )
    for i, row in enumerate(rows):
        if row.name in wanted:
            axis.hlines(wanted[row.name], i - 0.45, i + 0.05, color="black", linestyles="dashed")
    axis.axhline(1.0, color="grey", linewidth=0.8)
    axis.set_xticks(at, [row.name for row in rows])
    axis.tick_params(labelsize=8)
    axis.set_title(f"{name}: flat over forest (dashed: wanted)", fontsize=9)
    axis.legend(fontsize=8)
