"""The warm start: supervised steps on gold snippets before GRPO in the same job.

At the change
- the reference of the KL becomes the warm-started weights. A KL to the bare ones would pull back
  what the warm start taught; with adapters the copy is a few megabytes beside the shared base, with
  all weights trained one copy more in the compute dtype. The judge, where it is the policy's own
  starting weights, stays those: what scores does not move with what is scored.
- the optimiser begins afresh, with the learning rate, warm-up and schedule of `optim`: moments of
  supervised gradients are of another scale, and forgotten only after as many steps as a short run
  has. So GRPO after a warm start is GRPO from that checkpoint.
- data begin in GRPO's own order; a warm start has an order of its own.
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Sequence

import jax
import ml_collections
from flax import nnx

from pa_jax.core import checkpoint, timing
from pa_jax.data import pipeline
from pa_jax.dialogue import schema
from pa_jax.jobs import setup, sft, training
from pa_jax.train import optimizer, step

NAME = "warm"  # of the part, and of the folder of what it ends with


@dataclasses.dataclass(frozen=True)
class WarmConfig:
    """steps          supervised updates on gold snippets before the first of GRPO; 0: none
    batch          episodes of each
    learning_rate  its peak, from which it falls to 0 over the steps; the rest of the optimiser is
                   as `optim` says
    """

    steps: int
    batch: int
    learning_rate: float

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch < 1 or not 0 <= self.learning_rate < math.inf:
            raise ValueError(
                f"warm.steps={self.steps}, warm.batch={self.batch}, warm.learning_rate="
                f"{self.learning_rate}: allowed are 0 steps or more, a batch of 1 or more and a "
                "finite rate of at least 0; warm.steps=0 for no warm start."
            )


def part(
    config: ml_collections.ConfigDict,
    opened: training.Opened,
    timer: timing.PhaseTimer,
    train: Callable[[], Sequence[schema.Episode]],
) -> training.Part:
    """The supervised part of a GRPO run; episodes without gold are passed over."""
    cfg = setup.section(WarmConfig, config.warm)
    optim = setup.section(optimizer.OptimConfig, config.optim)
    optim = dataclasses.replace(optim, learning_rate=cfg.learning_rate, schedule="linear")
    order = pipeline.order_seed(config.seed)  # not that of GRPO
    batches = pipeline.batches(
        train(),
        setup.batch_encoder(config, opened.start.words),
        pipeline.PipelineConfig(cfg.batch, config.rollout.prompt_tokens, order),
        process_index=0,
        process_count=1,
        labelled=True,
    )
    tx = optimizer.make(optim, cfg.steps)
    hooks = sft.hooks(config, opened, timer, tx=tx, rows=cfg.batch)
    return training.Part(NAME, cfg.steps, batches, hooks)


def reference(
    config: ml_collections.ConfigDict,
    opened: training.Opened,
    state: step.TrainState,
    workdir: pathlib.Path,
) -> tuple[nnx.GraphDef, nnx.State]:
    """The model as the warm start left it, from WORKDIR/warm; kept there before GRPO's first step.

    Once GRPO trains, no checkpoint of its holds these weights: a resumed run reads them here.
    """
    steps, folder = config.warm.steps, workdir / NAME
    saver = checkpoint.Checkpointer(folder, keep=1)
    try:
        if int(state.step) == steps and steps not in saver.steps():
            saver.save(steps, {"params": state.params}, {})
        restored = saver.restore({"params": state.params}, step=steps)
    finally:
        saver.close()
    if restored is None:
        raise FileNotFoundError(
            f"{folder}/{steps} is not there: the warm-started weights, to which GRPO keeps near. "
            "Bring it back from a copy, or start anew in another --workdir."
        )
    params = jax.jit(step.cast, static_argnums=1)(restored.state["params"], config.model.compute)
    return opened.graph, step.whole(dataclasses.replace(state, params=params), opened.frozen)
