"""Held-out figures while it trains: a row each, the best parameters kept, a stop when none rises.

What makes a kill harmless is the order: the best parameters are on disk before their evaluation's
row, the row before the checkpoint of the same step, and that checkpoint holds the standing. What a
restored standing has not seen is cut away and done again, to the same bits.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging

from pa_jax.core import checkpoint, metrics
from pa_jax.train.step import TrainState


@dataclasses.dataclass(frozen=True)
class EvaluationPlan:
    """every       steps between evaluations; 0: none
    figure      higher is better
    patience    evaluations in a row without a better one that end the run; 0: it never ends so
    ends        steps after which one comes in any case: the ends of the run's parts
    counted     patience counts evaluations after this step
    """

    every: int
    figure: str
    patience: int
    ends: tuple[int, ...]
    counted: int


@dataclasses.dataclass(frozen=True)
class Standing:
    """The best evaluation so far, its step and value; evaluations since; the last one's step."""

    step: int
    value: float
    since: int
    seen: int


class Evaluation:
    """Evaluates a train state between two steps; draws nothing from training's random streams."""

    def __init__(
        self,
        plan: EvaluationPlan,
        measure: Callable[[TrainState], Mapping[str, float]],
        *,
        folder: pathlib.Path,
        writer: metrics.MetricWriter,
        standing: Standing | None,
    ) -> None:
        """`folder` gets the best parameters; `standing` is that of the restored checkpoint."""
        self.plan, self.standing = plan, standing
        self._measure, self._writer = measure, writer
        self._saver = checkpoint.Checkpointer(folder, keep=1)
        # What is there and intact is not written again: it is what this run comes to.
        self._saver.restore({}, partial=True)

    def due(self, step: int) -> bool:
        """Whether the state after so many updates is still to be evaluated."""
        plan, seen = self.plan, -1 if self.standing is None else self.standing.seen
        wanted = plan.every > 0 and (step % plan.every == 0 or step in plan.ends)
        return wanted and step > seen

    @property
    def enough(self) -> bool:
        """Whether the figure has not risen for `patience` evaluations."""
        return self.standing is not None and 0 < self.plan.patience <= self.standing.since

    def run(self, state: TrainState, phase: str) -> None:
        """Evaluate, keep the parameters where they are the best so far, and write the row."""
        began, step, plan = time.perf_counter(), int(state.step), self.plan
        figures = dict(self._measure(state))
        value, best = float(figures[plan.figure]), self.standing
        if best is None or value > best.value:
            self._saver.save(
                step, {"params": state.params}, {"figure": plan.figure, "value": value}
            )
            self._saver.wait()
            self.standing = Standing(step, value, 0, step)
        else:
            since = best.since + 1 if step > plan.counted else 0
            self.standing = dataclasses.replace(best, since=since, seen=step)
        figures["seconds/evaluation"] = time.perf_counter() - began
        self._writer.evaluated(step, figures, phase=phase)
        best = self.standing
        logging.info(
            "step %d, held-out %s %.3f; best %.3f at step %d",
            step,
            plan.figure,
            value,
            best.value,
            best.step,
        )
        if self.enough:
            logging.info(
                "%s has not risen for %d evaluations (eval.patience): the run ends here",
                plan.figure,
                best.since,
            )

    def best(self, params: Any) -> Any:
        """The best parameters, laid out as `params`."""
        assert self.standing is not None
        restored = self._saver.restore({"params": params}, step=self.standing.step)
        if restored is None:
            raise FileNotFoundError(
                f"{self._saver.folder} has not the best parameters, of step {self.standing.step}: "
                "removed? Bring them back from a copy, or start anew in another --workdir."
            )
        return restored.state["params"]

    def close(self) -> None:
        """Let go of threads."""
        self._saver.close()
