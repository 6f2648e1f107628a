"""A training run as one HTML page: its verdict, held-out figures and curves; the rest is folded.

Everything comes from what the work directory holds; what has no file there is left out.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pa_jax.dialogue import schema
from pa_jax.evaluate import heldout
from pa_jax.evaluate.reports import page, plots, run_verdict

TEXTS = 12  # held-out ones shown
SHOWN_CHARS = 240  # of each text of them
WORST = 3  # of them beside the verdict
TREES = 6  # sample trees shown
PHASES = ("data", "rollout", "judge", "logprobs", "update")
EVALUATED = ("token_f1", "criteria_mean", "finished", "copies", "wrong_stances")

_STYLE = """
.trunk, .branch { border: 1px solid var(--line); border-radius: 6px; padding: .6em .8em; }
.trunk { background: var(--soft); }
.trunk p { margin: .2em 0; }
.branches { display: grid; gap: .6em; margin: .6em 0 2em 0;
            grid-template-columns: repeat(auto-fill, minmax(15em, 1fr)); }
.branch p.said { margin: .3em 0 .6em; overflow-wrap: anywhere; }
.branch dl { margin: 0; font-size: 13px; gap: 0 .8em; align-items: center; }
.branch meter { width: 5em; vertical-align: middle; }
.verdict dt { font-weight: 650; } .verdict { font-size: 16px; }
.fold { border-top: 1px solid var(--line); }
.fold h2 { display: inline; font-size: 1.1em; border: 0; }
.fold summary { padding: .35em 0; }
.wide td { max-width: 22em; overflow-wrap: anywhere; }
.up { color: var(--good); } .down { color: var(--bad); }
.prompt { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; }
"""


@dataclasses.dataclass(frozen=True)
class Tree:
    """One group of a step: the episode, the messages it was asked with, and its G answers.

    Where `failed`, the judge gave no verdict: scores, reward and advantage mean nothing.
    """

    step: int
    episode: schema.Episode
    about: tuple[str, ...]  # the episode, beside the user's words and gold
    names: tuple[str, ...]  # of the scores, as far as they are shown
    asked: tuple[schema.Message, ...]
    texts: tuple[str, ...]
    scores: np.ndarray  # [g, k]
    reward: np.ndarray  # [g]
    advantage: np.ndarray  # [g]
    finished: tuple[bool, ...]
    failed: tuple[bool, ...]


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
    sections = {
        "Verdict": _verdict(run),
        "Held-out": _heldout(run),
        "Curves": _curves(run),
    }
    folded = {
        f"Held-out {run.written}": _texts(run),
        "While it trained": _evaluations(run),
        "Rewards": _rewards(run.rows),
        "Sample trees": _trees(run.trees),
        "Time": _time(run.rows, run.evaluations),
        "Failures": [page.table(("what", "count"), list(run.counted.items()))],
        "Config": [page.facts(run.config)],
    }
    sections, folded = (
        {name: parts for name, parts in some.items() if parts} for some in (sections, folded)
    )
    links = "".join(f'<a href="#{_anchor(name)}">{name}</a>' for name in (*sections, *folded))
    body = [f"<nav>{links}</nav>"]
    for name, parts in sections.items():
        body += [f'<h2 id="{_anchor(name)}">{name}</h2>', *parts]
    for name, parts in folded.items():  # browsers open one when a link leads into it
        body += [
            f'<details class="fold"><summary><h2>{name}</h2></summary>',
            f'<div id="{_anchor(name)}">',
            *parts,
            "</div></details>",
        ]
    return page.document(run.title, body, style=_STYLE)


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


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _verdict(run: Run) -> list[str]:
    """What became better and what worse, wrong stances, a collapse; then what the run was."""
    lines = []
    if run.before and run.after:
        moved = run_verdict.changes(run.before, run.after)
        for title, good, style in (("Better", True, "up"), ("Worse", False, "down")):
            those = [change for change in moved.values() if change.better is good]
            lines.append((title, ", ".join(map(_moved, those)) or "nothing", style))
        stances = moved["wrong_stances"]
        count = sum(record.wrong_stances > 0 for record in run.after)
        lines.append(
            (
                "Wrong stances",
                f"in {count} of {len(run.after)} {run.written} ({100 * stances.before.mean:.0f} % "
                f"before, {100 * stances.after.mean:.0f} % after)",
                "down" if count else "",
            )
        )
    elif run.before:
        lines.append(("Not finished yet", 'there is no "after"', ""))
    for what in run_verdict.collapse(run.rows, run.evaluations, run.config.get("eval.best")):
        lines.append(("Collapse", what, "down"))
    said = "".join(
        f'<dt class="{style}">{title}</dt><dd>{page.text(text)}</dd>'
        for title, text, style in lines
    )
    parts = [f'<dl class="verdict">{said}</dl>'] if lines else []
    if run.before and run.after:
        pairs = run_verdict.worst_first(run.before, run.after)[:WORST]
        parts += [f"<h3>The worst {run.written}</h3>", _pairs(pairs)]
    return [*parts, page.facts(run.about)] if parts else []


def _moved(change: run_verdict.MeasureChange) -> str:
    noise = " (within noise)" if "noise" in change.word else ""
    return f"{change.name} {change.before.mean:.3f} \u2192 {change.after.mean:.3f}{noise}"


def _heldout(run: Run) -> list[str]:
    if not run.before:
        return []
    one, two = heldout.summary(run.before), heldout.summary(run.after) if run.after else {}
    best = heldout.summary(run.best) if run.best else {}
    moved = run_verdict.changes(run.before, run.after) if run.after else {}
    lines = [
        (
            name,
            one[name],
            two.get(name, "-"),
            moved[name].word if moved else "",
            *((best[name],) if best else ()),
        )
        for name in one
    ]
    head = ("measure", "before", "after", "", *(("best checkpoint",) if best else ()))
    parts = [
        f'<p class="note">Greedy {run.written} of held-out episodes, scored by {run.measured}; '
        f"means with 95 % bootstrap intervals over {len(run.before)} episodes. Rises and falls are "
        "of each episode against itself.</p>",
        page.table(head, lines),
    ]
    if two:
        drawn = page.image(plots.svg(plots.before_after(one, two)), "Before and after training")
        parts.append(f"<details><summary>As a chart</summary>{drawn}</details>")
    return parts


def _texts(run: Run) -> list[str]:
    """Held-out texts, the worst first."""
    if not (run.before and run.after):
        return []
    pairs = run_verdict.worst_first(run.before, run.after)[:TEXTS]
    note = "Wrong stances first, then what agrees least with gold."
    return [f'<p class="note">{note}</p>', _pairs(pairs)]


def _pairs(pairs: Sequence[tuple[heldout.Record, heldout.Record]]) -> str:
    lines = [
        (
            _cut(a.user),
            _cut(a.gold),
            f"{_cut(a.text)} (F1 {a.f1:.2f})",
            f"{_cut(b.text)} (F1 {b.f1:.2f}{', wrong stance' if b.wrong_stances else ''})",
        )
        for a, b in pairs
    ]
    return page.table(("the user said", "gold", "before", "after"), lines)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}\u2026"


def _evaluations(run: Run) -> list[str]:
    """A line an evaluation; the best by the run's figure is named."""
    rows, figure = run.evaluations, run.config.get("eval.best", "")
    if not rows:
        return []
    best = max(rows, key=lambda row: row[figure])  # the first of equal ones
    lines = [
        (
            row["step"],
            row["phase"],
            *(f"{row[name]:.3f}" for name in EVALUATED),
            "best" if row is best else "",
        )
        for row in rows
    ]
    note = (
        f"The same {run.config.get('eval.part')} held-out episodes every time; kept as the best is "
        f"the checkpoint with the highest {figure}. Chosen on them, its figure there flatters it."
    )
    head = ("steps done", "phase", *EVALUATED, "")
    return [f'<p class="note">{page.text(note)}</p>', page.table(head, lines)]


