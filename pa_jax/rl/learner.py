"""One GRPO step: roll out, judge, advantages, reference log-probs, update; a group stays a tree."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax.core import keys, sharding, timing
from pa_jax.core import mesh as meshes
from pa_jax.core.typing import Array
from pa_jax.data import pipeline
from pa_jax.dialogue import schema
from pa_jax.infer import buckets, engine, sampling, score
from pa_jax.judge import rubric
from pa_jax.rl import advantage, loss
from pa_jax.train import step


@dataclasses.dataclass(frozen=True)
class RolloutConfig:
    """prompts      episodes a step (rows; trees)
    group        completions a prompt (branches)
    buckets      allowed padded prompt lengths
    slots        allowed padded completion lengths of the update
    """

    prompts: int
    group: int
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    buckets: tuple[int, ...]
    slots: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError(f"rollout.group={self.group}: a group needs at least 2 completions.")
        if not self.temperature > 0:
            raise ValueError(
                f"rollout.temperature={self.temperature}: must be above 0, else a group is one "
                "completion repeated and carries no gradient."
            )
        if max(self.slots, default=0) < self.max_new_tokens:
            raise ValueError(
                f"rollout.slots={self.slots}: the largest must hold max_new_tokens="
                f"{self.max_new_tokens}."
            )


@dataclasses.dataclass(frozen=True)
class Sample:
    """One group to read: the prompt's episode, its completions, their scores and advantages.

    Where `failed`, the judge gave no verdict and the scores mean nothing.
    """

    episode: schema.Episode
    texts: tuple[str, ...]
    scores: np.ndarray  # [g, 4]
    advantages: np.ndarray  # [g]
    finished: np.ndarray  # [g]
    failed: np.ndarray  # [g]


@dataclasses.dataclass(frozen=True)
class Learner:
    """What a GRPO step needs besides the train state; `update` comes from train.step."""

    engine: engine.Engine  # its mesh is the learner's
    judge: Any  # judge.Judge
    reference: tuple[nnx.GraphDef, nnx.State]
    update: Callable[..., tuple[step.TrainState, dict]]
    frozen: nnx.State | tuple[()]  # what of the policy is not trained
    rollout: RolloutConfig
    reward: advantage.RewardConfig
    seed: int
    timer: timing.PhaseTimer

    @property
    def temperature(self) -> Array:
        """Of sampler, trainer and reference alike: they are compared token by token."""
        return jnp.float32(self.rollout.temperature)

    @property
    def mesh(self) -> jax.sharding.Mesh | None:
        return self.engine.mesh

    def put(self, rows: np.ndarray) -> Array:
        """A host array of the batch's rows on the mesh."""
        return sharding.put(rows, self.mesh, "rows")

    def step(
        self, state: step.TrainState, batch: pipeline.Batch, number: int
    ) -> tuple[step.TrainState, dict[str, Any], list[Sample]]:
        """Train on one batch of prompts; waits for each phase, so that its seconds are its own."""
        with self.timer.phase("rollout"):
            self.engine.update(step.whole(state, self.frozen))
            done = sharding.fetch(self.sample(batch, number))
        with self.timer.phase("judge"):
            groups = self.groups(batch.episodes, done)
            scores = self.judge.score(groups)
        got = advantage.advantages(scores.values, scores.failed, done.finished, self.reward)
        with self.timer.phase("logprobs"):
            trees, old_logp = self.trees(batch, done)
            with meshes.using(self.mesh):
                reference_logp = score.scored(*self.reference, trees, self.temperature)
            jax.block_until_ready(reference_logp)
        with self.timer.phase("update"):
            used = got.used & ~got.spread_zero[:, None]
            tokens = float(np.sum(done.lengths * used))
            made = loss.GroupBatch(
                trees=trees,
                old_logp=self.put(old_logp),
                reference_logp=reference_logp,
                advantage=self.put(got.values),
                used=self.put(used),
                tokens=self.put(np.full((len(batch.episodes),), tokens, np.float32)),
            )
            with meshes.using(self.mesh):
                state, metrics = self.update(state, made, self.frozen)
            jax.block_until_ready(metrics)
        metrics = metrics | self.describe(done, scores, got) | self.judge.figures()
        samples = [
            Sample(e, g.texts, scores.values[i], got.values[i], done.finished[i], scores.failed[i])
            for i, (e, g) in enumerate(zip(batch.episodes, groups, strict=True))
        ]
        return state, metrics, samples

    def sample(self, batch: pipeline.Batch, number: int) -> engine.Decoded:
        """`group` completions a prompt, drawn from the keys (seed, ROLLOUT, step, episode)."""
        cfg = self.rollout
        base = keys.stream_key(self.seed, keys.Stream.ROLLOUT, number)
        names = keys.row_ids([episode.id for episode in batch.episodes])
        return self.engine.decode(
            (batch.prompt_ids, batch.prompt_len),
            engine.branch_keys(keys.row_keys(base, names), cfg.group),
            sampling.settings(cfg.temperature, cfg.top_k, cfg.top_p),
            (cfg.max_new_tokens, max(cfg.slots)),
        )

    def groups(
        self, episodes: Sequence[schema.Episode], done: engine.Decoded
    ) -> list[rubric.Group]:
        """The judge's view: ids without the end token, and texts."""
        ends = set(self.engine.model.tokenizer.eos_ids)
        texts = self.engine.texts(done.ids, done.lengths)
        groups = []
        for i, episode in enumerate(episodes):
            ids = tuple(
                tuple(int(t) for t in row[:length] if int(t) not in ends)
                for row, length in zip(done.ids[i], done.lengths[i], strict=True)
            )
            groups.append(rubric.Group(episode, ids, tuple(texts[i])))
        return groups

    def trees(
        self, batch: pipeline.Batch, done: engine.Decoded
    ) -> tuple[score.TreeIds, np.ndarray]:
        """Prompts and completions as trees in the smallest slots that fit, and old log-probs."""
        slots = buckets.fit(int(done.lengths.max()), self.rollout.slots, what="completion")
        n, g = done.lengths.shape
        trees = score.placed(
            (batch.prompt_ids, done.ids[:, :, :slots], np.zeros((n, g, 0, 0), np.int32)),
            (batch.prompt_len, done.lengths, np.zeros((n, g, 0), np.int32)),
            self.mesh,
        )
        return trees, done.logprobs[:, :, :slots]

    def describe(
        self, done: engine.Decoded, scores: rubric.Scores, got: advantage.Advantages
    ) -> dict[str, float]:
        """Figures of one step's rollouts; means are over verdicts that did not fail."""
        ok = ~scores.failed
        metrics = {}
        for k, name in enumerate(rubric.CRITERIA):
            values = scores.values[..., k][ok]
            metrics[f"reward/{name}"] = float(values.mean()) if values.size else float("nan")
            metrics[f"reward/{name}_std"] = float(values.std()) if values.size else float("nan")
        used = got.used
        reward = got.reward[used]
        return metrics | {
            "reward/mean": float(reward.mean()) if reward.size else float("nan"),
            "reward/std": float(reward.std()) if reward.size else float("nan"),
            "judge/failed": int(scores.failed.sum()),
            "rollout/truncated": int((~done.finished).sum()),
            "rollout/masked": int((~used).sum()),
            "rollout/zero_spread_groups": float(got.spread_zero.mean()),
            "rollout/length_mean": float(done.lengths.mean()),
            "rollout/length_max": int(done.lengths.max()),
            "rollout/tokens": int(done.lengths.sum()),
        }
