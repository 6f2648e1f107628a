"""The same GRPO run with other rewards: a work directory an arm and seed, then tables and a plot.

Every arm starts from the same weights with the same seeds, data and number of steps; only
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

from pa_jax.core import files, together
from pa_jax.evaluate import heldout
from pa_jax.evaluate.reports import ablation, plots, tables
from pa_jax.jobs import grpo, report, setup, tasks
from pa_jax.judge import rubric

SHORT = tuple(one.short for one in rubric.RUBRIC)
ALL = "all"
SPLIT = "all-per_criterion"  # each criterion normalised by itself
BEFORE = "heldout-before.json"


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `ablate` job; runs that are finished are passed over, and a stopped one goes on."""
    config = tasks.resolved(config)
    arms = chosen(config.arms)
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ValueError(f"seeds is {tuple(config.seeds)}: give at least one, each once.")
    if config.eval.patience:
        raise ValueError(
            f"eval.patience={config.eval.patience}: arms are compared after the same steps; set 0."
        )
    setup.open_workdir(config, workdir)
    found: dict[str, dict[int, list[heldout.Record]]] = {name: {} for name in arms}
    runs = {(seed, name): workdir / name / f"seed-{seed}" for seed in config.seeds for name in arms}
    for number, ((seed, name), folder) in enumerate(runs.items(), 1):
        one = arm_config(config, arms[name], seed)
        steps = config.warm.steps + config.train.steps
        closing = folder / f"heldout-after-{steps}.json"
        setup.open_workdir(one, folder)  # another config is refused, of a finished run too
        if not (closing.exists() and (folder / "report.json").exists()):
            logging.info("run %d of %d: %s, seed %d", number, len(runs), name, seed)
            _share_before(list(runs.values()), folder)
            try:
                grpo.run(one, folder)
            except together.Stopped as stopped:
                where = f"stopped and saved in {name}, seed {seed}; go on with the same command"
                raise together.Stopped(stopped.signal, f"{where} and --workdir={workdir}") from None
            jax.clear_caches()  # programs of a run are of no use to the next
        if not config.checkpoints and jax.process_index() == 0:
            for kept in ("checkpoints", "best", "warm"):
                shutil.rmtree(folder / kept, ignore_errors=True)
        found[name][seed] = report.records(closing)
    write(workdir, arms, report.records(folder / BEFORE), found)


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
    config: ml_collections.ConfigDict, reward: tuple[tuple[float, ...], str], seed: int
) -> ml_collections.ConfigDict:
    """The grpo config of one arm and seed."""
    made = config.copy_and_resolve_references()
    with made.unlocked():
        del made.arms, made.seeds, made.checkpoints
        made.seed = seed
    made.job = "grpo"
    made.reward.weights, made.reward.aggregate = reward
    return made


def _share_before(folders: Sequence[pathlib.Path], folder: pathlib.Path) -> None:
    """The untrained model's records where a run before made them: all start alike."""
    if jax.process_index() != 0 or (folder / BEFORE).exists():
        return
    made = next((one / BEFORE for one in folders if (one / BEFORE).exists()), None)
    if made is not None:
        files.atomic_write(folder / BEFORE, made.read_bytes())


def write(
    workdir: pathlib.Path,
    arms: Mapping[str, tuple[tuple[float, ...], str]],
    before: Sequence[heldout.Record],
    found: Mapping[str, ablation.BySeed],
) -> None:
    """report.json, report.md and ablation.png from the arms' held-out records."""
    if jax.process_index() != 0:
        return
    rows = ablation.rows(before, found, base=ALL)
    summed = {
        name: frozenset(itertools.compress(rubric.CRITERIA, weights))
        for name, (weights, aggregate) in arms.items()
        if aggregate == "sum"
    }
    effects = ablation.effects(rows, summed)
    figures = {
        "arms": {
            name: {"weights": arms[name][0], "aggregate": arms[name][1]} if name in arms else {}
            for name in (row.name for row in rows)
        },
        "rows": [dataclasses.asdict(row) for row in rows],
        "effects": [dataclasses.asdict(effect) for effect in effects],
    }
    files.atomic_write(workdir / "report.json", json.dumps(figures, indent=2) + "\n")
    text = tables.markdown(list(ablation.tabled(rows, effects, base=ALL)))
    files.atomic_write(workdir / "report.md", text + "\n")
    plots.save(plots.ablation(rows), workdir / "ablation.png")
    tqdm.tqdm.write(text)
    tqdm.tqdm.write(f"Wrote {workdir}/report.md, report.json, ablation.png.")
