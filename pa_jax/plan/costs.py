"""What a step costs on paper: seconds by phase, bytes and dollars, by slice and by length."""

import dataclasses
from collections.abc import Mapping, Sequence

import ml_collections

from pa_jax.plan import figures, report, topology

HOUR = 3600.0
PHASES = ("reshard", figures.ROLLOUT, figures.DECODE, "judge", "reference", "update")


@dataclasses.dataclass(frozen=True)
class CostsConfig:
    """slices  of the table; (): no table
    cases   (tokens of a prompt, of a completion, prompts a chip) of a slice's lines, by kind of
            chip
    apart   tokens that the judge reads before a completion beside those of the prompt
    ep      of the mesh, by kind of chip
    prices  dollars a chip and hour, by kind of chip
    read    whose prices they are, and of which day
    compile by the compiler; else estimated from shapes
    """

    slices: tuple[str, ...]
    cases: Mapping[str, tuple[tuple[int, int, int], ...]]
    apart: int
    ep: Mapping[str, int]
    prices: Mapping[str, float]
    read: str
    compile: bool

    def lines(self, slice_: topology.Slice) -> tuple[tuple[int, int, int], ...]:
        """The cases of its kind of chip; ValueError where there are none."""
        if slice_.chip.name not in self.cases:
            raise ValueError(
                f"costs.cases has {', '.join(sorted(self.cases))}, not {slice_.chip.name}, of "
                f"{slice_.name}; choose another slice, or add its cases to configs/plan.py."
            )
        return self.cases[slice_.chip.name]

    def price(self, slice_: topology.Slice) -> float | None:
        """Dollars an hour of the whole slice; None where its chip has no price."""
        price = self.prices.get(slice_.chip.name)
        return None if price is None else slice_.chips * price


def on(
    config: ml_collections.ConfigDict, cfg: CostsConfig, name: str, case: tuple[int, int, int]
) -> ml_collections.ConfigDict:
    """The config on a slice, with prompts and completions of that many tokens."""
    slice_, (prompt, completion, a_chip) = topology.named(name), case
    made = config.copy_and_resolve_references()
    made.slice = slice_.name
    made.mesh.ep = cfg.ep.get(slice_.chip.name, config.mesh.ep)
    made.tokens.prompt, made.tokens.completion = prompt, completion
    made.tokens.judge = prompt + cfg.apart
    made.rollout.prompts = a_chip * slice_.chips
    return made


def table(plans: Sequence[tuple[report.Plan, tuple[int, int, int]]], cfg: CostsConfig) -> str:
    """A line a plan and case, in Markdown; bytes and milliseconds are a chip's, at the peaks.

    Behind a phase's milliseconds stands what bounds them.
    """
    names = [name for name in PHASES if any(_row(plan, name) for plan, _ in plans)]
    head = [
        "slice", "P", "C", "prompts a chip", "prompts a step", "resident GB", "peak GB", "fits",
        *(f"{name} ms" for name in names), "step s", "bound by", "prompts/s",
        "expected", "$ an hour", "$ a 1,000 prompts",
    ]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for plan, (prompt, completion, a_chip) in plans:
        price = cfg.price(plan.slice)
        cells = [
            plan.slice.name,
            f"{prompt}",
            f"{completion}",
            f"{a_chip}",
            f"{plan.prompts:,}",
            f"{sum(plan.memory.resident.values()) / 1e9:.1f}",
            f"{plan.memory.peak / 1e9:.1f} of {plan.budget / 1e9:.1f}",
            "yes" if plan.fits else "no",
            *(_cell(_row(plan, name), plan.slice) for name in names),
            *_whole(plan, price),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    kinds = sorted({plan.slice.chip.name for plan, _ in plans})
    dollars = ", ".join(f"{kind} {cfg.prices[kind]:.2f}" for kind in kinds if kind in cfg.prices)
    told = [f"Dollars a chip and hour: {dollars} ({cfg.read})."] if dollars else []
    told += [
        f"Of {kind} no price is known here: add it and its day to configs/plan.py."
        for kind in kinds
        if kind not in cfg.prices
    ]
    first = plans[0][0]
    return "\n".join(
        [
            *lines,
            "",
            f"`expected` and the dollars behind it are at {first.efficiency:.0%} of the peaks, "
            f"which is assumed. {' '.join(told)}",
        ]
    )


def _whole(plan: report.Plan, price: float | None) -> list[str]:
    """Of the step and its dollars; of one whose phases are not all known none but the hour's."""
    hourly = "-" if price is None else f"{price:,.2f}"
    if plan.too_large:
        return ["-", "-", "-", "-", hourly, "-"]
    expected = plan.prompts / plan.expected
    return [
        f"{plan.floor:.2f}",
        bound(plan),
        f"{plan.prompts / plan.floor:,.0f}",
        f"{expected:,.0f}",
        hourly,
        "-" if price is None else f"{price / HOUR / expected * 1000:,.2f}",
    ]


def bound(plan: report.Plan) -> str:
    """What the largest share of the step's floor is bound by, and how large that share is."""
    spent = dict.fromkeys(("flops", "hbm", "ici"), 0.0)
    for row in plan.rows:
        seconds = row.seconds(plan.slice)
        spent[seconds.bound] += seconds.floor
    name = max(spent, key=lambda one: spent[one])
    return f"{name} {spent[name] / max(plan.floor, 1e-12):.0%}"


def _row(plan: report.Plan, name: str) -> figures.Row | None:
    return next((row for row in plan.rows if row.name == name), None)


def _cell(row: figures.Row | None, slice_: topology.Slice) -> str:
    if row is None:
        return "-"
    seconds = row.seconds(slice_)
    return f"{seconds.floor * 1e3:,.0f} {seconds.bound}"
