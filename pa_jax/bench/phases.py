"""The phases of a GRPO step, each on forests and flat: the same jitted functions, other rows."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from pa_jax.bench.subject import PromptRows, Subject, apart, together
from pa_jax.bench.work import Apart, Work
from pa_jax.core import keys
from pa_jax.core.typing import Array, Float, Int
from pa_jax.infer import decode as decoding
from pa_jax.infer import forest, sampler, sampling, score
from pa_jax.models import flops
from pa_jax.rl import groups, loss
from pa_jax.train import step

LABELS = 2  # label tokens read behind a question
REFERENCE = 1.1  # temperature of what stands for the reference: close to the policy, not equal
SAME_BRANCHES = 0.7  # a near tie may fall on the other side of a rounding error; few may


@dataclasses.dataclass(frozen=True)
class Side:
    """One way to do a phase's work.

    `prepare()` makes what `run` uses up or starts from, untimed; `warm` compiles all that `run`
    calls. `slots` of `rows` rows go through the blocks, `size` of them is real.
    """

    prepare: Callable[[], Any]
    warm: Callable[[Any], Any]
    run: Callable[[Any], Any]
    rows: int
    slots: int
    size: flops.Size
    flops: flops.Flops


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The same work as a forest and flat; `difference(forest's, flat's output)` by kind of number.

    `tokens` are those of all paths, or in decoding the new ones: what either side gets done.
    """

    name: str
    forest: Side
    flat: Side
    difference: Callable[[Any, Any], Mapping[str, float]]
    tokens: int


@functools.partial(jax.jit, static_argnames=("graph", "root"))
def prefilled(
    graph: nnx.GraphDef, state: nnx.State, prompts: decoding.Prompts, *, root: int
) -> tuple[Float[Array, "n v"], decoding.BranchContext]:
    """Logits after every prompt, and the prompts' keys and values."""
    return decoding.prefill(nnx.merge(graph, state), prompts, root=root)


@functools.partial(jax.jit, static_argnames="graph")
def decoded(
    graph: nnx.GraphDef,
    state: nnx.State,
    ids_ngc: Int[Array, "n g c"],
    context: decoding.BranchContext,
) -> Float[Array, "n g c"]:
    """Each branch fed token by token: log-prob of the next one (after the last: of the first)."""
    model = nnx.merge(graph, state)

    def one(branch_kv: decoding.KV, this: tuple[Array, Array, Array]) -> tuple[decoding.KV, Array]:
        index, token, following = this
        logits, grown = decoding.decode_step(model, token, context, branch_kv, index)
        chosen = jnp.take_along_axis(logits, following[..., None], axis=-1)[..., 0]
        return cast(decoding.KV, grown), chosen - jax.nn.logsumexp(logits, axis=-1)

    token_cng = jnp.moveaxis(ids_ngc, 2, 0)
    steps = jnp.arange(ids_ngc.shape[2]), token_cng, jnp.roll(token_cng, -1, axis=0)
    (n, g, c), dtype = ids_ngc.shape, jax.tree.leaves(context.own)[0].dtype
    empty = decoding.branch_cache(model.cfg, (n, g, c), dtype)
    return jnp.moveaxis(jax.lax.scan(one, empty, steps)[1], 0, 2)


def prefill(subject: Subject) -> Comparison:
    """Prompts to their last token's logits and their keys and values."""

    def side(prompts: PromptRows) -> Side:
        rows = jax.device_put(prompts.rows)

        def run(_: None) -> Array:
            return prefilled(subject.graph, subject.state, rows, root=prompts.root)[0]

        return _side(subject, run, len(rows.ids), rows.ids.size, prompts.size())

    one, two = together(subject), apart(subject)

    def difference(forests: Array, flat: Array) -> Mapping[str, float]:
        return {
            "logit": _apart(one.of_paths(np.repeat(forests, one.branches, 0)), two.of_paths(flat))
        }

    tokens = subject.cfg.group * sum(map(len, subject.work.prompts))
    return Comparison("prefill", side(one), side(two), difference, tokens)


def decode(subject: Subject) -> Comparison:
    """Given completions token by token, all at once, behind prompts that are in the cache.

    As in a rollout all branches go on until the longest has ended.
    """
    work = subject.work
    ids = _padded(work.completions, work.longest)

    def side(prompts: PromptRows) -> Side:
        rows = jax.device_put(prompts.rows)
        batch = jnp.asarray(ids[prompts.paths])

        def prepare() -> decoding.BranchContext:
            return prefilled(subject.graph, subject.state, rows, root=prompts.root)[1]

        def run(context: decoding.BranchContext) -> Array:
            return decoded(subject.graph, subject.state, batch, context)

        return dataclasses.replace(
            _side(subject, run, work.paths, batch.size, _new(work, work.longest)),
            prepare=prepare,
        )

    one, two = together(subject), apart(subject)

    def difference(forests: Array, flat: Array) -> Mapping[str, float]:
        return {"logprob": _apart(one.of_paths(forests), two.of_paths(flat))}

    return Comparison("decode", side(one), side(two), difference, work.paths * work.longest)


