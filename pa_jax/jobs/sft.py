"""Supervised fine-tuning on gold snippets, with the same evaluation and report as GRPO."""

import contextlib
import functools
import pathlib
import time

import jax
import ml_collections
from absl import logging
from flax import nnx

from pa_jax.core import timing
from pa_jax.data import pipeline
from pa_jax.evaluate import heldout
from pa_jax.infer import engine
from pa_jax.jobs import report, setup
from pa_jax.train import loop, optimizer, sft, step


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `sft` job; resumes like `grpo`."""
    began = time.monotonic()
    setup.open_workdir(config, workdir)
    train = setup.open_episodes(config, workdir, "train")
    test = setup.open_episodes(config, workdir, "heldout")
    model = setup.load_model(config)
    encode = setup.encoder(config, model.tokenizer)
    loop_cfg = setup.section(loop.LoopConfig, config.train)
    tx = optimizer.make(setup.section(optimizer.OptimConfig, config.optim), loop_cfg.steps)
    batches = pipeline.batches(
        train,
        encode,
        pipeline.PipelineConfig(config.rows, tuple(config.buckets), config.seed),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    chosen = setup.heldout(test, encode, config.eval.episodes, max(config.buckets))
    sampler = engine.Engine(model, rows=config.eval.rows, trunks=tuple(config.buckets))
    timer = timing.PhaseTimer()
    update = step.make_update(
        nnx.graphdef(model.module),
        functools.partial(sft.loss, remat=config.model.remat),
        tx,
        micro=config.micro,
        compute=config.model.compute,
    )

    def one(state, batch, number):
        made = sft.batch_of(batch, model.tokenizer, tuple(config.slots))
        with timer.phase("update"):
            state, metrics = update(state, made)
            jax.block_until_ready(metrics)
        return state, metrics | {"tokens": int(made.tokens[0])}, None

    def evaluate():
        return heldout.run(sampler, *chosen, max_new_tokens=config.eval.max_new_tokens)

    with contextlib.ExitStack() as stack:
        made = setup.open_training(config, workdir, model, tx, batches, stack)
        before = report.kept(workdir, "before", evaluate)
        hooks = loop.Hooks(one, lambda row: f"loss {row['loss']:.3f}", lambda *_: None)
        state, finished = loop.run(
            made.state, made.batches, hooks, loop_cfg,
            saver=made.saver, writer=made.writer, timer=timer,
        )  # fmt: skip
        if not finished:
            logging.info("stopped and saved at step %d in %s", int(state.step), workdir)
            return
        sampler.update(state.params)
        after = report.kept(workdir, f"after-{loop_cfg.steps}", evaluate)
    report.write(workdir, before, after, skipped=batches.skipped, seconds=time.monotonic() - began)
