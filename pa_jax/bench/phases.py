"""The phases of a GRPO step, each as trees and flat: the same jitted functions, other shapes."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from pa_jax.bench import work as works
from pa_jax.core import keys
from pa_jax.core.typing import Array
from pa_jax.infer import engine, sampling, score
from pa_jax.models import flops, tree
from pa_jax.models.config import DecoderConfig
from pa_jax.train import step

LABELS = 2  # label tokens read at a leaf's end
SAME_BRANCHES = 0.7  # a near tie may fall on the other side of a rounding error; few may


@dataclasses.dataclass(frozen=True)
class Side:
    """One way to do a phase's work.

    `prepare()` makes what `run` uses up or starts from, untimed; `warm` compiles all that `run`
    calls. `tokens` go through the blocks, `rows` at a time.
    """

    prepare: Callable[[], Any]
    warm: Callable[[Any], Any]
    run: Callable[[Any], Any]
    rows: int
    tokens: int
    flops: flops.Flops


@dataclasses.dataclass(frozen=True)
class Phase:
    """The same work as trees and flat; `difference(tree's, flat's output)` by kind of number.

    `tokens` are those of all paths, or in decoding the new ones: what either side gets done.
    """

    name: str
    trees: Side
    flat: Side
    difference: Callable[[Any, Any], Mapping[str, float]]
    tokens: int


@dataclasses.dataclass(frozen=True)
class Subject:
    """The model under measurement and its work."""

    graph: nnx.GraphDef
    state: nnx.State
    model: DecoderConfig
    cfg: works.BenchConfig
    work: works.Work
    seed: int


@functools.partial(jax.jit, static_argnames="graph")
def prefilled(graph: nnx.GraphDef, state: nnx.State, trees: score.TreeIds) -> tuple[Array, Any]:
    """Logits after every trunk, and the trunks' keys and values."""
    return engine.prefill(nnx.merge(graph, state), trees.trunk, trees.lens.trunk)


@functools.partial(jax.jit, static_argnames="graph")
def decoded(graph: nnx.GraphDef, state: nnx.State, trees: score.TreeIds, kv: Any) -> Array:
    """Each branch fed token by token: log-prob of the next one (after the last: of the first)."""
    model = nnx.merge(graph, state)
    n, g, c = trees.branch.shape

    def one(branch_kv, this):
        index, token, following = this
        logits, branch_kv = engine.decode_step(model, token, context, branch_kv, index)
        chosen = jnp.take_along_axis(logits, following[..., None], axis=-1)[..., 0]
        return branch_kv, chosen - jax.nn.logsumexp(logits, axis=-1)

    token_cng = jnp.moveaxis(trees.branch, 2, 0)
    steps = jnp.arange(c), token_cng, jnp.roll(token_cng, -1, axis=0)
    context = engine.behind(kv, trees.lens.trunk)
    empty = engine.branch_cache(model.cfg, (n, g, c), kv[0].dtype)
    return jnp.moveaxis(jax.lax.scan(one, empty, steps)[1], 0, 2)


def prefill(subject: Subject) -> Phase:
    """Prompts to their last token's logits and their keys and values."""
    cfg, of = subject.cfg, subject.work

    def side(batch: score.TreeIds) -> Side:
        trunks = works.full(batch.trunk, batch.branch[:, :0, :0], batch.leaf[:, :0, :0, :0])
        return _forward(
            trunks,
            lambda part: prefilled(subject.graph, subject.state, part)[0],
            subject,
            projected=1,
        )

    def difference(one: Sequence[Array], two: Sequence[Array]) -> Mapping[str, float]:
        return {"logit": _apart(np.repeat(_joined(one), cfg.group, axis=0), _joined(two))}

    tokens = cfg.prompts * cfg.group * cfg.trunk
    return Phase("prefill", side(of.groups), side(of.flat_groups), difference, tokens)


def decode(subject: Subject) -> Phase:
    """Given completions token by token, all rows at once, behind prompts that are in the cache."""
    cfg = subject.cfg

    def side(batch: score.TreeIds, copies: int) -> Side:
        def prepare():
            _, kv = prefilled(subject.graph, subject.state, subject.work.groups)
            return jax.tree.map(lambda x: jnp.repeat(x, copies, axis=1), kv)

        def run(kv):
            return decoded(subject.graph, subject.state, batch, kv)

        rows, tokens = batch.trunk.shape[0], batch.branch.size
        one = flops.decode(subject.model, trunk=cfg.trunk, tokens=cfg.branch, projected=cfg.branch)
        return Side(prepare, run, run, rows, tokens, one.times(cfg.prompts * cfg.group))

    return Phase(
        "decode",
        side(subject.work.groups, 1),
        side(subject.work.flat_groups, cfg.group),
        _log_probs_apart,
        cfg.prompts * cfg.group * cfg.branch,
    )


def rollout(subject: Subject) -> Phase:
    """Prompts to completions with the engine.

    Greedy (each step draws all the same): where thousands of tokens are near equally likely, as
    behind random prompts, a draw turns on rounding and the two sides would part ways.
    """
    cfg, of = subject.cfg, subject.work
    base = keys.stream_key(subject.seed, keys.Stream.BENCH, 2)
    key_ng = engine.branch_keys(keys.row_keys(base, np.arange(cfg.prompts)), cfg.group)
    never_ends = (jnp.int32(cfg.branch), jnp.zeros((0,), jnp.int32))

    def side(batch: score.TreeIds) -> Side:
        rows = batch.trunk.shape[0]

        def run(_):
            return engine.rollout(
                subject.graph,
                subject.state,
                (batch.trunk, batch.lens.trunk),
                key_ng.reshape(rows, -1),
                sampling.settings(0.0),
                never_ends,
                slots=cfg.branch,
                apart=jax.default_backend() == "cpu",
            )

        prompt = flops.forward(subject.model, tree.TreeSpec(cfg.trunk), projected=1).times(rows)
        new = flops.decode(
            subject.model, trunk=cfg.trunk, tokens=cfg.branch - 1, projected=cfg.branch - 1
        ).times(cfg.prompts * cfg.group)
        both = flops.Flops(
            prompt.blocks + new.blocks, prompt.attention + new.attention, prompt.head + new.head
        )
        tokens = batch.trunk.size + cfg.prompts * cfg.group * (cfg.branch - 1)
        return Side(lambda: None, run, run, rows, tokens, both)

    tokens = cfg.prompts * cfg.group * cfg.branch
    return Phase("rollout", side(of.groups), side(of.flat_groups), _rollouts_apart, tokens)


