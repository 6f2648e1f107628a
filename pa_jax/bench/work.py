"""The same tokens twice: groups as trees, and every path as a row of its own."""

import dataclasses

import jax
import jax.numpy as jnp

from pa_jax.core import keys
from pa_jax.core.typing import Array
from pa_jax.infer import score
from pa_jax.models import tree
from pa_jax.rl import loss


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """prompts, group    trees, and branches of each
    trunk, branch     tokens of a prompt and of a completion
    leaves, leaf      the judge's questions about a completion, and tokens of each
    forward_tokens    at most so many tokens a call of a forward pass, tree or flat
    update_tokens     and so many a microbatch of the update
    reps              timed runs of each side of a phase; the median counts
    """

    prompts: int
    group: int
    trunk: int
    branch: int
    leaves: int
    leaf: int
    forward_tokens: int
    update_tokens: int
    reps: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(
                    f"bench.{field.name}={getattr(self, field.name)}: must be at least 1."
                )


@dataclasses.dataclass(frozen=True)
class Work:
    """Token ids of every phase. Every node is full: neither side pads."""

    groups: score.TreeIds  # n rows of trunk + g branches
    judged: score.TreeIds  # the same with leaves
    flat_groups: score.TreeIds  # n * g rows of trunk + 1 branch
    flat_judged: score.TreeIds  # n * g * j rows of one node


def make(cfg: BenchConfig, vocab: int, seed: int) -> Work:
    """Ids drawn from the BENCH stream."""
    n, g, j = cfg.prompts, cfg.group, cfg.leaves
    shapes = (n, cfg.trunk), (n, g, cfg.branch), (n, g, j, cfg.leaf)
    draws = jax.random.split(keys.stream_key(seed, keys.Stream.BENCH, 0), 3)
    trunk, branch, leaf = (
        jax.random.randint(key, shape, 0, vocab) for key, shape in zip(draws, shapes, strict=True)
    )
    rows = n * g
    trunk_rows = jnp.repeat(trunk, g, axis=0)
    path = [
        jnp.repeat(trunk_rows, j, axis=0),
        jnp.repeat(branch.reshape(rows, -1), j, axis=0),
        leaf.reshape(rows * j, -1),
    ]
    return Work(
        groups=full(trunk, branch, leaf[:, :, :0, :0]),
        judged=full(trunk, branch, leaf),
        flat_groups=full(
            trunk_rows, branch.reshape(rows, 1, -1), jnp.zeros((rows, 1, 0, 0), jnp.int32)
        ),
        flat_judged=full(
            jnp.concatenate(path, axis=1),
            jnp.zeros((rows * j, 1, 0), jnp.int32),
            jnp.zeros((rows * j, 1, 1, 0), jnp.int32),
        ),
    )


def full(trunk: Array, branch: Array, leaf: Array) -> score.TreeIds:
    """Trees whose nodes are full; an empty leaf ends where its path so far ends."""
    lens = tree.TreeLengths(
        jnp.full(trunk.shape[:1], trunk.shape[1], jnp.int32),
        jnp.full(branch.shape[:2], branch.shape[2], jnp.int32),
        jnp.full(leaf.shape[:3], leaf.shape[3], jnp.int32),
    )
    return score.TreeIds(trunk, branch, leaf, lens)


def grpo_batches(work: Work, logp_ngc: Array, seed: int) -> tuple[loss.GroupBatch, loss.GroupBatch]:
    """The update's batch as trees and flat; sampler and reference near the model's log-probs."""
    n, g, c = logp_ngc.shape
    draws = jax.random.split(keys.stream_key(seed, keys.Stream.BENCH, 1), 3)
    old, reference = (logp_ngc + 0.1 * jax.random.normal(key, (n, g, c)) for key in draws[:2])
    values = (old, reference, jax.random.normal(draws[2], (n, g)), jnp.ones((n, g), bool))
    tokens = jnp.full((n,), n * g * c, jnp.float32)
    flat = (x.reshape(n * g, 1, *x.shape[2:]) for x in values)
    return (
        loss.GroupBatch(work.groups, *values, tokens),
        loss.GroupBatch(work.flat_groups, *flat, jnp.repeat(tokens, g)),
    )


def rows_a_call(rows: int, tokens: int, budget: int) -> int:
    """Largest divisor of `rows` whose rows of `tokens` stay within the budget; at least 1."""
    fits = [k for k in range(1, rows + 1) if rows % k == 0 and k * tokens <= budget]
    return max(fits, default=1)


def chunks(batch: score.TreeIds, budget: int) -> list[score.TreeIds]:
    """The batch cut by rows_a_call."""
    rows = batch.trunk.shape[0]
    size = rows_a_call(rows, batch.spec.slots, budget)
    return [jax.tree.map(lambda x, at=at: x[at : at + size], batch) for at in range(0, rows, size)]
