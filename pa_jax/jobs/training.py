"""What the training jobs share: load, evaluate, train, evaluate, report; each brings its step."""

import contextlib
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import optax
from absl import logging
from flax import nnx

from pa_jax import models
from pa_jax.agent import noting
from pa_jax.core import checkpoint, files, metrics, timing
from pa_jax.core import mesh as meshes
from pa_jax.data import chains, pipeline, source
from pa_jax.dialogue import tokenizer
from pa_jax.evaluate import heldout
from pa_jax.infer import sampler
from pa_jax.jobs import report, setup
from pa_jax.models import lora
from pa_jax.train import loop, optimizer, step

STATES = ("gold", "policy", "mixed")


@dataclasses.dataclass(frozen=True)
class Opened:
    """A training job's model and what its step is made of.

    start    the model as loaded, in the compute dtype: the reference (with LoRA the base itself)
    graph    the trained model's structure, of its parameters and then `frozen`
    frozen   the parameters that are not trained, () where all are
    sampler  the one engine of rollouts and evaluation
    where    the train state's layout on the mesh
    """

    mesh: jax.sharding.Mesh | None
    start: models.LoadedModel
    graph: nnx.GraphDef
    frozen: nnx.State | tuple[()]
    sampler: sampler.Sampler
    tx: optax.GradientTransformation
    where: step.TrainState | None


Wire = Callable[[ml_collections.ConfigDict, Opened, timing.PhaseTimer], loop.Hooks]


def run(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    plan: pipeline.PipelineConfig,
    wire: Wire,
) -> None:
    """Train with the hooks that `wire` makes; a second start on the same folder goes on."""
    began = time.monotonic()
    setup.open_workdir(config, workdir)
    mesh = setup.mesh(config, rows={"prompts": plan.rows})
    loop_cfg = setup.section(loop.LoopConfig, config.train)
    with meshes.using(mesh), contextlib.ExitStack() as stack:
        opened, state = open_model(config, mesh, loop_cfg.steps)
        encode = setup.encoder(config, opened.start.tokenizer)
        batches = open_batches(config, workdir, opened.start.tokenizer, plan)
        test = setup.open_episodes(config, workdir, "heldout")
        chosen = setup.heldout(test, encode, config.eval.episodes, plan.prompt_tokens)
        evaluate = functools.partial(
            heldout.run, opened.sampler, *chosen, max_new_tokens=config.eval.max_new_tokens
        )
        timer = timing.PhaseTimer()
        hooks = chained(wire(config, opened, timer), batches)
        engine, frozen = opened.sampler, opened.frozen
        del opened  # so that the start's weights live no longer than the hooks need them
        state, saver, writer = resume(config, workdir, state, batches, stack)
        before = report.kept(workdir, "before", evaluate)
        state, finished = loop.run(
            state, batches, hooks, loop_cfg, saver=saver, writer=writer, timer=timer
        )
        if not finished:
            logging.info(
                "stopped and saved at step %d; go on with the same command and --workdir=%s",
                int(state.step),
                workdir,
            )
            return
        engine.update(step.whole(state, frozen))
        after = report.kept(workdir, f"after-{loop_cfg.steps}", evaluate)
    report.write(workdir, before, after, skipped=batches.skipped, seconds=time.monotonic() - began)


def open_batches(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    words: tokenizer.Tokenizer,
    plan: pipeline.PipelineConfig,
) -> pipeline.BatchIterator | chains.Chains:
    """Batches of training, by data.state_source: episodes on their own, or chained turns.

    Every process holds the whole batch (text is small) and its devices take their rows.
    """
    cfg = setup.section(source.DataConfig, config.data)
    if cfg.state_source not in STATES:
        raise ValueError(f"data.state_source={cfg.state_source!r}: choose one of {list(STATES)}.")
    if cfg.state_source == "gold":
        train = setup.open_episodes(config, workdir, "train")
        encode = setup.batch_encoder(config, words)
        return pipeline.batches(train, encode, plan, process_index=0, process_count=1)
    if config.job != "grpo":
        raise ValueError(
            f"data.state_source={cfg.state_source!r}: only grpo writes snippets of its own; take "
            "'gold'."
        )
    share = cfg.state_share if cfg.state_source == "mixed" else 1.0
    return chains.Chains(
        setup.open_dialogues(config, workdir, "train"),
        setup.encoder(config, words),
        noting.Notes(),
        chains.ChainConfig(plan, share, cfg.keep_empty),
    )


def chained(hooks: loop.Hooks, batches: pipeline.BatchIterator | chains.Chains) -> loop.Hooks:
    """The hooks; chains go on with each group's first completion, a fair draw of the policy."""
    if not isinstance(batches, chains.Chains):
        return hooks

    def after(number: int, samples: Any, row: dict[str, float]) -> None:
        batches.heard([chains.Written(s.texts[0], bool(s.finished[0])) for s in samples])
        hooks.after(number, samples, row)

    return dataclasses.replace(hooks, after=after)


def open_model(
    config: ml_collections.ConfigDict,
    mesh: jax.sharding.Mesh | None,
    steps: int,
) -> tuple[Opened, step.TrainState]:
    """The job's model, and the state at step 0, which holds parameters of its own."""
    updates = config.loss.updates if "loss" in config else 1  # a step; supervised ones take one
    tx = optimizer.make(setup.section(optimizer.OptimConfig, config.optim), steps, updates=updates)
    loaded = setup.load_model(config, mesh)
    if config.model.lora.rank:
        trained = setup.with_adapters(loaded, config)
        graph, params, frozen = lora.split(trained.module)
        start, sampled = dataclasses.replace(loaded, module=lora.base(trained.module)), trained
    else:
        graph, params = nnx.split(loaded.module)
        copy = jax.jit(step.cast, static_argnums=1)(params, config.model.compute)
        start = dataclasses.replace(loaded, module=nnx.merge(graph, copy))
        sampled, frozen = start, ()
    state = step.create(params, tx, mesh=mesh)
    opened = Opened(
        mesh=mesh,
        start=start,
        graph=graph,
        frozen=frozen,
        sampler=sampler.Sampler(
            sampled, mesh=mesh, rows=config.eval.rows, lengths=tuple(config.lengths)
        ),
        tx=tx,
        where=None if mesh is None else step.layout(state, mesh),
    )
    return opened, state


def resume(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    state: step.TrainState,
    batches: pipeline.BatchIterator | chains.Chains,
    stack: contextlib.ExitStack,
) -> tuple[step.TrainState, checkpoint.Checkpointer, metrics.MetricWriter]:
    """Fresh, or restored exactly: parameters, optimiser, step, data position; rows cut to match."""
    saver = checkpoint.Checkpointer(workdir / "checkpoints", keep=config.train.keep)
    stack.callback(saver.close)
    restored = saver.restore(state)
    if restored is None:
        saver.require_manifests()
    else:
        state = restored.state
        batches.set_state(restored.meta["data"])
        logging.info("resuming %s from step %d", workdir, restored.step)
    start = int(state.step)
    writer = metrics.MetricWriter(workdir, tensorboard=True, resume_step=start)
    stack.callback(writer.close)
    if jax.process_index() == 0:
        files.truncate_rows(workdir / "samples.jsonl", lambda row: row["step"] < start)
    return state, saver, writer
