"""Measure the phases of a GRPO step on this machine, as trees and flat."""

import functools
import json
import pathlib
import time

import jax
import jax.numpy as jnp
import ml_collections
import tqdm
from absl import logging
from flax import nnx

from pa_jax import models
from pa_jax.bench import measure, phases, report, work
from pa_jax.core import files
from pa_jax.jobs import setup
from pa_jax.rl import loss
from pa_jax.train import loop, optimizer


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `bench` job: table on the terminal, report.json and bench.png in the work directory."""
    began = time.monotonic()
    setup.open_workdir(config, workdir)
    cfg = setup.section(work.BenchConfig, config.bench)
    tolerance, wanted = config.tolerance.to_dict(), config.wanted.to_dict()
    subject = load(config, cfg)
    rows = []
    for make in plan(config):
        phase = make(subject)
        logging.info("measuring %s", phase.name)
        rows.append(measure.measure(phase, tolerance, reps=cfg.reps))
        logging.info("%s", report.line(rows[-1], wanted.get(phase.name)))
        del phase
    figures = report.figures(rows, wanted) | {
        "seconds": round(time.monotonic() - began, 1),
        "peak_rss_gb": loop.peak_rss_gb(),
        "model": config.model.source,
        "bench": config.bench.to_dict(),
    }
    files.atomic_write(workdir / "report.json", json.dumps(figures, indent=2) + "\n")
    report.picture(rows, wanted, workdir / "bench.png")
    tqdm.tqdm.write(report.table(rows, wanted))
    tqdm.tqdm.write(
        "tok/s: tokens of all paths (decode, rollout: new ones) a second; rows t/f: rows a call; "
        f"TFLOP are computed from shapes.\nDone in {figures['seconds'] / 60:.1f} min on "
        f"{jax.device_count()} x {figures['device']}: {workdir}/report.json, bench.png. "
        "Next: python -m pa_jax.main --config=grpo"
    )


def load(config: ml_collections.ConfigDict, cfg: work.BenchConfig) -> phases.Subject:
    """config.model's weights with random work."""
    logging.info("loading %s", config.model.source)
    model = models.load(config.model.source, dtype=config.model.dtype)
    graph, state = nnx.split(model.module)
    made = work.make(cfg, model.config.vocab, config.seed)
    return phases.Subject(graph, state, model.config, cfg, made, config.seed)


def plan(config: ml_collections.ConfigDict) -> list:
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
    return [
        phases.prefill,
        phases.decode,
        phases.rollout,
        phases.judge,
        phases.logprobs,
        update,
    ]
