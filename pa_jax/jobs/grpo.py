"""Train with GRPO: held-out evaluation, the step loop, held-out evaluation, report."""

import contextlib
import dataclasses
import functools
import json
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
from absl import logging
from flax import nnx

from pa_jax import judge as judges
from pa_jax import models
from pa_jax.core import files, timing
from pa_jax.data import pipeline
from pa_jax.evaluate import heldout
from pa_jax.infer import engine
from pa_jax.jobs import report, setup
from pa_jax.rl import advantage, learner, loss
from pa_jax.train import loop, optimizer, step


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `grpo` job; a second start on the same work directory goes on where it stopped."""
    began = time.monotonic()
    setup.open_workdir(config, workdir)
    train = setup.open_episodes(config, workdir, "train")
    test = setup.open_episodes(config, workdir, "heldout")
    model = setup.load_model(config)
    encode = setup.encoder(config, model.tokenizer)
    cfg = setup.section(learner.RolloutConfig, config.rollout)
    loop_cfg = setup.section(loop.LoopConfig, config.train)
    tx = optimizer.make(setup.section(optimizer.OptimConfig, config.optim), loop_cfg.steps)
    batches = pipeline.batches(
        train,
        encode,
        pipeline.PipelineConfig(cfg.prompts, cfg.buckets, config.seed),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    judge = open_judge(config, model)
    step_fn = make_learner(config, model, judge, tx)
    chosen = setup.heldout(test, encode, config.eval.episodes, max(cfg.buckets))
    sampler = engine.Engine(model, rows=config.eval.rows, trunks=cfg.buckets)
    evaluate = functools.partial(
        heldout.run,
        sampler,
        episodes=chosen[0],
        prompts=chosen[1],
        max_new_tokens=config.eval.max_new_tokens,
    )
    with contextlib.ExitStack() as stack:
        made = setup.open_training(config, workdir, model, tx, batches, stack)
        before = report.kept(workdir, "before", evaluate)
        hooks = loop.Hooks(step_fn.step, show, functools.partial(write_samples, workdir))
        state, finished = loop.run(
            made.state, made.batches, hooks, loop_cfg,
            saver=made.saver, writer=made.writer, timer=step_fn.timer,
        )  # fmt: skip
        if not finished:
            logging.info(
                "stopped and saved at step %d; go on with the same command and --workdir=%s",
                int(state.step),
                workdir,
            )
            return
        sampler.update(state.params)
        after = report.kept(workdir, f"after-{loop_cfg.steps}", evaluate)
    report.write(workdir, before, after, skipped=batches.skipped, seconds=time.monotonic() - began)


def open_judge(config: ml_collections.ConfigDict, model: models.LoadedModel) -> judges.Judge:
    """The judge that config.judge names; an empty source is the policy's own starting weights."""
    own = not config.judge.source or config.judge.kind == "reference"
    other = model if own else models.load(config.judge.source, dtype=config.model.dtype)
    return judges.Judge(config.judge.kind, model=other, rows=config.judge.rows)


def make_learner(
    config: ml_collections.ConfigDict, model: models.LoadedModel, judge: judges.Judge, tx: Any
) -> learner.Learner:
    """The learner with its jitted update; the loaded weights stay as the reference."""
    graph, reference = nnx.split(model.module)
    cfg = setup.section(learner.RolloutConfig, config.rollout)
    loss_fn = functools.partial(
        loss.grpo,
        cfg=setup.section(loss.LossConfig, config.loss),
        temperature=jnp.float32(cfg.temperature),
        remat=config.model.remat,
    )
    return learner.Learner(
        engine=engine.Engine(model, rows=cfg.prompts, trunks=cfg.buckets),
        judge=judge,
        reference=(graph, reference),
        update=step.make_update(
            graph, loss_fn, tx, micro=config.micro, compute=config.model.compute
        ),
        rollout=cfg,
        reward=setup.section(advantage.RewardConfig, config.reward),
        seed=config.seed,
        timer=timing.PhaseTimer(),
    )


def show(row: dict[str, float]) -> str:
    """The figures beside the progress bar."""
    return (
        f"reward {row['reward/mean']:.3f} kl {row['kl']:.4f} "
        f"len {row['rollout/length_mean']:.0f} cut {row['rollout/truncated']}"
    )


def write_samples(
    workdir: pathlib.Path, number: int, samples: list[learner.Sample], row: dict[str, float]
) -> None:
    """The step's first group, in samples.jsonl; a warning where sampler and trainer disagree."""
    first = samples[0]
    files.append_line(
        workdir / "samples.jsonl",
        json.dumps(
            {
                "step": number,
                "episode": dataclasses.asdict(first.episode),
                "texts": first.texts,
                "scores": first.scores.round(4).tolist(),
                "advantages": first.advantages.round(4).tolist(),
                "finished": first.finished.tolist(),
            }
        ),
    )
    if row["logp_delta_mean"] > 0.01:
        logging.warning(
            "step %d: sampler and trainer log-probs differ by %.4f on average (over 0.01); the "
            "clipped ratio is not what it seems. Check dtypes and attention kernels.",
            number,
            row["logp_delta_mean"],
        )