def judge(subject: Subject) -> Phase:
    """Label log-probs at the end of every question about every completion."""
    label = jnp.arange(LABELS)

    def side(batch: score.TreeIds) -> Side:
        leaves = batch.leaf.shape[1] * batch.leaf.shape[2]
        return _forward(
            batch,
            lambda part: score.labelled(subject.graph, subject.state, part, label)[0],
            subject,
            projected=leaves,
        )

    of = subject.work
    return Phase(
        "judge",
        side(of.judged),
        side(of.flat_judged),
        _log_probs_apart,
        of.flat_judged.trunk.size,
    )


def logprobs(subject: Subject) -> Phase:
    """The reference's log-probs of completion tokens."""

    def side(batch: score.TreeIds) -> Side:
        return _forward(
            batch,
            lambda part: score.scored(subject.graph, subject.state, part, jnp.float32(1.0)),
            subject,
            projected=batch.branch[0].size,
        )

    of = subject.work
    tokens = of.flat_groups.spec.slots * of.flat_groups.trunk.shape[0]
    return Phase("logprobs", side(of.groups), side(of.flat_groups), _log_probs_apart, tokens)


def update(
    subject: Subject,
    loss_fn: step.LossFn,
    tx: optax.GradientTransformation,
    *,
    compute: str,
    remat: str,
) -> Phase:
    """One optimiser step of the whole batch, from fresh optimiser state in every run.

    `tx` is adam-like: its first moment after one step shows the gradient. `loss_fn` is a
    rl.loss.grpo with `remat`.
    """
    of, state = subject.work, subject.state
    parts = works.chunks(of.groups, subject.cfg.forward_tokens)
    logp = jnp.concatenate([score.scored(subject.graph, state, x, jnp.float32(1.0)) for x in parts])
    batches = works.grpo_batches(of, logp, subject.seed)

    def side(batch) -> Side:
        rows, spec = batch.trees.trunk.shape[0], batch.trees.spec
        micro = works.rows_a_call(rows, spec.slots, subject.cfg.update_tokens)
        one_step = step.make_update(subject.graph, loss_fn, tx, micro=micro, compute=compute)

        def run(start):
            made, metrics = jax.block_until_ready(one_step(start, batch))
            moment = optax.tree_utils.tree_get(made.opt, "mu")
            return metrics["loss"], jax.tree.leaves(moment)

        ahead = flops.forward(subject.model, spec, projected=spec.branch_slots).times(rows)
        return Side(
            lambda: step.create(state, tx),
            run,
            run,
            micro,
            rows * spec.slots,
            flops.train(ahead, remat=remat),
        )

    tokens = of.flat_groups.spec.slots * of.flat_groups.trunk.shape[0]
    return Phase("update", *map(side, batches), updates_apart, tokens)


def _forward(
    batch: score.TreeIds, call: Callable[[Any], Array], subject: Subject, *, projected: int
) -> Side:
    parts = works.chunks(batch, subject.cfg.forward_tokens)
    rows, spec = batch.trunk.shape[0], batch.spec
    return Side(
        prepare=lambda: None,
        warm=lambda _: call(parts[0]),
        run=lambda _: [call(part) for part in parts],
        rows=rows // len(parts),
        tokens=rows * spec.slots,
        flops=flops.forward(subject.model, spec, projected=projected).times(rows),
    )


def _joined(parts: Sequence[Array] | Array) -> np.ndarray:
    return np.concatenate([np.asarray(x, np.float32) for x in parts])


def _apart(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one - two.reshape(one.shape)).max())


def _log_probs_apart(one: Any, two: Any) -> Mapping[str, float]:
    return {"logprob": _apart(_joined(one), _joined(two))}


def _rollouts_apart(one: engine.Decoded, two: engine.Decoded) -> Mapping[str, float]:
    """Log-probs up to a branch's first other token; infinite where many branches have one."""
    shape = one.ids.shape
    same = np.asarray(one.ids) == np.asarray(two.ids).reshape(shape)
    apart = np.abs(np.asarray(one.logprobs) - np.asarray(two.logprobs).reshape(shape))
    until = np.cumprod(same, axis=-1).astype(bool)
    if until[..., -1].mean() < SAME_BRANCHES:
        return {"logprob": float("inf")}
    return {"logprob": float(apart[until].max())}


def updates_apart(one: Any, two: Any) -> Mapping[str, float]:
    """Loss relative to itself, and the worst parameter's gradient relative to its norm."""
    (loss_one, grads_one), (loss_two, grads_two) = one, two
    gradient = [
        float(jnp.linalg.norm((a - b).ravel()) / (jnp.linalg.norm(b.ravel()) + 1e-20))
        for a, b in zip(grads_one, grads_two, strict=True)
    ]
    return {
        "loss": abs(float(loss_one) - float(loss_two)) / abs(float(loss_two)),
        "gradient": float(np.max(gradient)),
    }
