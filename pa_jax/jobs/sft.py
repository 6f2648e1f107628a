"""Supervised fine-tuning on gold snippets, with the same evaluation and report as GRPO."""

import functools
import pathlib

import jax
import ml_collections

from pa_jax.core import mesh as meshes
from pa_jax.core import timing
from pa_jax.data import pipeline
from pa_jax.jobs import training
from pa_jax.train import loop, sft, step


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `sft` job; resumes like `grpo`."""
    plan = pipeline.PipelineConfig(config.rows, tuple(config.buckets), config.seed)
    training.run(config, workdir, plan, wire)


def wire(
    config: ml_collections.ConfigDict, opened: training.Opened, timer: timing.PhaseTimer
) -> loop.Hooks:
    """One update a batch of prompts with their gold snippets."""
    update = step.make_update(
        opened.graph,
        functools.partial(sft.loss, remat=config.model.remat),
        opened.tx,
        micro=config.micro,
        compute=config.model.compute,
        where=opened.where,
    )

    def one(state, batch, number):
        words, slots = opened.start.tokenizer, tuple(config.slots)
        made, tokens = sft.batch_of(batch, words, slots, opened.mesh)
        with timer.phase("update"), meshes.using(opened.mesh):
            state, metrics = update(state, made, opened.frozen)
            jax.block_until_ready(metrics)
        return state, metrics | {"tokens": tokens}, None

    return loop.Hooks(one, lambda row: f"loss {row['loss']:.3f}", lambda *_: None)