def rollout(subject: Subject) -> Comparison:
    """Prompts to completions as the sampler makes them, all as long as the longest that is given.

    Greedy (each step draws all the same): where thousands of tokens are near equally likely, as
    behind random prompts, a draw turns on rounding and the two sides would part ways.
    """
    work, n = subject.work, subject.cfg.prompts
    base = keys.stream_key(subject.seed, keys.Stream.BENCH, 2)
    key_ng = sampler.branch_keys(keys.row_keys(base, np.arange(n)), subject.cfg.group)
    never_ends = (jnp.int32(work.longest), jnp.zeros((0,), jnp.int32))
    width = forest.fit(work.longest, sampler.WIDTHS, what="completion")

    def side(prompts: PromptRows) -> Side:
        rows = jax.device_put(prompts.rows)
        key = key_ng.reshape(-1)[prompts.paths]

        def run(_: None) -> decoding.Decoded:
            return decoding.rollout(
                subject.graph,
                subject.state,
                rows,
                key,
                sampling.settings(0.0),
                never_ends,
                root=prompts.root,
                slots=width,
                apart=jax.default_backend() == "cpu",
            )

        new = _new(work, work.longest - 1)
        slots = rows.ids.size + new.tokens
        return _side(subject, run, len(rows.ids), slots, prompts.size() + new)

    one, two = together(subject), apart(subject)

    def difference(forests: decoding.Decoded, flat: decoding.Decoded) -> Mapping[str, float]:
        """Log-probs up to a branch's first other token; infinite where many branches have one."""
        (ids, logp), (ids_flat, logp_flat) = (
            (prompts.of_paths(made.ids), prompts.of_paths(made.logprobs))
            for made, prompts in ((forests, one), (flat, two))
        )
        until = np.cumprod(ids == ids_flat, axis=-1).astype(bool)
        if until[..., -1].mean() < SAME_BRANCHES:
            return {"logprob": float("inf")}
        return {"logprob": float(np.abs(logp - logp_flat)[until].max())}

    return Comparison("rollout", side(one), side(two), difference, work.paths * work.longest)


def judge(subject: Subject) -> Comparison:
    """Label log-probs behind every question about every completion."""
    label = jnp.arange(LABELS)

    def call(rows: forest.Forest) -> Array:
        return score.labelled(subject.graph, subject.state, rows, None, label)[0]

    return _forward("judge", subject, subject.work.judged(), call)


def logprobs(subject: Subject) -> Comparison:
    """The reference's log-probs of completion tokens."""

    def call(rows: forest.Forest) -> Array:
        return score.scored(subject.graph, subject.state, rows, None, jnp.float32(1.0))[0]

    return _forward("logprobs", subject, subject.work.scored(), call)


def update(
    subject: Subject,
    loss_fn: step.LossFn,
    tx: optax.GradientTransformation,
    *,
    compute: str,
    remat: str,
) -> Comparison:
    """One optimiser step of the whole batch, from fresh optimiser state in every run.

    `tx` is adam-like: its first moment after one step shows the gradient. `loss_fn` is a
    rl.loss.grpo with `remat`.
    """
    one_step = step.make_update(subject.graph, loss_fn, tx, compute=compute)

    def side(packed: groups.Groups, batch: loss.GroupBatch) -> Side:
        count = jnp.int32(packed.count)

        def run(start: step.TrainState) -> tuple[Array, list[Array]]:
            made, metrics = jax.block_until_ready(one_step(start, batch, count))
            moment = optax.tree_utils.tree_get(made.opt, "mu")
            return metrics["loss"], jax.tree.leaves(moment)

        rows = packed.rows
        ends = list(rows.end.reshape(-1, rows.end.shape[-1]))
        size = flops.Size(
            packed.tokens, flops.visible_pairs(ends, packed.tokens), int(rows.wanted.sum())
        )
        made = _side(subject, run, packed.count, packed.count * rows.ids.shape[-1], size)
        return dataclasses.replace(
            made,
            prepare=lambda: step.create(subject.state, tx),
            flops=flops.train(made.flops, remat=remat),
        )

    one, two = (side(*made) for made in batches(subject))
    return Comparison("update", one, two, updates_apart, _tokens(subject.work.scored()))


