"""Records of a grid as figures with intervals, differences from a baseline, and Markdown."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pa_jax.evaluate import metrics
from pa_jax.evaluate.benchmarks import protocol

CURVES = ("aloe", "aloe_rlpa")  # benchmarks whose rows are turns of a case
SHOWN = 3  # samples a system


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of a table: a system of a model on one part of a benchmark.

    n           rows with a verdict; `failed` are the ones without
    cut         rows whose prompt had to leave messages out
    clusters    users or dialogues, the units of the bootstrap
    measures    intervals by name
    difference  of the main measure from the baseline system's, on the items both have
    gain        of the main measure over the untrained model under the same system
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


def entries(rows: Sequence[protocol.Row], *, baseline: str, untrained: str) -> list[Entry]:
    """An entry a benchmark, part, model and system, compared with a system and with a model."""
    groups: dict[tuple, list[protocol.Row]] = collections.defaultdict(list)
    for row in rows:
        groups[row["benchmark"], row["part"], row["model"], row["system"]].append(row)
    made = []
    for (benchmark, part, model, system), found in groups.items():
        made.append(
            Entry(
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
                gain=_difference(found, groups.get((benchmark, part, untrained, system))),
                curve=_curve(found) if benchmark in CURVES else None,
            )
        )
    return sorted(made, key=lambda e: (e.benchmark, _noise(e.part), e.model, e.system))


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


def _noise(part: str) -> tuple[str, int]:
    name, _, number = part.partition(" N=")
    return name, int(number) if number.isdigit() else -1


def noise_of(entry: Entry) -> int | None:
    """The pairs of noise that the entry's part names, None where it names none."""
    number = _noise(entry.part)[1]
    return None if number < 0 else number


def as_json(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries as plain values."""
    return [dataclasses.asdict(entry) for entry in found]


def markdown(found: Sequence[Entry], baseline: str) -> str:
    """A table a benchmark: n, failures and every measure with its 95 % interval."""
    blocks = []
    for benchmark in dict.fromkeys(entry.benchmark for entry in found):
        of = [entry for entry in found if entry.benchmark == benchmark]
        names = list(dict.fromkeys(name for entry in of for name in entry.measures))
        parts = any(entry.part for entry in of)
        curves = any(entry.curve for entry in of)
        head = ["part"] * parts + ["model", "system", "n", "failed", "cut", *names]
        gains = any(entry.gain for entry in of)
        head += ["IR", "N-IR", "R2"] * curves + [f"against {baseline}"]
        head += ["against untrained"] * gains
        lines = [_line(head), _line(["---"] * len(head))]
        for e in of:
            cells = [e.part] * parts + [e.model, e.system, str(e.n), str(e.failed), str(e.cut)]
            cells += [str(e.measures.get(name, "-")) for name in names]
            if curves:
                c = e.curve
                cells += [str(c.ir), str(c.n_ir), str(c.r2)] if c else ["-"] * 3
            lines.append(_line([*cells, _signed(e.difference), *[_signed(e.gain)] * gains]))
        blocks.append(f"## {benchmark}\n\n" + "\n".join(lines))
    return "\n\n".join(blocks)


def samples(rows: Sequence[protocol.Row]) -> str:
    """Some replies to read, with what the judge made of them."""
    groups: dict[tuple, list[protocol.Row]] = collections.defaultdict(list)
    for row in rows:
        if "text" in row:
            groups[row["benchmark"], row["model"], row["system"]].append(row)
    blocks = []
    for (benchmark, model, system), found in groups.items():
        lines = [f"### {benchmark}, {model}, {system}", ""]
        for row in found[:: max(1, len(found) // SHOWN)][:SHOWN]:
            figures = ", ".join(f"{k} {v:g}" for k, v in row["measures"].items())
            said = f" *{_short(row['user'])}*" if row.get("user") else ""
            lines.append(f"- `{row['id']}`{said} > {_short(row['text'])} ({figures or 'failed'})")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _signed(x: metrics.Interval | None) -> str:
    return "-" if x is None else f"{x.mean:+.3f} [{x.low:+.3f}, {x.high:+.3f}]"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _short(text: str, width: int = 240) -> str:
    flat = " ".join(text.split()).replace("*", "\\*")
    return flat if len(flat) <= width else flat[: width - 3] + "..."
