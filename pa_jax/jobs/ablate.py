"""The same GRPO run with other rewards: one work directory an arm, then a table and a plot.

Every arm starts from the same weights with the same seed, data and number of steps; only
reward.weights and reward.aggregate differ. The untrained model is evaluated once for all.
"""

import dataclasses
import itertools
import json
import pathlib
import shutil
from collections.abc import Mapping, Sequence

import jax
import ml_collections
import tqdm
from absl import logging

from pa_jax.core import files
from pa_jax.evaluate import ablation, heldout, plots, tables
from pa_jax.jobs import grpo, report, setup
from pa_jax.judge import rubric

SHORT = dict(zip(("compl", "nohall", "inform", "consist"), rubric.CRITERIA, strict=True))
ALL = "all"
SPLIT = "all-per_criterion"  # each criterion normalised by itself
BEFORE = "heldout-before.json"


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `ablate` job; arms that are finished are passed over, and a stopped one goes on."""
    arms = chosen(config.arms)
    setup.open_workdir(config, workdir)
    found: dict[str, list[heldout.Record]] = {}
    for number, (name, reward) in enumerate(arms.items(), 1):
        folder = workdir / name
        one = arm_config(config, reward)
        closing = folder / f"heldout-after-{config.train.steps}.json"
        setup.open_workdir(one, folder)  # another config is refused, of a finished arm too
        if not (closing.exists() and (folder / "report.json").exists()):
            logging.info("arm %d of %d: %s", number, len(arms), name)
            _share_before(workdir, arms, folder)
            grpo.run(one, folder)
            jax.clear_caches()  # programs of an arm are of no use to the next
        if not closing.exists():
            logging.info("stopped in arm %s; go on with the same command", name)
            return
        if not config.checkpoints and jax.process_index() == 0:
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        found[name] = report.records(closing)
    write(workdir, arms, report.records(workdir / next(iter(arms)) / BEFORE), found)


def chosen(names: Sequence[str]) -> dict[str, tuple[tuple[float, ...], str]]:
    """Weights and aggregate of the arms of these names, `all` first; of every arm where none is."""
    every = {ALL: ((1.0,) * len(SHORT), "sum"), SPLIT: ((1.0,) * len(SHORT), "per_criterion")}
    for size in range(len(SHORT) - 1, 0, -1):
        for subset in itertools.combinations(SHORT, size):
            weights = tuple(float(short in subset) for short in SHORT)
            every["+".join(subset)] = (weights, "sum")
    for name in names:
        if name not in every:
            raise ValueError(f"arms has {name!r}: choose among {list(every)}, or none for all.")
    return {name: what for name, what in every.items() if name in names or not names}


def arm_config(
    config: ml_collections.ConfigDict, reward: tuple[tuple[float, ...], str]
) -> ml_collections.ConfigDict:
    """The grpo config of one arm."""
    made = config.copy_and_resolve_references()
    with made.unlocked():
        del made.arms, made.checkpoints
    made.job = "grpo"
    made.reward.weights, made.reward.aggregate = reward
    return made


def _share_before(workdir: pathlib.Path, arms: Mapping[str, object], folder: pathlib.Path) -> None:
    """The untrained model's records where an arm before made them: all start alike."""
    if jax.process_index() != 0 or (folder / BEFORE).exists():
        return
    for name in arms:
        made = workdir / name / BEFORE
        if made.exists():
            files.atomic_write(folder / BEFORE, made.read_bytes())
            return


def write(
    workdir: pathlib.Path,
    arms: Mapping[str, tuple[tuple[float, ...], str]],
    before: Sequence[heldout.Record],
    found: Mapping[str, Sequence[heldout.Record]],
) -> None:
    """report.json, report.md and ablation.png from the arms' held-out records."""
    if jax.process_index() != 0:
        return
    rows = ablation.rows(before, found, base=ALL)
    figures = {
        "arms": {
            name: {"weights": arms[name][0], "aggregate": arms[name][1]} if name in arms else {}
            for name in (row.name for row in rows)
        },
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    files.atomic_write(workdir / "report.json", json.dumps(figures, indent=2) + "\n")
    text = tables.markdown([ablation.table(rows, base=ALL)])
    files.atomic_write(workdir / "report.md", text + "\n")
    plots.save(plots.ablation(rows), workdir / "ablation.png")
    tqdm.tqdm.write(text)
    tqdm.tqdm.write(f"Wrote {workdir}/report.md, report.json, ablation.png.")
