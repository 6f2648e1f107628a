"""Measure judges on episodes with gold: AUC per criterion, aggregate, canaries, agreement."""

import json
import pathlib
import time

import ml_collections
import tqdm

from pa_jax import judge as judges
from pa_jax.core import files
from pa_jax.jobs import setup
from pa_jax.judge import agreement


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `judge` job: one table, and report.json with the same figures."""
    setup.open_workdir(config, workdir)
    episodes = setup.labelled(setup.open_episodes(config, workdir, config.split))
    others = setup.labelled(setup.open_episodes(config, workdir, "train"))
    chosen = setup.spread(episodes, config.episodes)
    lenders = setup.spread(others, config.episodes)
    model = setup.load_model(config)
    reports = {}
    for kind in config.kinds:
        began = time.monotonic()
        words = None if kind == "reference" else model.tokenizer
        reports[kind] = agreement.measure(
            judges.Judge(kind, model=model, rows=config.rows),
            chosen,
            lenders,
            seed=config.seed,
            words=words,
        ) | {"seconds": round(time.monotonic() - began, 1)}
        files.atomic_write(workdir / "report.json", json.dumps(reports, indent=2) + "\n")
    tqdm.tqdm.write(table(reports))
    tqdm.tqdm.write(f"{workdir}/report.json holds these figures.")


def table(reports: dict[str, dict]) -> str:
    """A line a figure, a column a judge."""
    flat = {kind: setup.flat(report) for kind, report in reports.items()}
    names = list(dict.fromkeys(name for figures in flat.values() for name in figures))
    width = max(map(len, names))
    lines = [" " * width + "".join(f"{kind:>13}" for kind in flat)]
    for name in names:
        cells = [figures.get(name) for figures in flat.values()]
        shown = (f"{x:13.3f}" if isinstance(x, float) else f"{x!s:>13.13}" for x in cells)
        lines.append(f"{name:{width}}" + "".join(shown))
    return "\n".join(lines)
