"""What the training jobs share: load, evaluate, train, evaluate, report; each brings its parts.

A run is one train state that goes through parts one after the other: SFT is a single part, GRPO one
behind a warm start. Steps are counted through all parts, in one file of rows and one series of
checkpoints, and their number says which part it is. So a second start is the first one again:

1. the work directory is made, or taken where it holds the same config (setup.open_workdir);
2. the model is loaded as for a first start, with the state at step 0;
3. the newest intact checkpoint takes that state's place, and rows behind it are cut (`resume`);
4. the untrained weights are evaluated, unless that is on file. It must be now: they lie in the
   sampler, which loaded them, and the first step puts others there;
5. parts that end before the restored step are passed over. One that ends on it is still entered,
   without a step to do, for the evaluation of its end that a kill may have left out;
6. the last state is evaluated, and the best one where it is another, and the report is written.

At the first step of a part but the first the optimiser begins afresh, also where a checkpoint lies
right there: it holds the moments of the part before.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import ml_collections
import optax
from absl import logging
from flax import nnx

from pa_jax import models
from pa_jax.agent.inference import training_profile
from pa_jax.core import checkpoint, files, metrics, timing, together
from pa_jax.core import mesh as meshes
from pa_jax.data import chains, dialogues, pipeline
from pa_jax.dialogue import schema, tokenizer
from pa_jax.evaluate import heldout
from pa_jax.infer import sampler
from pa_jax.jobs import report, setup, tasks
from pa_jax.models import lora
from pa_jax.train import evaluation, loop, optimizer, step

Batches = pipeline.BatchIterator | chains.Chains


@dataclasses.dataclass(frozen=True)
class Opened:
    """A training job's model and what its step is made of.

    start    the model as loaded, in the compute dtype (with LoRA the base itself): the reference,
             unless a warm start comes first
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
    tx: optax.GradientTransformation  # of the last part
    where: step.TrainState | None


@dataclasses.dataclass(frozen=True)
class Part:
    """Some of a run's steps, one after the other: what they are called, their batches and hooks."""

    name: str
    steps: int
    batches: Batches
    hooks: loop.Hooks


Parts = Callable[[Opened, timing.PhaseTimer], Sequence[Part]]


def run(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    plan: pipeline.PipelineConfig,
    parts: Parts,
) -> None:
    """Train one part after the other; a second start on the same folder goes on.

    `plan` is of the last part, whose optimiser config.optim is: it begins fresh there. Raises
    together.Stopped, all saved, where a signal ended it before its last step.
    """
    began = time.monotonic()
    setup.open_workdir(config, workdir)
    mesh = setup.mesh(config, rows={"prompts": plan.rows})
    loop_cfg = setup.section(loop.LoopConfig, config.train)
    cfg = setup.section(heldout.EvalConfig, config.eval)
    with meshes.using(mesh), contextlib.ExitStack() as stack:
        opened, state = open_model(config, mesh, loop_cfg.steps)
        timer = timing.PhaseTimer()
        todo = list(parts(opened, timer))
        encode = setup.batch_encoder(config, opened.start.words)
        test = setup.open_episodes(config, workdir, "heldout")
        chosen = setup.heldout(test, encode, cfg.episodes, plan.prompt_tokens)
        held = heldout.Heldout(opened.sampler, *chosen, tasks.of(config).scores, cfg)
        watch = Watch(opened.frozen, held)
        tx, where = opened.tx, opened.where
        del opened  # so that the start's weights live no longer than the parts need them
        ends = list(itertools.accumulate(part.steps for part in todo))
        state, saver, writer, meta = resume(workdir, state, loop_cfg.keep, stack)
        before = report.kept(workdir, "before", lambda: watch.before(state))
        evaluated = evaluation.Evaluation(
            evaluation.EvaluationPlan(
                cfg.every, cfg.best, cfg.patience, tuple(ends), ends[-1] - todo[-1].steps
            ),
            watch.figures,
            folder=workdir / "best",
            writer=writer,
            standing=standing(meta),
        )
        stack.callback(evaluated.close)
        for part, until in zip(todo, ends, strict=True):
            span = loop.Span(part.name, until - part.steps, until)
            if int(state.step) > until:
                continue
            # The checkpoint at the end of the part before has that part's moments and schedule.
            if int(state.step) == span.first > 0:
                state = step.restarted(state, tx, where)
            # A part's data has a position of its own: a checkpoint of another part's says nothing.
            if meta is not None and meta["phase"] == part.name:
                part.batches.set_state(meta["data"])
            state, stopped = loop.run(
                state,
                part.batches,
                part.hooks,
                loop_cfg,
                span,
                evaluated=evaluated,
                saver=saver,
                writer=writer,
                timer=timer,
            )
            if stopped and int(state.step) < ends[-1] and not evaluated.enough:
                raise together.Stopped(
                    stopped,
                    f"stopped and saved at step {int(state.step)}; go on with the same command and "
                    f"--workdir={workdir}",
                )
        after = report.kept(workdir, f"after-{int(state.step)}", lambda: watch.all(state))
        best = watch.best(workdir, state, evaluated)
    seconds = time.monotonic() - began
    report.write(workdir, before, after, best, skipped=todo[-1].batches.skipped, seconds=seconds)