def batches(subject: Subject) -> list[tuple[groups.Groups, loss.GroupBatch]]:
    """The update's batch as a forest and flat; sampler and reference near the model's log-probs."""
    work = subject.work
    pack = functools.partial(groups.pack, lengths=subject.cfg.update_lengths)
    unlike = Apart(work.vocab)
    alone = [
        (ids[: len(prompt)], [ids[len(prompt) :]])
        for prompt, row in zip(work.prompts, work.completions, strict=True)
        for ids in (unlike.ids([*prompt, *completion]) for completion in row)
    ]
    one, two = pack(work.prompts, work.completions), pack(*zip(*alone, strict=True))
    two = dataclasses.replace(two, rows=unlike.back(two.rows))
    logp = np.take_along_axis(_by_call(subject, one, 1.0), one.place, axis=-1)
    old = np.zeros((subject.cfg.prompts, subject.cfg.group, work.longest), np.float32)
    old[tuple(x[one.real] for x in one.whose)] = logp[one.real]
    draw = np.random.default_rng(subject.seed)
    old += 0.1 * draw.standard_normal(old.shape, np.float32)
    advantage = draw.standard_normal(old.shape[:2], np.float32)

    def batch(packed: groups.Groups, *lead: int) -> loss.GroupBatch:
        tokens = np.full(packed.real.shape[:2], one.real.sum(), np.float32)
        return loss.GroupBatch(
            rows=jax.device_put(packed.rows),
            place=jnp.asarray(packed.place),
            completion=jnp.asarray(packed.number),
            used=jnp.asarray(packed.real),
            weight=jnp.asarray(packed.real / np.float32(one.real.sum())),
            old_logp=jnp.asarray(packed.of_tokens(old.reshape(*lead, work.longest))),
            advantage=jnp.asarray(packed.of_completions(advantage.reshape(lead))),
            reference_logp=jnp.asarray(_by_call(subject, packed, REFERENCE)),
            tokens=jnp.asarray(tokens),
        )

    return [(one, batch(one, *old.shape[:2])), (two, batch(two, work.paths, 1))]


def _by_call(
    subject: Subject, packed: groups.Groups, temperature: float
) -> Float[np.ndarray, "c m w"]:
    """Log-probs of the wanted tokens, call after call."""
    calls = [jax.tree.map(lambda x, i=i: x[i], packed.rows) for i in range(packed.count)]
    at = jnp.float32(temperature)
    scored = functools.partial(score.scored, subject.graph, subject.state)
    return np.stack([scored(rows, None, at)[0] for rows in calls])


def _forward(
    name: str,
    subject: Subject,
    trees: Sequence[Sequence[forest.Path]],
    call: Callable[[forest.Forest], Array],
) -> Comparison:
    def side(packed: forest.Packed) -> Side:
        calls = [jax.device_put(forest.stacked([row], 1)) for row in packed.rows]
        lengths = {rows.ids.shape[-1]: rows for rows in calls}

        def run(_: None) -> list[Array]:
            return [call(rows) for rows in calls]

        made = _side(subject, run, len(calls), packed.slots, packed.size)
        return dataclasses.replace(made, warm=lambda _: [call(x) for x in lengths.values()])

    one, two = subject.pair(trees)

    def difference(forests: Sequence[Array], flat: Sequence[Array]) -> Mapping[str, float]:
        return {"logprob": _apart(_of_paths(one, forests), _of_paths(two, flat))}

    return Comparison(name, side(one), side(two), difference, _tokens(trees))


def _side(
    subject: Subject, run: Callable[[Any], Any], rows: int, slots: int, size: flops.Size
) -> Side:
    return Side(lambda: None, run, run, rows, slots, size, flops.forward(subject.model, size))


def _new(work: Work, tokens: int) -> flops.Size:
    """So many new tokens of every path, each one's next wanted."""
    total = flops.Size(0, 0, 0)
    for prompt, row in zip(work.prompts, work.completions, strict=True):
        one = flops.causal(tokens, before=len(prompt), wanted=tokens)
        total += one.times(len(row))
    return total


def _tokens(trees: Sequence[Sequence[forest.Path]]) -> int:
    return sum(len(path.ids) for tree in trees for path in tree)


def _of_paths(packed: forest.Packed, values: Sequence[Array]) -> np.ndarray:
    """What was wanted of every path, one behind the other."""
    of_row = [np.asarray(x)[0] for x in values]
    return np.concatenate([of_row[row][place] for tree in packed.places for row, place in tree])


def _apart(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float32) - two.astype(np.float32)).max())


def _padded(completions: Sequence[Sequence[Sequence[int]]], width: int) -> np.ndarray:
    """[paths, width] ids, 0 behind each completion."""
    return np.array([[*ids, *[0] * (width - len(ids))] for row in completions for ids in row])


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
