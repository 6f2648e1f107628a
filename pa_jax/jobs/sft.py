"""Supervised fine-tuning on gold snippets, with the same evaluation and report as GRPO."""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding, timing
from pa_jax.data import pipeline
from pa_jax.jobs import setup, training
from pa_jax.train import loop, sft, step


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `sft` job; resumes like `grpo`."""
    plan = pipeline.PipelineConfig(config.rows, config.prompt_tokens, config.seed)

    def parts(opened: training.Opened, timer: timing.PhaseTimer) -> list[training.Part]:
        batches = training.open_batches(
            config,
            workdir,
            opened.start.words,
            plan,
            lambda: setup.open_episodes(config, workdir, "train"),
        )
        made = hooks(config, opened, timer, tx=opened.tx, rows=plan.rows)
        return [training.Part("sft", config.train.steps, batches, made)]

    training.run(config, workdir, plan, parts)


def hooks(
    config: ml_collections.ConfigDict,
    opened: training.Opened,
    timer: timing.PhaseTimer,
    *,
    tx: optax.GradientTransformation,
    rows: int,
) -> loop.Hooks:
    """One update a batch of `rows` prompts with their gold snippets."""
    update = step.make_update(
        opened.graph,
        functools.partial(sft.loss, remat=config.model.remat),
        tx,
        compute=config.model.compute,
        where=opened.where,
    )

    shards = opened.sampler.shards

    def one(
        state: step.TrainState, batch: pipeline.Batch, number: int
    ) -> tuple[step.TrainState, dict[str, Any], None]:
        made, count, fill = sft.batch_of(
            batch,
            opened.start.words,
            lengths=tuple(config.lengths),
            shards=shards,
            calls=-(-rows // shards),
        )
        figures = {"tokens": float(np.asarray(made.tokens).flat[0]), "update/fill": fill}
        made = jax.tree.map(lambda x: sharding.put(x, opened.mesh, None, "rows"), made)
        with timer.phase("update"), meshes.using(opened.mesh):
            state, metrics = update(state, made, jnp.int32(count), opened.frozen)
            jax.block_until_ready(metrics)
        return state, metrics | figures, None

    return loop.Hooks(one, lambda row: f"loss {row['loss']:.3f}", lambda *_: None)
