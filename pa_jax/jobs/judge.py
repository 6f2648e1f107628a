"""Measure judges on episodes with gold: on right and spoilt snippets, on each other, on labels."""

import contextlib
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import ml_collections
import tqdm

from pa_jax import infer, judge, models
from pa_jax.core import files
from pa_jax.evaluate.judges import agreement, bias, sheet
from pa_jax.jobs import setup
from pa_jax.judge import rubric


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `judge` job: one table, and report.json with the same figures; or a sheet to label."""
    for kind in config.kinds:
        judge.require_kind(kind, key="kinds")
    labels = {path: sheet.read(pathlib.Path(path)) for path in config.labels.split(",") if path}
    setup.open_workdir(config, workdir)
    made = open_cases(config, workdir)
    if config.sheet:
        count = sheet.write(pathlib.Path(config.sheet), made, seed=config.seed)
        tqdm.tqdm.write(f"{config.sheet} holds {count} notes to rate from 1 to 5.")
        return
    needs_model = any(map(judge.reads_a_model, config.kinds))
    model = setup.load_model(config) if needs_model else None
    own = written(config, model, made[: config.bias]) if model and config.bias else None
    report: dict[str, Any] = {}
    scores = {}
    for kind in config.kinds:
        scores[kind], report[kind] = measured(config, workdir, kind, model, made, own)
        if labels:
            report[kind]["labels"] = sheet.against_judge(made, scores[kind], sheet.merged(labels))
        files.atomic_write(workdir / "report.json", json.dumps(report, indent=2) + "\n")
    tqdm.tqdm.write(table(report))
    pairs = agreement.between(made, scores) | sheet.between(labels)
    if pairs:
        tqdm.tqdm.write(table(pairs))
        both = json.dumps(report | {"between": pairs}, indent=2)
        files.atomic_write(workdir / "report.json", both + "\n")
    tqdm.tqdm.write(f"{workdir}/report.json holds these figures.")


def open_cases(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> list[agreement.Case]:
    """The cases of config's data, split, episodes and seed."""
    episodes = setup.labelled(setup.open_episodes(config, workdir, config.split))
    others = setup.labelled(setup.open_episodes(config, workdir, "train"))
    chosen, lenders = (setup.spread(found, config.episodes) for found in (episodes, others))
    return agreement.cases(chosen, lenders, seed=config.seed)


def measured(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    kind: str,
    model: models.LoadedModel | None,
    made: Sequence[agreement.Case],
    own: Sequence[str] | None,
) -> tuple[rubric.Scores, dict[str, Any]]:
    """One judge's scores of all cases' texts, and its figures."""
    began = time.monotonic()
    words = model.tokenizer if model and judge.reads_a_model(kind) else None
    behind = setup.endpoint(config.remote, workdir) if kind == "remote" else model
    with contextlib.closing(judge.Judge(kind, model=behind, lengths=config.lengths)) as one:
        scores = agreement.judged(one, made, words)
        report = agreement.figures(made, scores)
        report["canaries_lose"] |= agreement.trapped(one, made, words)
        few = made[: config.bias]
        if few:
            report["bias"] = {
                "length": bias.length(one, few, words, seed=config.seed),
                "position": bias.position(one, few, words),
            }
            if words is not None and own is not None:
                report["bias"]["self"] = bias.self_preference(one, few, own, words)
        if kind == "remote":
            report["remote"] = one.figures()
    return scores, report | {"seconds": round(time.monotonic() - began, 1)}


def written(
    config: ml_collections.ConfigDict, model: models.LoadedModel, made: Sequence[agreement.Case]
) -> list[str]:
    """What the judges' own model writes for the cases, greedily."""
    encode = setup.batch_encoder(config, model.words)
    sampler = infer.Sampler(model, rows=config.eval.rows, lengths=config.lengths)
    done = sampler.generate(
        encode([case.episode for case in made]),
        n=1,
        max_new_tokens=config.eval.max_new_tokens,
        temperature=0.0,
        seed=config.seed,
    )
    return [texts[0] for texts in done.texts]


def table(reports: dict[str, dict]) -> str:
    """A line a figure, a column a judge or pair."""
    flat = {kind: setup.flat(report) for kind, report in reports.items()}
    names = list(dict.fromkeys(name for figures in flat.values() for name in figures))
    width = max(map(len, names))
    wide = max(13, *(len(kind) + 2 for kind in flat))
    lines = [" " * width + "".join(f"{kind:>{wide}}" for kind in flat)]
    for name in names:
        cells = [figures.get(name) for figures in flat.values()]
        shown = (f"{x:{wide}.3f}" if isinstance(x, float) else f"{x!s:>{wide}}" for x in cells)
        lines.append(f"{name:{width}}" + "".join(shown))
    return "\n".join(lines)
