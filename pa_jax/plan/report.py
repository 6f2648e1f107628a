"""The plan as text, as JSON and as a chart."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib import figure

from pa_jax.plan import figures, topology

matplotlib.use("Agg")

HEAD = (
    f"{'phase':16} {'calls':>5} {'TFLOP':>8} {'of model':>8} {'HBM GB':>8} {'ICI GB':>8} "
    f"{'flops ms':>9} {'hbm ms':>8} {'ici ms':>8} {'bound':>6} {'temp GB':>8} {'compile s':>10}"
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is known of a step on a slice. `expected` is the floor over `efficiency`, the share
    of the peaks that a run is assumed to reach; `fill` the share of slots that hold tokens, by
    phase; `trained_tokens` those of the update."""

    name: str
    slice: topology.Slice
    mesh: Mapping[str, int]
    rows: Sequence[figures.Row]
    memory: figures.Memory
    decode: figures.Decode | None
    budget: float
    efficiency: float
    prompts: int
    new_tokens: int
    trained_tokens: int
    fill: Mapping[str, float]
    too_large: Sequence[str]
    advice: Sequence[str]
    left_out: Sequence[str]  # phases that were not compiled

    @property
    def fits(self) -> bool:
        return not self.too_large and self.memory.peak <= self.budget

    @property
    def floor(self) -> float:
        return sum((row.seconds(self.slice).floor for row in self.rows), 0.0)

    @property
    def expected(self) -> float:
        return self.floor / self.efficiency

    def rate(self, count: int) -> float:
        """So many a second; 0 where no phase was compiled."""
        return count / self.expected if self.expected else 0.0

    @property
    def ici_share(self) -> float:
        """Share of the links' seconds in the sum of all three kinds."""
        all_ = [row.seconds(self.slice) for row in self.rows]
        ici = sum(s.ici for s in all_)
        return ici / max(sum(s.flops + s.hbm + s.ici for s in all_), 1e-12)


def table(plan: Plan) -> str:
    """Phases, then bytes, then what follows from them."""
    mesh = " x ".join(f"{name}={n}" for name, n in plan.mesh.items())
    lines = [
        f"{plan.name} on {plan.slice.name}: {plan.slice.chips} chips, {mesh}; all figures a chip "
        "and a step",
        HEAD,
        *(_phase(row, plan.slice) for row in plan.rows),
        "",
        *_bytes(plan),
        "",
        *_time(plan),
    ]
    return "\n".join(lines)


def _phase(row: figures.Row, slice_: topology.Slice) -> str:
    all_, s = row.load.times(row.calls), row.seconds(slice_)
    ratio = f"{row.load.flops / row.model_flops:.2f}x" if row.model_flops else "-"
    seconds = f"{row.compile_seconds:.1f}{' kept' if row.kept else ''}"
    if row.name == figures.DECODE:
        seconds = "(above)"
    return (
        f"{row.name:16} {row.calls:5.0f} {all_.flops / 1e12:8.3g} {ratio:>8} "
        f"{all_.hbm_bytes / 1e9:8.3g} {all_.ici_bytes / 1e9:8.3g} {s.flops * 1e3:9.3g} "
        f"{s.hbm * 1e3:8.3g} {s.ici * 1e3:8.3g} {s.bound:>6} {row.temporaries / 1e9:8.3g} "
        f"{seconds:>10}"
    )


def _bytes(plan: Plan) -> list[str]:
    memory = plan.memory
    parts = [*memory.resident.items(), ("padding", memory.padding)]
    lines = [f"  {name:28} {size / 1e9:8.3g} GB" for name, size in parts]
    lines.append(f"  {f'temporaries ({memory.largest})':28} {memory.temporaries / 1e9:8.3g} GB")
    verdict = "fits" if plan.fits else "does NOT fit"
    if plan.left_out and plan.fits:
        verdict = "what was compiled fits"
    lines.append(
        f"  {'peak, all at once':28} {memory.peak / 1e9:8.4g} GB of {plan.budget / 1e9:.2f}: "
        f"{verdict} {plan.slice.name}"
    )
    if plan.left_out:
        left = ", ".join(plan.left_out)
        lines.append(f"  PARTIAL: {left} not compiled; bytes, time and verdict are without them")
    return lines + [f"  {text}" for text in (*plan.too_large, *plan.advice)]


