"""Measure the phases of a GRPO step on this machine, as forests and flat."""

import functools
import json
import pathlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import tqdm
from absl import logging
from flax import nnx

from pa_jax import models
from pa_jax.bench import measure, phases, report, subject, work
from pa_jax.core import files
from pa_jax.jobs import setup
from pa_jax.rl import loss
from pa_jax.train import loop, optimizer

UPDATES = {"updates": "update"}  # a key of config.wanted -> the phase it is of


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `bench` job: tables on the terminal, report.json and bench.png in the work directory."""
    began = time.monotonic()
    setup.open_workdir(config, workdir)
    cfg = setup.section(work.BenchConfig, config.bench)
    tolerance = config.tolerance.to_dict()
    wanted = {
        size: {UPDATES.get(name, name): ratio for name, ratio in of_size.items()}
        for size, of_size in config.wanted.items()
    }
    model = load(config)
    rows: dict[str, list[measure.Figures]] = {}
    for name in chosen("measure", config.measure, list(config.sizes)):
        measured = subject_of(model, cfg, config, name)
        for make in plan(config):
            phase = make(measured)
            logging.info("measuring %s, %s", name, phase.name)
            figures = measure.measure(phase, tolerance, reps=cfg.reps)
            rows.setdefault(name, []).append(figures)
            logging.info("%s", report.line(figures, wanted.get(name, {}).get(phase.name)))
            del phase
    told = report.machine() | {
        "sizes": {name: report.figures(x, wanted.get(name, {})) for name, x in rows.items()},
        "seconds": round(time.monotonic() - began, 1),
        "peak_rss_gb": loop.peak_rss_gb(),
        "model": config.model.source,
        "bench": config.bench.to_dict(),
    }
    files.atomic_write(workdir / "report.json", json.dumps(told, indent=2) + "\n")
    report.picture(rows, wanted, workdir / "bench.png")
    for name, of_name in rows.items():
        tqdm.tqdm.write(report.table(name, of_name, wanted.get(name, {})) + "\n")
    tqdm.tqdm.write(
        "f/f: forest and flat; tok/s: tokens of all paths (decode, rollout: new ones) a second; "
        "TFLOP are computed from lengths, of real tokens; fill: their share of all slots.\n"
        f"Done in {told['seconds'] / 60:.1f} min on {jax.device_count()} x "
        f"{told['device']}: {workdir}/report.json, bench.png. "
        "Next: python -m pa_jax.main --config=grpo"
    )


def chosen(key: str, names: tuple[str, ...], known: list[str]) -> list[str]:
    """The names, or all where there are none; ValueError where one is not known."""
    if not set(names) <= set(known):
        raise ValueError(f"{key}={tuple(names)}: choose among {known}, or () for all.")
    return [name for name in known if not names or name in names]


def load(config: ml_collections.ConfigDict) -> models.LoadedModel:
    """config.model's weights."""
    logging.info("loading %s", config.model.source)
    return models.load(config.model.source, dtype=config.model.dtype)


def subject_of(
    model: models.LoadedModel, cfg: work.BenchConfig, config: ml_collections.ConfigDict, name: str
) -> subject.Subject:
    """The model with random work of config.sizes' `name`."""
    graph, state = nnx.split(model.module)
    sizes = setup.section(work.Sizes, config.sizes[name])
    made = work.make(cfg, sizes, model.config.vocab, config.seed)
    return subject.Subject(graph, state, model.config, cfg, made, config.seed)


def plan(config: ml_collections.ConfigDict) -> list[Callable[[subject.Subject], phases.Comparison]]:
    """Functions from a subject to a phase, in the order of a step."""
    loss_fn = functools.partial(
        loss.grpo,
        cfg=setup.section(loss.LossConfig, config.loss),
        temperature=jnp.float32(1.0),
        remat=config.model.remat,
    )
    update = functools.partial(
        phases.update,
        loss_fn=loss_fn,
        tx=optimizer.make(setup.section(optimizer.OptimConfig, config.optim), 1000),
        compute=config.model.compute,
        remat=config.model.remat,
    )
    made: dict[str, Callable[[subject.Subject], phases.Comparison]] = {
        "prefill": phases.prefill,
        "decode": phases.decode,
        "rollout": phases.rollout,
        "judge": phases.judge,
        "logprobs": phases.logprobs,
        "update": update,
    }
    return [made[name] for name in chosen("phases", config.phases, list(made))]