def _curves(run: Run) -> list[str]:
    if not run.rows:
        return []
    made = plots.training(run.rows, run.evaluations)
    return [page.image(plots.svg(made), "Curves of the run by step")]


def _rewards(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for name in ("mean", *plots.rewards(rows)):
        found = [row.get(f"reward/{name}") for row in rows]
        values = [v for v in found if v is not None]  # steps with a verdict
        if values:
            part = max(1, len(values) // 4)
            shown = values[0], values[-1], np.mean(values[:part]), np.mean(values[-part:])
            label = "reward" if name == "mean" else name
            lines.append((label, *(f"{value:.3f}" for value in shown)))
    head = ("by the training judge", "first step", "last step", "first quarter", "last quarter")
    return [page.table(head, lines)] if lines else []


def _time(rows: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    whole = sum(row["seconds/step"] for row in rows)
    lines = []
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
    head = ("phase", "seconds in all", "share", "first step (compiles)", "mean of later steps")
    return [page.table(head, lines)]


def _trees(trees: Sequence[Tree]) -> list[str]:
    if not trees:
        return []
    note = (
        "The first group of some steps: the prompt is the trunk, computed once; below it its "
        "answers with the scores of the training judge."
    )
    return [f'<p class="note">{note}</p>', *map(_tree, trees)]


def _tree(tree: Tree) -> str:
    episode, text = tree.episode, page.text
    asked = "\n\n".join(f"[{message.role}]\n{message.content}" for message in tree.asked)
    gold = "-" if episode.gold is None else episode.gold
    about = "".join(f"<p>{text(one)}</p>" for one in tree.about)
    branches = "".join(_branch(tree, i) for i in range(len(tree.texts)))
    return (
        f"<h3>Step {tree.step}</h3>"
        f'<div class="trunk"><p><b>User</b> {text(episode.user)}</p>'
        f"<p><b>Gold</b> {text(gold)}</p>{about}"
        f"<details><summary>The whole prompt, episode {text(episode.id)}</summary>"
        f'<div class="prompt">{text(asked)}</div></details></div>'
        f'<div class="branches">{branches}</div>'
    )


def _branch(tree: Tree, i: int) -> str:
    cut = "" if tree.finished[i] else " <b>(cut)</b>"
    said = f'<p class="said">{page.text(tree.texts[i])}{cut}</p>'
    if tree.failed[i]:
        return f'<div class="branch">{said}<p><b>no verdict</b>, left out</p></div>'
    lines = "".join(
        f"<dt>{name.replace('_', ' ')}</dt>"
        f'<dd><meter min="0" max="1" value="{value:.3f}">{value:.3f}</meter> {value:.2f}</dd>'
        for name, value in zip(tree.names, tree.scores[i], strict=False)
    )
    advantage = float(tree.advantage[i])
    sign = "up" if advantage > 0 else "down" if advantage < 0 else ""
    reward = float(tree.reward[i])
    shown = f"{reward:.3f}" if math.isfinite(reward) else "-"
    return (
        f'<div class="branch">{said}<dl>{lines}<dt>reward</dt><dd>{shown}</dd>'
        f'<dt>advantage</dt><dd class="{sign}">{advantage:+.2f}</dd></dl></div>'
    )