def _time(plan: Plan) -> list[str]:
    if not plan.rows:
        return ["  no seconds: no phase was compiled"]
    cpu = sum(row.cpu_seconds for row in plan.rows)
    lines = [
        f"  step {plan.floor:.3g} s at the peaks (each phase by what bounds it), expected "
        f"{plan.expected:.3g} s at {plan.efficiency:.0%} of them (assumed): "
        f"{plan.rate(plan.new_tokens):,.0f} new tokens/s, "
        f"{plan.rate(plan.trained_tokens):,.0f} trained tokens/s on the slice",
        f"  links' share of all seconds {plan.ici_share:.0%}; compile "
        f"{sum(row.compile_seconds for row in plan.rows):.0f} s ({cpu:.0f} s of CPU)",
    ]
    full = ", ".join(f"{name} {share:.0%}" for name, share in plan.fill.items())
    lines.append(f"  slots that hold tokens: {full}")
    if plan.decode is not None:
        lines.append(
            f"  a decode step moves {plan.decode.hbm_bytes / 1e9:.3g} GB of HBM, "
            f"{plan.decode.ratio:.2f}x of weights and KV read once"
        )
    return lines


def as_json(plan: Plan) -> dict[str, Any]:
    """What report.json holds."""
    phases = {
        row.name: dataclasses.asdict(row)
        | {
            "roofline_seconds": dataclasses.asdict(row.seconds(plan.slice)),
            "bound": row.seconds(plan.slice).bound,
        }
        for row in plan.rows
    }
    memory = {
        **plan.memory.resident,
        "padding": plan.memory.padding,
        "temporaries": plan.memory.temporaries,
        "temporaries_of": plan.memory.largest,
        "peak": plan.memory.peak,
        "budget": plan.budget,
    }
    return {
        "name": plan.name,
        "slice": plan.slice.name,
        "chips": plan.slice.chips,
        "mesh": dict(plan.mesh),
        "fits": plan.fits,
        "too_large": list(plan.too_large),
        "advice": list(plan.advice),
        "left_out": list(plan.left_out),
        "bytes_per_chip": memory,
        "phases": phases,
        "decode_step": None
        if plan.decode is None
        else dataclasses.asdict(plan.decode) | {"ratio": plan.decode.ratio},
        "step_seconds": {"floor": plan.floor, "expected": plan.expected},
        "efficiency_assumed": plan.efficiency,
        "prompts": plan.prompts,
        "fill": dict(plan.fill),
        "new_tokens_per_second": plan.rate(plan.new_tokens),
        "trained_tokens_per_second": plan.rate(plan.trained_tokens),
        "ici_share": plan.ici_share,
        "compile_seconds": sum(row.compile_seconds for row in plan.rows),
    }


def chart(plan: Plan, path: pathlib.Path) -> None:
    """Bytes stacked against the budget; seconds of each phase by kind."""
    made = figure.Figure(figsize=(11, 4.5), layout="constrained")
    left, right = made.subplots(1, 2, width_ratios=(1, 2))
    parts = {
        **plan.memory.resident,
        "padding": plan.memory.padding,
        f"temporaries ({plan.memory.largest})": plan.memory.temporaries,
    }
    bottom = 0.0
    for name, size in parts.items():
        left.bar([plan.slice.name], [size / 1e9], bottom=bottom, label=name)
        bottom += size / 1e9
    left.axhline(plan.budget / 1e9, color="black", linestyle="--", label="budget")
    left.set_ylabel("GB a chip")
    left.legend(fontsize=7)
    names = [row.name for row in plan.rows]
    for shift, kind in enumerate(("flops", "hbm", "ici")):
        values = [getattr(row.seconds(plan.slice), kind) * 1e3 for row in plan.rows]
        right.bar([i + 0.27 * (shift - 1) for i in range(len(names))], values, 0.27, label=kind)
    right.set_xticks(range(len(names)), names, rotation=20)
    right.set_ylabel("ms a step at the peaks")
    right.set_title(plan.name)
    right.legend()
    made.savefig(path, dpi=120)
