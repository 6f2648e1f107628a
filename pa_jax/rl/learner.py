"""One GRPO step: roll out, judge, advantages, reference log-probs, update; a batch is a forest."""

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
from pa_jax.dialogue import faults, schema
from pa_jax.infer import decode, forest, sampler, sampling, score
from pa_jax.judge import rubric
from pa_jax.rl import advantage, loss
from pa_jax.rl import groups as groups_lib
from pa_jax.train import step


@dataclasses.dataclass(frozen=True)
class RolloutConfig:
    """prompts        episodes a step
    group          completions a prompt
    prompt_tokens  longest prompt; longer ones are skipped
    """

    prompts: int
    group: int
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    prompt_tokens: int

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError(f"rollout.group={self.group}: a group needs at least 2 completions.")
        if not self.temperature > 0:
            raise ValueError(
                f"rollout.temperature={self.temperature}: must be above 0, else a group is one "
                "completion repeated and carries no gradient."
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

    sampler: sampler.Sampler  # its mesh is the learner's
    judge: Any  # judge.Judge
    reference: tuple[nnx.GraphDef, nnx.State]
    update: Callable[..., tuple[step.TrainState, dict]]
    frozen: nnx.State | tuple[()]  # what of the policy is not trained
    rollout: RolloutConfig
    lengths: tuple[int, ...]  # of packed rows
    reward: advantage.RewardConfig
    seed: int
    timer: timing.PhaseTimer

    @property
    def temperature(self) -> Array:
        """Of sampler, trainer and reference alike: they are compared token by token."""
        return jnp.float32(self.rollout.temperature)

    def step(
        self, state: step.TrainState, batch: pipeline.Batch, number: int
    ) -> tuple[step.TrainState, dict[str, Any], list[Sample]]:
        """Train on one batch of prompts; waits for each phase, so that its seconds are its own."""
        with self.timer.phase("rollout"):
            self.sampler.update(step.whole(state, self.frozen))
            done = self.sample(batch, number)
        with self.timer.phase("judge"):
            groups = self.groups(batch.episodes, done)
            scores = self.judge.score(groups)
        got = advantage.advantages(scores.values, scores.failed, done.finished, self.reward)
        with self.timer.phase("logprobs"):
            packed = self.packed(batch, done)
            rows = packed.rows.put(self.sampler.mesh, None, "rows")
            reference_logp = self.reference_logp(rows, packed.count)
            jax.block_until_ready(reference_logp)
        with self.timer.phase("update"):
            made = self.batch_of(packed, rows, reference_logp, done, got)
            with meshes.using(self.sampler.mesh):
                state, metrics = self.update(state, made, jnp.int32(packed.count), self.frozen)
            jax.block_until_ready(metrics)
        metrics = metrics | self.describe(done, scores, got) | self.judge.figures()
        metrics |= shares_of_faults(groups)
        metrics["update/fill"] = packed.fill
        samples = [
            Sample(e, g.texts, scores.values[i], got.values[i], done.finished[i], scores.failed[i])
            for i, (e, g) in enumerate(zip(batch.episodes, groups, strict=True))
        ]
        return state, metrics, samples

    def sample(self, batch: pipeline.Batch, number: int) -> decode.Decoded:
        """`group` completions a prompt, drawn from the keys (seed, ROLLOUT, step, episode)."""
        cfg = self.rollout
        base = keys.stream_key(self.seed, keys.Stream.ROLLOUT, number)
        names = keys.row_ids([episode.id for episode in batch.episodes])
        return self.sampler.sample(
            batch.prompts,
            sampler.branch_keys(keys.row_keys(base, names), cfg.group),
            sampling.settings(cfg.temperature, cfg.top_k, cfg.top_p),
            cfg.max_new_tokens,
        )

    def groups(
        self, episodes: Sequence[schema.Episode], done: decode.Decoded
    ) -> list[rubric.Group]:
        """The judge's view: ids without the end token, and texts."""
        ends = set(self.sampler.model.tokenizer.eos_ids)
        texts = self.sampler.texts(done.ids, done.lengths)
        groups = []
        for i, episode in enumerate(episodes):
            ids = tuple(
                tuple(int(t) for t in row[:length] if int(t) not in ends)
                for row, length in zip(done.ids[i], done.lengths[i], strict=True)
            )
            groups.append(rubric.Group(episode, ids, tuple(texts[i])))
        return groups

    def packed(self, batch: pipeline.Batch, done: decode.Decoded) -> groups_lib.Groups:
        """Prompts and completions in rows, those of a group behind their one prompt."""
        shards = self.sampler.shards
        return groups_lib.pack(
            batch.prompts,
            groups_lib.completions_of(done.ids, done.lengths),
            lengths=self.lengths,
            shards=shards,
            calls=-(-self.rollout.prompts // shards),
        )

    def reference_logp(self, rows: forest.Forest, count: int) -> Array:
        """The frozen reference's log-probs [calls, m, w]; 0 in calls that hold no rows."""
        made = []
        with meshes.using(self.sampler.mesh):
            for call in range(count):
                some = jax.tree.map(lambda x, call=call: x[call], rows)
                made.append(score.scored(*self.reference, some, None, self.temperature)[0])
            nothing = jnp.zeros_like(made[0])
            return jnp.stack([*made, *[nothing] * (len(rows.ids) - count)])

    def batch_of(
        self,
        packed: groups_lib.Groups,
        rows: forest.Forest,
        reference_logp: Array,
        done: decode.Decoded,
        got: advantage.Advantages,
    ) -> loss.GroupBatch:
        """What the update takes, on the devices."""
        used_ng = got.used & ~got.spread_zero[:, None]
        used = packed.of_completions(used_ng)
        tokens = np.full(used.shape[:2], used.sum(), np.float32)

        def put(x: np.ndarray) -> Array:
            return sharding.put(x, self.sampler.mesh, None, "rows")

        return loss.GroupBatch(
            rows=rows,
            place=put(packed.place),
            used=put(used),
            old_logp=put(packed.of_tokens(done.logprobs)),
            advantage=put(packed.of_completions(got.values)),
            reference_logp=reference_logp,
            tokens=put(tokens),
        )

    def describe(
        self, done: decode.Decoded, scores: rubric.Scores, got: advantage.Advantages
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


def shares_of_faults(groups: Sequence[rubric.Group]) -> dict[str, float]:
    """Shares of completions with a line that is a copy, and with one whose stance is turned."""
    pairs = [(group.episode, text) for group in groups for text in group.texts]
    copied = sum(bool(faults.copies(*pair)) for pair in pairs)
    turned = sum(bool(faults.wrong_stances(*pair)) for pair in pairs)
    count = max(len(pairs), 1)
    return {"rollout/copies": copied / count, "rollout/wrong_stances": turned / count}
