"""Records of a grid as figures with intervals, differences from a baseline, and Markdown."""

import collections
import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pa_jax.evaluate import metrics
from pa_jax.evaluate.benchmarks import protocol

CURVES = ("aloe", "aloe_rlpa", "aloe_unseen")  # benchmarks whose rows are turns of a case
SHOWN = 3  # samples a system


@dataclasses.dataclass(frozen=True)
class TableLine:
    """One line of a table: a system of a model on one part of a benchmark.

    n           rows with a verdict; `failed` are the ones without
    cut         rows whose prompt had to leave messages out
    clusters    users or dialogues, the units of the bootstrap
    measures    intervals by name
    difference  of the main measure from the baseline system's, on the items both have
    gain        of the main measure over the model `against` under the same system
    curve       ALOE's summary of AL(k), and AL(k) itself
    """

    benchmark: str
    part: str
    model: str
    system: str
    n: int
    failed: int
    cut: int
    clusters: int
    measures: dict[str, metrics.Interval]
    difference: metrics.Interval | None
    gain: metrics.Interval | None
    curve: metrics.CurveInterval | None


def main_measure(names: Sequence[str]) -> str:
    """What a table compares: accuracy or alignment where there is one, else the first."""
    for name in ("accuracy", "accuracy_strict", "alignment", "token_f1"):
        if name in names:
            return name
    return names[0]


def entries(rows: Sequence[protocol.Row], *, baseline: str, against: str) -> list[TableLine]:
    """An entry a benchmark, part, model and system, compared with a system and with a model."""
    groups: dict[tuple, list[protocol.Row]] = collections.defaultdict(list)
    for row in rows:
        groups[row["benchmark"], row["part"], row["model"], row["system"]].append(row)
    made = []
    for (benchmark, part, model, system), found in groups.items():
        made.append(
            TableLine(
                benchmark,
                part,
                model,
                system,
                n=sum(not row["failed"] for row in found),
                failed=sum(row["failed"] for row in found),
                cut=sum(bool(row.get("cut")) for row in found),
                clusters=len({row["cluster"] for row in found}),
                measures=measured(found),
                difference=_difference(found, groups.get((benchmark, part, model, baseline))),
                gain=_difference(found, groups.get((benchmark, part, against, system))),
                curve=_curve(found) if benchmark in CURVES else None,
            )
        )
    return sorted(made, key=lambda e: (e.benchmark, _level(e.part), e.model, e.system))


def measured(rows: Sequence[protocol.Row]) -> dict[str, metrics.Interval]:
    """Intervals of every measure over the rows that have it, drawn by cluster."""
    names = list(dict.fromkeys(name for row in rows for name in row["measures"]))
    out = {}
    for name in names:
        having = [row for row in rows if name in row["measures"]]
        out[name] = metrics.interval(
            [row["measures"][name] for row in having], clusters=[row["cluster"] for row in having]
        )
    return out


def _difference(
    found: Sequence[protocol.Row], base: Sequence[protocol.Row] | None
) -> metrics.Interval | None:
    if not base or base is found:
        return None
    names = [name for row in found for name in row["measures"]]
    if not names:
        return None
    name = main_measure(list(dict.fromkeys(names)))
    ours, theirs = (
        {row["id"]: row["measures"][name] for row in of if name in row["measures"]}
        for of in (found, base)
    )
    return metrics.paired(ours, theirs, clusters={row["id"]: row["cluster"] for row in found})


def _curve(rows: Sequence[protocol.Row]) -> metrics.CurveInterval | None:
    turns = sorted({row["turn"] for row in rows})
    cases = list(dict.fromkeys(row["case"] for row in rows))
    users = {row["case"]: row["cluster"] for row in rows}
    scores = np.full((len(cases), len(turns)), np.nan)
    for row in rows:
        at = cases.index(row["case"]), turns.index(row["turn"])
        scores[at] = row["measures"].get("alignment", np.nan)
    if len(turns) < 2 or not np.isfinite(scores).any(axis=0).all():
        return None
    return metrics.curve_interval(scores, clusters=[users[case] for case in cases])


def _level(part: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*?)\s*\b([NT])=([0-9]+)", part)
    return (f"{found[1]} {found[2]}".strip(), int(found[3])) if found else (part, -1)


def kind_of(part: str) -> str:
    """What of a part is not its number: "untold T" of "untold T=4"."""
    return _level(part)[0]


def level_of(part: str) -> int | None:
    """The number that a part names: pairs of noise (N=10) or turns (T=30); None without one."""
    number = _level(part)[1]
    return None if number < 0 else number


