"""The jitted programs of a GRPO step with shapes in place of arrays, laid out on a mesh.

They are the functions that training runs, of infer, judge, rl and train; only the way from text to
token ids is left out, so every bucket is the largest and every node full.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.infer import buckets, engine, sampling, score
from pa_jax.judge import forward, rubric
from pa_jax.judge import verbal as verbals
from pa_jax.models import decoder, flops, lora, quant, tree
from pa_jax.models.config import DecoderConfig
from pa_jax.plan import kernels
from pa_jax.rl import loss
from pa_jax.train import optimizer, step

REFERENCE = sharding.TRAIN_RULES  # read once a step: gathered layer by layer
JUDGE = sharding.INFER_RULES
DECODE = "rollout decode"


@dataclasses.dataclass(frozen=True)
class Work:
    """A step's models and shapes; `judge` None: the reference judges.

    trunk, completion     tokens of a prompt and of a completion
    judge_rows            trees a call of the judge; judge_trunk, question: tokens of its nodes
    micro                 rows a forward and backward pass of the update
    adapters              of LoRA; None: all weights train
    stored                dtype of the policy's parameters; compute: of the passes
    int8, judge_int8      the adapters' base and the judge hold int8 weights
    """

    policy: DecoderConfig
    adapters: lora.LoraConfig | None
    stored: str
    int8: bool
    judge: DecoderConfig | None
    judge_int8: bool
    judge_kind: str
    prompts: int
    group: int
    trunk: int
    completion: int
    judge_rows: int
    judge_trunk: int
    question: int
    micro: int
    compute: str
    remat: str
    loss: loss.LossConfig
    optim: optimizer.OptimConfig

    @property
    def spec(self) -> tree.TreeSpec:
        return tree.TreeSpec(self.trunk, self.group, self.completion)

    @property
    def judged(self) -> tree.TreeSpec:
        """The judge's tree; the likelihood judge's largest of three (judge/likelihood.py)."""
        branch = buckets.fit(self.completion + 1, forward.NODES, what="completion")
        if self.judge_kind == "likelihood":
            stance = buckets.fit(self.question, forward.NODES, what="question")
            return tree.TreeSpec(self.judge_trunk, 2, stance, 2 * (self.group + 1), branch)
        leaf = buckets.fit(self.question, forward.NODES, what="question")
        leaves = len(rubric.CRITERIA)
        return tree.TreeSpec(self.judge_trunk, self.group, branch, leaves, leaf)


@dataclasses.dataclass(frozen=True)
class Phase:
    """One program. `flops` are those of the model on all chips, `kernel_flops` what its Pallas
    kernels do of them, blocks that a mask cuts through counted whole; `calls` a step;
    `tokens` a call; `takes` names the resident arrays among its arguments; `dearer`: count the
    dearer side of its branches.
    """

    name: str
    lower: Callable[[], jax.stages.Lowered]
    flops: flops.Flops
    kernel_flops: float
    tokens: int
    calls: int
    takes: tuple[str, ...]
    dearer: bool


def placed(state: Any, mesh: sharding.AnyMesh, rules: sharding.Rules) -> Any:
    """Shapes that carry the layout which `rules` give."""
    return carrying(state, sharding.shardings(state, mesh, rules))


def carrying(state: Any, where: Any) -> Any:
    """Shapes with the shardings of a like tree."""
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, where
    )


def rows(mesh: sharding.AnyMesh, dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
    """The shape of an array whose first axis is cut over the data axes."""
    axes = ("rows", *[None] * (len(shape) - 1))
    part = sharding.activation_spec(axes, shape, mesh)
    return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, part))


def trees(mesh: sharding.AnyMesh, n: int, spec: tree.TreeSpec) -> score.TreeIds:
    """The shapes of `n` trees."""
    of = functools.partial(rows, mesh, jnp.int32, n)
    g, c, j, q = spec.branches, spec.branch, spec.leaves, spec.leaf
    lens = tree.TreeLengths(of(), of(g), of(g, j))
    return score.TreeIds(of(spec.trunk), of(g, c), of(g, j, q), lens)


class Step:
    """The states and programs of one step on a mesh."""

    def __init__(self, work: Work, mesh: Any, *, attention: str, steps: int) -> None:
        """`mesh` may be abstract where nothing is lowered."""
        self.work, self.mesh, self.attention = work, mesh, attention
        self.tx = optimizer.make(work.optim, steps)
        self.frozen: Any = ()
        if work.adapters is None:
            self.graph, params = nnx.split(self._model(work.policy, work.stored))
            sampled = nnx.state(self._model(work.policy, work.compute))
            start = self.graph, sampled
        else:
            self.graph, params, frozen = lora.split(self._adapted())
            sampled = nnx.state(self._adapted())
            start = nnx.split(lora.base(self._adapted()))
            self.frozen = placed(frozen, mesh, sharding.TRAIN_RULES)
        state = jax.eval_shape(lambda p: step.TrainState(p, self.tx.init(p), jnp.int32(0)), params)
        self.where = step.layout(state, mesh)
        self.state = carrying(state, self.where)
        self.sampler = placed(sampled, mesh, sharding.INFER_RULES)
        self.reference_graph, start = start
        self.reference = placed(start, mesh, REFERENCE)
        self.judge_graph, self.judge = self.reference_graph, self.reference
        if work.judge is not None:
            judge = self._model(work.judge, "bfloat16", int8=work.judge_int8)
            self.judge_graph, state = nnx.split(judge)
            self.judge = placed(state, mesh, JUDGE)

    def _model(self, cfg: DecoderConfig, dtype: str, *, int8: bool = False) -> decoder.Decoder:
        made = decoder.abstract(cfg, dtype=jnp.dtype(dtype), attention=self.attention)
        return nnx.eval_shape(quant.quantise, made) if int8 else made

    def _adapted(self) -> decoder.Decoder:
        work = self.work
        base = self._model(work.policy, work.stored, int8=work.int8)
        return nnx.eval_shape(lambda m: lora.add(m, work.adapters, jax.random.key(0)), base)

    def resident(self) -> dict[str, float]:
        """Bytes a chip of what stays from phase to phase; the KV lives during the rollout.

        Adapters share their base with the reference, and on one chip with the sampler.
        """
        made = {
            "parameters": self.state.params,
            "optimiser": (self.state.opt, self.state.step),
            "sampler": self.sampler,
            "reference": self.reference,
            "kv": self.kv(),
        }
        if self.work.judge is not None:
            made["judge"] = self.judge
        if self.shares_sampler:
            del made["sampler"]
        return {name: local_bytes(part) for name, part in made.items()}

    @property
    def shares_sampler(self) -> bool:
        """Whether the sampler reads the trained state's own arrays, as infer/engine decides."""
        same = self.work.adapters is not None or self.work.stored == self.work.compute
        return same and self.mesh.size == 1

    def kv(self) -> Any:
        """Keys and values of trunks and branches, as engine.rollout keeps them."""
        work, cfg = self.work, self.work.policy
        kind = jnp.dtype(work.compute)
        axes = (None, "rows", "kv_heads", None, None)
        slots = work.trunk, work.group * work.completion
        shapes = tuple(
            (cfg.layers, work.prompts, cfg.kv_heads, cfg.head_dim, each) for each in slots
        )
        return [
            jax.ShapeDtypeStruct(
                shape,
                kind,
                sharding=NamedSharding(self.mesh, sharding.activation_spec(axes, shape, self.mesh)),
            )
            for shape in shapes * 2
        ]

    def phases(self) -> list[Phase]:
        """In the order of a step."""
        made = [self.rollout(), self.judged(), self.scored(), self.update()]
        return made if self.shares_sampler else [self.reshard(), *made]

    def reshard(self) -> Phase:
        """The trained parameters laid out for sampling, as infer/engine does before a rollout."""
        where = jax.tree.map(lambda x: x.sharding, self.sampler)
        dtypes = jax.tree.map(lambda x: x.dtype, self.sampler)

        def lower():
            return engine.relayout(dtypes, where).lower(step.whole(self.state, self.frozen))

        return self._phase("reshard", lower, flops.Flops(0.0, 0.0, 0.0), 0.0, ("parameters",))

    def rollout(self) -> Phase:
        """Prefill, and a loop whose body is one decode step."""
        work, cfg, mesh = self.work, self.work.policy, self.mesh
        n, g = work.prompts, work.group
        key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), (n, g)))
        part = NamedSharding(mesh, sharding.activation_spec(("rows", None), (n, g), mesh))
        key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=part)

        def lower():
            graph = self._sampled_graph()
            return engine.rollout.lower(
                graph,
                self.sampler,
                (rows(mesh, jnp.int32, n, work.trunk), rows(mesh, jnp.int32, n)),
                key,
                jax.eval_shape(lambda: sampling.settings(1.0)),
                (self._whole(jnp.int32), self._whole(jnp.int32, 2)),
                slots=work.completion,
            )

        spec = tree.TreeSpec(work.trunk)
        ahead = flops.forward(cfg, spec, projected=1).times(n)
        kernel = kernels.forward(cfg, spec) * n if self.attention == "splash" else 0.0
        made = self._phase("rollout prefill", lower, ahead, kernel, self._takes(), n * work.trunk)
        return dataclasses.replace(made, dearer=False)  # top-k and top-p are off

    def _sampled_graph(self) -> nnx.GraphDef:
        if self.work.adapters is None:
            return self.graph
        return nnx.graphdef(self._adapted())

    def decode(self) -> flops.Flops:
        """FLOPs of the last, dearest step of the rollout's loop, on all chips."""
        work = self.work
        one = flops.passed(work.policy, tokens=1, pairs=work.trunk + work.completion, projected=1)
        return one.times(work.prompts * work.group)

    def judged(self) -> Phase:
        """The judge's prefill over `judge_rows` trees."""
        work, spec = self.work, self.work.judged
        cfg = work.judge or work.policy
        n = work.judge_rows
        if work.judge_kind == "likelihood":
            projected = spec.branch_slots + spec.leaf_slots

            def lower():
                batch = trees(self.mesh, n, spec)
                return forward.both.lower(self.judge_graph, self.judge, batch)
        else:
            projected = spec.branches * spec.leaves

            def lower():
                label = self._whole(jnp.int32, len(verbals.LABELS))
                batch = trees(self.mesh, n, spec)
                return score.labelled.lower(self.judge_graph, self.judge, batch, label)

        ahead = flops.forward(cfg, spec, projected=projected).times(n)
        kernel = kernels.forward(cfg, spec) * n if self.attention == "splash" else 0.0
        takes = ("reference",) if work.judge is None else ("judge",)
        made = self._phase("judge", lower, ahead, kernel, takes, n * spec.slots)
        # Of experts that share the load the later blocks of choices are empty (models/moe.py).
        even = bool(cfg.experts) and work.judge_kind == "verbal"
        return dataclasses.replace(made, calls=-(-work.prompts // n), dearer=not even)

    def scored(self) -> Phase:
        """The reference's log-probs of all completions."""
        work, spec = self.work, self.work.spec

        def lower():
            batch = trees(self.mesh, work.prompts, spec)
            return score.scored.lower(
                self.reference_graph, self.reference, batch, self._whole(jnp.float32)
            )

        ahead = flops.forward(work.policy, spec, projected=spec.branch_slots).times(work.prompts)
        kernel = kernels.forward(work.policy, spec) * work.prompts
        kernel = kernel if self.attention == "splash" else 0.0
        tokens = work.prompts * spec.slots
        return self._phase("reference", lower, ahead, kernel, ("reference",), tokens)

    def update(self) -> Phase:
        """Gradients of the GRPO loss on all groups, and the optimiser's step."""
        work, spec, n = self.work, self.work.spec, self.work.prompts

        # Not inside `lower`: under the mesh an eager constant would be run on the absent chips.
        loss_fn = functools.partial(
            loss.grpo, cfg=work.loss, temperature=jnp.float32(1.0), remat=work.remat
        )
        update = step.make_update(
            self.graph,
            loss_fn,
            self.tx,
            micro=work.micro,
            compute=work.compute,
            where=self.where,
        )

        def lower():
            return update.lower(self.state, self._groups(), self.frozen)

        ahead = flops.forward(work.policy, spec, projected=spec.branch_slots).times(n)
        kernel = kernels.train(work.policy, spec, remat=work.remat) * n
        return self._phase(
            "update",
            lower,
            flops.train(ahead, remat=work.remat),
            kernel if self.attention == "splash" else 0.0,
            ("parameters", "optimiser")
            if work.adapters is None
            else ("parameters", "optimiser", "reference"),
            n * spec.slots,
        )

    def _groups(self) -> loss.GroupBatch:
        n, g, c = self.work.prompts, self.work.group, self.work.completion
        of = functools.partial(rows, self.mesh)
        token, group = of(jnp.float32, n, g, c), of(jnp.float32, n, g)
        made = trees(self.mesh, n, self.work.spec)
        return loss.GroupBatch(made, token, token, group, of(jnp.bool_, n, g), of(jnp.float32, n))

    def _phase(self, name, lower, ahead, kernel, takes, tokens=0) -> Phase:
        def on_mesh():
            with meshes.using(self.mesh):
                return lower()

        return Phase(name, on_mesh, ahead, kernel, tokens, 1, takes, True)

    def _takes(self) -> tuple[str, ...]:
        return ("parameters", "reference") if self.shares_sampler else ("sampler",)

    def _whole(self, dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        where = NamedSharding(self.mesh, PartitionSpec())
        return jax.ShapeDtypeStruct(shape, dtype, sharding=where)


def local_bytes(state: Any) -> float:
    """Bytes of one chip's part of shapes that carry shardings."""
    total = 0.0
    for x in jax.tree.leaves(state):
        size = 1
        for n in x.sharding.shard_shape(x.shape):
            size *= n
        total += size * jnp.dtype(x.dtype).itemsize
    return total
