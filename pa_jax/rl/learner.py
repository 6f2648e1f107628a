"""One GRPO step: roll out, judge, advantages, reference log-probs, updates; a batch is a forest."""

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
from pa_jax.judge import own, rubric
from pa_jax.judge.judge import Judge
from pa_jax.models import flops
from pa_jax.rl import advantage, loss, needed
from pa_jax.rl.groups import Groups, completions_of, pack
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
    scores: np.ndarray  # [g, k]
    advantages: np.ndarray  # [g]
    finished: np.ndarray  # [g]
    failed: np.ndarray  # [g]


@dataclasses.dataclass(frozen=True)
class PackedPart:
    """The prompts `at` some places of the batch with their completions, before they are judged."""

    at: slice
    groups: Groups
    rows: forest.Forest  # on the devices
    reference_logp: Array | None


@dataclasses.dataclass(frozen=True)
class Minibatch:
    """What one update trains on, on the devices: `count` of its calls hold rows."""

    batch: loss.GroupBatch
    count: int
    size: flops.Size  # of what is real
    slots: int  # that are computed


@dataclasses.dataclass(frozen=True)
class Learner:
    """What a GRPO step needs besides the train state; `update` comes from train.step."""

    sampler: sampler.Sampler  # its mesh is the learner's
    judge: Judge | own.Reward
    reference: tuple[nnx.GraphDef, nnx.State] | None  # None where loss.beta is 0
    update: Callable[..., tuple[step.TrainState, dict]]
    frozen: nnx.State | tuple[()]  # what of the policy is not trained
    rollout: RolloutConfig
    lengths: tuple[int, ...]  # of packed rows
    reward: advantage.RewardConfig
    loss: loss.LossConfig
    seed: int
    timer: timing.PhaseTimer

    def __post_init__(self) -> None:
        if self.rollout.prompts % self.loss.minibatches:
            raise ValueError(
                f"loss.minibatches={self.loss.minibatches} does not divide rollout.prompts="
                f"{self.rollout.prompts}; each minibatch takes the same number of prompts."
            )

    @property
    def temperature(self) -> Array:
        """Of sampler, trainer and reference alike: they are compared token by token."""
        return jnp.float32(self.rollout.temperature)

    def updates(
        self, state: step.TrainState, parts: Sequence[Minibatch]
    ) -> tuple[step.TrainState, dict[str, Any]]:
        """loss.updates of them, a part each in turn: one step of the state."""
        rows = []
        with meshes.using(self.sampler.mesh):
            for number in range(self.loss.updates):
                part, last = parts[number % len(parts)], number + 1 == self.loss.updates
                count, steps = jnp.int32(part.count), jnp.int32(last)
                state, metrics = self.update(state, part.batch, count, self.frozen, steps)
                rows.append(metrics)
        return state, combined(rows)

    def step(
        self, state: step.TrainState, batch: pipeline.Batch, number: int
    ) -> tuple[step.TrainState, dict[str, Any], list[Sample]]:
        """Train on one batch of prompts; waits for each phase, so that its seconds are its own."""
        with self.timer.phase("rollout"):
            self.sampler.update(step.whole(state, self.frozen))
            done = self.sample(batch, number)
        with self.timer.phase("logprobs"):  # the devices compute while a judge elsewhere is asked
            size = self.rollout.prompts // self.loss.minibatches
            starts = range(0, self.rollout.prompts, size)
            packed = [self.packed(batch, done, slice(i, i + size)) for i in starts]
            if self.judge.on_devices:
                jax.block_until_ready([part.reference_logp for part in packed])
        with self.timer.phase("judge"):
            groups = self.groups(batch.episodes, done)
            scores = self.judge.score(groups)
        got = advantage.advantages(
            scores.values, scores.failed, np.asarray(done.finished), self.reward
        )
        with self.timer.phase("logprobs"):
            parts = [self.minibatch(part, done, got) for part in packed]
            jax.block_until_ready([part.batch.reference_logp for part in parts])
        with self.timer.phase("update"):
            state, metrics = self.updates(state, parts)
            jax.block_until_ready(metrics)
        metrics = metrics | self.describe(done, scores, got) | self.judge.figures()
        metrics["update/fill"] = sum(p.size.tokens for p in parts) / max(
            sum(p.slots for p in parts), 1
        )
        metrics |= shares_of_faults(groups) | self.needed(batch, done, parts)
        samples = [
            Sample(
                e,
                g.texts,
                scores.values[i],
                got.values[i],
                np.asarray(done.finished[i]),
                scores.failed[i],
            )
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
        ends = set(self.sampler.tokenizer.eos_ids)
        texts = self.sampler.texts(np.asarray(done.ids), np.asarray(done.lengths))
        groups = []
        for i, episode in enumerate(episodes):
            ids = tuple(
                tuple(int(t) for t in row[:length] if int(t) not in ends)
                for row, length in zip(done.ids[i], done.lengths[i], strict=True)
            )
            groups.append(rubric.Group(episode, ids, tuple(texts[i])))
        return groups

    def packed(self, batch: pipeline.Batch, done: decode.Decoded, at: slice) -> PackedPart:
        """The prompts `at` these places with their completions, in rows: a group behind its prompt.

        The reference's log-probs are computed before any update, and not waited for.
        """
        shards = self.sampler.shards
        made = pack(
            batch.prompts[at],
            completions_of(np.asarray(done.ids[at]), np.asarray(done.lengths[at])),
            lengths=self.lengths,
            shards=shards,
            calls=-(-(at.stop - at.start) // shards),
        )
        rows = made.rows.put(self.sampler.mesh, None, "rows")
        reference = self.reference_logp(rows, made.count) if self.reference else None
        return PackedPart(at, made, rows, reference)

    def minibatch(
        self, part: PackedPart, done: decode.Decoded, got: advantage.Advantages
    ) -> Minibatch:
        """The part with what its completions earned."""
        at, packed = part.at, part.groups
        used_ng = got.used[at] & ~got.spread_zero[at, None]
        weight_ng = loss.token_weights(
            np.asarray(done.lengths[at]),
            used_ng,
            normalise=self.loss.normalise,
            longest=self.rollout.max_new_tokens,
        )
        used = packed.of_completions(used_ng)
        tokens = np.full(used.shape[:2], used.sum(), np.float32)

        def put(x: np.ndarray) -> Array:
            return sharding.put(x, self.sampler.mesh, None, "rows")

        made = loss.GroupBatch(
            rows=part.rows,
            place=put(packed.place),
            completion=put(packed.number),
            used=put(used),
            weight=put(packed.of_completions(weight_ng)),
            old_logp=put(packed.of_tokens(np.asarray(done.logprobs[at]))),
            advantage=put(packed.of_completions(got.values[at])),
            reference_logp=part.reference_logp,
            tokens=put(tokens),
        )
        return Minibatch(made, packed.count, packed.size, packed.slots)

    def reference_logp(self, rows: forest.Forest, count: int) -> Array:
        """The frozen reference's log-probs [calls, m, w]; 0 in calls that hold no rows."""
        with meshes.using(self.sampler.mesh):
            assert self.reference is not None  # asked for where loss.beta is not 0
            return score.scored_calls(*self.reference, rows, jnp.int32(count), self.temperature)

    def needed(
        self, batch: pipeline.Batch, done: decode.Decoded, parts: Sequence[Minibatch]
    ) -> dict[str, float]:
        """FLOPs and bytes of those phases whose seconds are their own; the judge knows its own."""
        cfg, mesh = self.sampler.config, self.sampler.mesh
        made = needed.training(
            cfg, [p.size for p in parts], updates=self.loss.updates, frozen=bool(self.frozen)
        )
        if self.reference is None or not self.judge.on_devices:
            del made["flops/logprobs"]
        chips = 1 if mesh is None else mesh.size
        return made | needed.decoding(
            cfg, self.sampler.state, batch.prompts, np.asarray(done.lengths), chips=chips
        )

    def describe(
        self, done: decode.Decoded, scores: rubric.Scores, got: advantage.Advantages
    ) -> dict[str, float]:
        """Figures of one step's rollouts; means are over verdicts that did not fail."""
        ok = ~scores.failed
        metrics = {}
        for k, name in enumerate(self.reward.names or rubric.CRITERIA):
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


def combined(rows: Sequence[dict[str, Array]]) -> dict[str, Array | float]:
    """Metrics of a rollout's updates: their means, but how many were skipped.

    Sampler and trainer are compared before the first: only there both have the same weights.
    """
    if len(rows) == 1:
        return {**rows[0]}
    made = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    first = {name: x for name, x in rows[0].items() if name.startswith("logp_delta")}
    return made | first | {"skipped": sum(row["skipped"] for row in rows)}


def shares_of_faults(groups: Sequence[rubric.Group]) -> dict[str, float]:
    """Shares of completions with a line that is a copy, and with one whose stance is turned."""
    pairs = [(group.episode, text) for group in groups for text in group.texts]
    copied = sum(bool(faults.copies(*pair)) for pair in pairs)
    turned = sum(bool(faults.wrong_stances(*pair)) for pair in pairs)
    count = max(len(pairs), 1)
    return {"rollout/copies": copied / count, "rollout/wrong_stances": turned / count}
