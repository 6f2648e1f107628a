"""Train with GRPO: a judge, a learner, and samples to read."""

import dataclasses
import functools
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
from absl import logging
from flax import nnx

from pa_jax import judge, models
from pa_jax.core import files, sharding, timing
from pa_jax.data import pipeline
from pa_jax.jobs import setup, tasks, training, warm
from pa_jax.judge import own, remote
from pa_jax.models import quant
from pa_jax.rl import advantage, learner, loss
from pa_jax.train import loop, step


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `grpo` job."""
    config = tasks.resolved(config)
    cfg = setup.section(learner.RolloutConfig, config.rollout)
    setup.section(advantage.RewardConfig, config.reward)  # wrong settings end the job at once
    setup.section(loss.LossConfig, config.loss)
    plan = pipeline.PipelineConfig(cfg.prompts, cfg.prompt_tokens, config.seed)
    warmed = setup.section(warm.WarmConfig, config.warm).steps > 0

    def parts(opened: training.Opened, timer: timing.PhaseTimer) -> list[training.Part]:
        train = functools.cache(lambda: setup.open_episodes(config, workdir, "train"))
        batches = training.open_batches(config, workdir, opened.start.words, plan, train)
        made = hooks(config, opened, timer, workdir, warmed=warmed)
        main = training.Part("grpo", config.train.steps, batches, training.chained(made, batches))
        return [warm.part(config, opened, timer, train), main] if warmed else [main]

    training.run(config, workdir, plan, parts)


def hooks(
    config: ml_collections.ConfigDict,
    opened: training.Opened,
    timer: timing.PhaseTimer,
    workdir: pathlib.Path,
    *,
    warmed: bool,
) -> loop.Hooks:
    """A learner's steps; behind a warm start its reference is what that left."""
    made = make_learner(config, opened, timer, workdir)
    if made.reference is None or not warmed:
        return loop.Hooks(made.step, show, functools.partial(write_samples, workdir))

    def begin(state: step.TrainState) -> None:
        nonlocal made
        kept = warm.reference(config, opened, state, workdir)
        made = dataclasses.replace(made, reference=kept)

    def one(
        state: step.TrainState, batch: pipeline.Batch, number: int
    ) -> tuple[step.TrainState, dict[str, Any], list[learner.Sample]]:
        return made.step(state, batch, number)

    return loop.Hooks(one, show, functools.partial(write_samples, workdir), begin)


def open_judge(
    config: ml_collections.ConfigDict,
    start: models.LoadedModel,
    mesh: jax.sharding.Mesh | None,
    workdir: pathlib.Path,
) -> judge.Judge | own.Reward:
    """What scores: reward.function, or the judge that config.judge names.

    A judge's empty source is the policy's own starting weights.
    """
    if config.reward.function:
        return own.Reward(config.reward.function, config.reward.names)
    cfg = config.judge
    model: models.LoadedModel | remote.Endpoint = start
    if cfg.kind == "remote":
        model = setup.endpoint(cfg.remote, workdir)
    elif cfg.source and judge.reads_a_model(cfg.kind):
        rules = sharding.INFER_RULES
        with setup.source_of("judge.source"):
            model = loaded = models.load(cfg.source, mesh=mesh, dtype=cfg.dtype, rules=rules)
        if cfg.int8:
            model = dataclasses.replace(loaded, module=quant.quantise(loaded.module))
    return judge.Judge(cfg.kind, model=model, lengths=config.lengths, mesh=mesh)


def make_learner(
    config: ml_collections.ConfigDict,
    opened: training.Opened,
    timer: timing.PhaseTimer,
    workdir: pathlib.Path,
) -> learner.Learner:
    """The learner with its jitted update; the weights at the start stay where they are needed.

    They are the reference where loss.beta is not 0, and the judge's where it has none of its own.
    """
    cfg = setup.section(learner.RolloutConfig, config.rollout)
    objective = setup.section(loss.LossConfig, config.loss)
    loss_fn = functools.partial(
        loss.grpo,
        cfg=objective,
        temperature=jnp.float32(cfg.temperature),
        remat=config.model.remat,
    )
    return learner.Learner(
        sampler=opened.sampler,
        judge=open_judge(config, opened.start, opened.mesh, workdir),
        reference=nnx.split(opened.start.module) if objective.beta else None,
        update=step.make_update(
            opened.graph,
            loss_fn,
            opened.tx,
            compute=config.model.compute,
            where=opened.where,
        ),
        frozen=opened.frozen,
        rollout=cfg,
        lengths=tuple(config.lengths),
        reward=setup.section(advantage.RewardConfig, config.reward),
        loss=objective,
        seed=config.seed,
        timer=timer,
    )


def show(row: dict[str, float]) -> str:
    """The figures beside the progress bar."""
    kl = f"kl {row['kl']:.4f} " if "kl" in row else ""
    return (
        f"reward {row['reward/mean']:.3f} {kl}"
        f"len {row['rollout/length_mean']:.0f} cut {row['rollout/truncated']}"
    )


def write_samples(
    workdir: pathlib.Path, number: int, samples: list[learner.Sample], row: dict[str, float]
) -> None:
    """The step's first group, in samples.jsonl; a warning where sampler and trainer disagree."""
    if jax.process_index() != 0:
        return
    first = samples[0]
    shown = {
        "step": number,
        "episode": dataclasses.asdict(first.episode),
        "texts": first.texts,
        "scores": first.scores.round(4).tolist(),
        "advantages": first.advantages.round(4).tolist(),
        "finished": first.finished.tolist(),
        "failed": first.failed.tolist(),
    }
    files.append_line(workdir / "samples.jsonl", json.dumps(shown))
    if row["logp_delta_mean"] > 0.01:
        logging.warning(
            "step %d: sampler and trainer log-probs differ by %.4f on average (over 0.01); the "
            "clipped ratio is not what it seems. Check dtypes and attention kernels.",
            number,
            row["logp_delta_mean"],
        )