def slopes(rows: Sequence[protocol.Row]) -> list[dict[str, Any]]:
    """Change of the main measure a pair of noise or a turn, by benchmark, model and system."""
    groups: dict[tuple, list[protocol.Row]] = collections.defaultdict(list)
    for row in rows:
        if level_of(row["part"]) is not None and row["measures"]:
            name = kind_of(row["part"])
            groups[row["benchmark"], name, row["model"], row["system"]].append(row)
    out = []
    for (benchmark, part, model, system), found in groups.items():
        measure = main_measure(list(found[0]["measures"]))
        having = [row for row in found if measure in row["measures"]]
        slope = metrics.slope(
            np.array([level_of(row["part"]) for row in having], np.float64),
            [row["measures"][measure] for row in having],
            clusters=[row["cluster"] for row in having],
        )
        if slope is not None:
            cell = {"benchmark": benchmark, "part": part, "model": model, "system": system}
            out.append(cell | {"measure": measure, "slope": slope})
    return out


def as_json(found: Sequence[TableLine]) -> list[dict[str, Any]]:
    """The entries as plain values."""
    return [dataclasses.asdict(entry) for entry in found]


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells of one table, as text."""

    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def tabled(
    found: Sequence[TableLine], changes: Sequence[dict[str, Any]], baseline: str, against: str
) -> list[Table]:
    """A table a benchmark with n, failures and every measure, and one of the slopes."""
    out = []
    for benchmark in dict.fromkeys(entry.benchmark for entry in found):
        of = [entry for entry in found if entry.benchmark == benchmark]
        names = list(dict.fromkeys(name for entry in of for name in entry.measures))
        parts = any(entry.part for entry in of)
        curves = any(entry.curve for entry in of)
        differences = any(entry.difference for entry in of)
        gains = any(entry.gain for entry in of)
        head = ["part"] * parts + ["model", "system", "n", "failed", "cut", *names]
        head += ["IR", "N-IR", "R2"] * curves + [f"against {baseline}"] * differences
        head += [f"against {against}"] * gains
        lines = []
        for e in of:
            cells = [e.part] * parts + [e.model, e.system, str(e.n), str(e.failed), str(e.cut)]
            cells += [str(e.measures.get(name, "-")) for name in names]
            if curves:
                c = e.curve
                cells += [str(c.ir), str(c.n_ir), str(c.r2)] if c else ["-"] * 3
            cells += [signed(e.difference)] * differences + [signed(e.gain)] * gains
            lines.append(tuple(cells))
        out.append(Table(benchmark, tuple(head), tuple(lines)))
    if changes:
        of_changes = ("benchmark", "part", "model", "system", "measure", "change a turn")
        lines = [(*(c[k] for k in of_changes[:5]), signed(c["slope"], 5)) for c in changes]
        out.append(Table("change with noise or turns", of_changes, tuple(lines)))
    return out


def markdown(made: Sequence[Table]) -> str:
    """The tables one after the other."""
    blocks = []
    for table in made:
        lines = [_line(table.head), _line(["---"] * len(table.head)), *map(_line, table.lines)]
        blocks.append(f"## {table.title}\n\n" + "\n".join(lines))
    return "\n\n".join(blocks)


@dataclasses.dataclass(frozen=True)
class ReplySample:
    """One reply to read."""

    title: str
    id: str
    user: str
    text: str
    measures: str


def samples(rows: Sequence[protocol.Row]) -> list[ReplySample]:
    """SHOWN replies of every benchmark, model and system that writes any, evenly spread."""
    groups: dict[tuple, list[protocol.Row]] = collections.defaultdict(list)
    for row in rows:
        if "text" in row:
            groups[row["benchmark"], row["model"], row["system"]].append(row)
    return [
        ReplySample(
            title=", ".join(key),
            id=row["id"],
            user=_short(row.get("user", "")),
            text=_short(row["text"]),
            measures=", ".join(f"{k} {v:g}" for k, v in row["measures"].items()) or "no verdict",
        )
        for key, found in groups.items()
        for row in found[:: max(1, len(found) // SHOWN)][:SHOWN]
    ]


def samples_markdown(found: Sequence[ReplySample]) -> str:
    """The samples as lists under their titles."""
    lines = []
    for title in dict.fromkeys(sample.title for sample in found):
        lines += [f"### {title}", ""]
        for one in found:
            if one.title == title:
                said = f"*{_plain(one.user)}* > " if one.user else ""
                lines.append(f"- `{one.id}` {said}{_plain(one.text)} ({one.measures})")
        lines.append("")
    return "\n".join(lines)


def _plain(text: str) -> str:
    return re.sub(r"([*_`<])", r"\\\1", text)


def signed(x: metrics.Interval | None, digits: int = 3) -> str:
    """A difference with its sign, "-" where there is none."""
    if x is None:
        return "-"
    return f"{x.mean:+.{digits}f} [{x.low:+.{digits}f}, {x.high:+.{digits}f}]"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _short(text: str, width: int = 240) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 3] + "..."