def standing(meta: dict[str, Any] | None) -> evaluation.Standing | None:
    """How the evaluations stood when a checkpoint with this meta was made."""
    known = None if meta is None else meta["best"]
    return None if known is None else evaluation.Standing(**known)


class Watch:
    """Held-out records of train states; those of the part are remembered, of the last state."""

    def __init__(self, frozen: nnx.State | tuple[()], held: heldout.Heldout) -> None:
        self._frozen, self._held = frozen, held
        self._step = -1
        self._part: list[heldout.Record] = []

    def part(self, state: step.TrainState) -> list[heldout.Record]:
        """Records of the part."""
        if self._step != int(state.step):
            self._sample_from(state)
            self._step, self._part = int(state.step), self._held.part()
        return self._part

    def all(self, state: step.TrainState) -> list[heldout.Record]:
        """Records of all held-out episodes."""
        part = self.part(state)
        self._sample_from(state)
        return self._held.all(part)

    def before(self, state: step.TrainState) -> list[heldout.Record]:
        """Records of the untrained weights, which the sampler has until the first step."""
        return self.all(state) if int(state.step) == 0 else self._held.all(None)

    def figures(self, state: step.TrainState) -> dict[str, float]:
        """Means over the part."""
        found = heldout.summary(self.part(state))
        return {name: figure.mean for name, figure in found.items()}

    def best(
        self, workdir: pathlib.Path, state: step.TrainState, evaluated: evaluation.Evaluation
    ) -> report.Best | None:
        """The best checkpoint's standing, and its records where it is not the last one."""
        known = evaluated.standing
        if known is None:
            return None
        records = None
        if known.step != int(state.step):

            def made() -> list[heldout.Record]:
                params = evaluated.best(state.params)
                return self.all(step.TrainState(params, (), known.step))

            records = report.kept(workdir, f"best-{known.step}", made)
        return report.Best(evaluated.plan.figure, known.step, known.value, records)

    def _sample_from(self, state: step.TrainState) -> None:
        self._held.sampler.update(step.whole(state, self._frozen))


def open_batches(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    words: tokenizer.Tokenizer,
    plan: pipeline.PipelineConfig,
    train: Callable[[], Sequence[schema.Episode]],
) -> Batches:
    """Batches of training, by data.state_source: episodes on their own, or chained turns.

    Every process holds the whole batch (text is small) and its devices take their rows. `train`
    opens the episodes.
    """
    cfg = setup.section(dialogues.DataConfig, config.data)
    encode = setup.batch_encoder(config, words)
    if cfg.state_source == "gold":
        return pipeline.batches(train(), encode, plan, process_index=0, process_count=1)
    share = cfg.state_share if cfg.state_source == "mixed" else 1.0
    return chains.Chains(
        setup.open_dialogues(config, workdir, "train"),
        lambda episode: encode([episode])[0],
        training_profile.Notes(),
        chains.ChainConfig(plan, share, cfg.keep_empty),
    )


def chained(hooks: loop.Hooks, batches: Batches) -> loop.Hooks:
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
        graph, params, rest = lora.split(trained.module)
        frozen: nnx.State | tuple[()] = rest
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
    workdir: pathlib.Path,
    state: step.TrainState,
    keep: int,
    stack: contextlib.ExitStack,
) -> tuple[step.TrainState, checkpoint.Checkpointer, metrics.MetricWriter, dict[str, Any] | None]:
    """Fresh, or restored exactly, with what the checkpoint holds beside it; rows cut to match."""
    saver = checkpoint.Checkpointer(workdir / "checkpoints", keep=keep)
    stack.callback(saver.close)
    restored = saver.restore(state)
    meta = None
    if restored is None:
        saver.require_manifests()
    else:
        state, meta = restored.state, restored.meta
        logging.info("resuming %s from step %d", workdir, restored.step)
    start, known = int(state.step), standing(meta)
    writer = metrics.MetricWriter(
        workdir,
        tensorboard=True,
        resume_step=start,
        evaluated=-1 if known is None else known.seen,
    )
    stack.callback(writer.close)
    if jax.process_index() == 0:
        files.truncate_rows(workdir / "samples.jsonl", lambda row: row["step"] < start)
    return state, saver, writer, meta
