"""The jitted programs of a GRPO step with shapes in place of arrays, laid out on a mesh.

They are the functions that training runs, of infer, rl and train; only the way from text to token
ids is left out. The step's sequences are made up, with the lengths that Work names and no two
tokens alike but those that are to be shared, and packed as training packs them.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.infer import decode, forest, logprobs, sampler, sampling, score
from pa_jax.judge import verbal
from pa_jax.models import decoder, flops, lora, quant
from pa_jax.models.config import DecoderConfig
from pa_jax.plan import kernels, work
from pa_jax.rl import groups, loss
from pa_jax.train import optimizer, step

REFERENCE = sharding.TRAIN_RULES  # read once a step: gathered layer by layer
JUDGE = sharding.INFER_RULES
DECODE = "rollout decode"
KERNEL = "pallas"  # the attention whose FLOPs the compiler does not count


@dataclasses.dataclass(frozen=True)
class Phase:
    """One program, called `calls` times a step.

    flops         of the model on all chips in one call, of real tokens alone
    kernel_flops  what its Pallas kernels do of them, blocks that are seen in part counted whole
    tokens        real ones of a call
    trips         how often the loops run whose length is data, the outer first; see cost.Cost
    takes         the resident arrays among its arguments
    dearer        count the dearer side of its branches
    """

    name: str
    lower: Callable[[], jax.stages.Lowered]
    flops: flops.Flops
    kernel_flops: float = 0.0
    tokens: int = 0
    calls: int = 1
    trips: tuple[int, ...] = ()
    takes: tuple[str, ...] = ()
    dearer: bool = True


def placed(state: Any, mesh: sharding.AnyMesh, rules: sharding.Rules) -> Any:
    """Shapes that carry the layout which `rules` give."""
    return carrying(state, sharding.shardings(state, mesh, rules))


def carrying(state: Any, where: Any) -> Any:
    """Shapes with the shardings of a like tree."""
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, where
    )


def shaped(
    mesh: sharding.AnyMesh, dtype: Any, shape: tuple[int, ...], *axes: str | None
) -> jax.ShapeDtypeStruct:
    """The shape of an array whose leading axes are cut as named."""
    axes = (*axes, *[None] * (len(shape) - len(axes)))
    part = sharding.activation_spec(axes, shape, mesh)
    return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, part))


class Step:
    """The states and programs of one step on a mesh."""

    def __init__(self, of: work.StepWork, mesh: Any, *, attention: str, steps: int) -> None:
        """`mesh` may be abstract where nothing is lowered."""
        self.work, self.mesh, self.attention = of, mesh, attention
        self.shards = sharding.data_shards(mesh)
        self.tx = optimizer.make(of.optim, steps)
        self.frozen: Any = ()
        if of.adapters is None:
            self.graph, params = nnx.split(self._model(of.policy, of.stored))
            sampled = nnx.state(self._model(of.policy, of.compute))
            self.reference_graph, start = self.graph, sampled
        else:
            self.graph, params, frozen = lora.split(self._adapted())
            sampled = nnx.state(self._adapted())
            self.reference_graph, start = nnx.split(lora.base(self._adapted()))
            self.frozen = placed(frozen, mesh, sharding.TRAIN_RULES)
        state = jax.eval_shape(lambda p: step.TrainState(p, self.tx.init(p), jnp.int32(0)), params)
        self.where = step.layout(state, mesh)
        self.state = carrying(state, self.where)
        self.sampler = placed(sampled, mesh, sharding.INFER_RULES)
        self.reference = placed(start, mesh, REFERENCE)
        self.judge_graph, self.judge = self.reference_graph, self.reference
        if of.judge is not None:
            judge = self._model(of.judge, "bfloat16", int8=of.judge_int8)
            self.judge_graph, state = nnx.split(judge)
            self.judge = placed(state, mesh, JUDGE)

    def _model(self, cfg: DecoderConfig, dtype: str, *, int8: bool = False) -> decoder.Decoder:
        return _abstract(cfg, dtype, self.attention, int8)

    def _adapted(self) -> decoder.Decoder:
        of, adapters = self.work, self.work.adapters
        assert adapters is not None
        base = self._model(of.policy, of.stored, int8=of.int8)
        return nnx.eval_shape(lambda m: lora.add(m, adapters, jax.random.key(0)), base)

    def resident(self) -> dict[str, float]:
        """Bytes a chip of what stays from phase to phase; the KV lives during the rollout.

        Adapters share their base with the reference, and on one chip with the sampler. Without beta
        the start's weights stay for them alone, or for a judge that has none of its own.
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
            if not self.work.loss.beta and self.work.adapters is None:
                made["reference"] = 0.0
        if self.shares_sampler:
            del made["sampler"]
        return {name: local_bytes(part) for name, part in made.items()}

    @property
    def shares_sampler(self) -> bool:
        """Whether the sampler reads the trained state's own arrays, as infer/engine decides."""
        same = self.work.adapters is not None or self.work.stored == self.work.compute
        return same and self.mesh.size == 1

    def kv(self) -> Any:
        """Keys and values of prompts and branches, as decode.rollout keeps them."""
        cfg, (prompts, root) = self.work.policy, self.work.prompts_of(self.shards)
        width, slots = prompts.own.shape[2], self.work.completion_slots
        n, g = prompts.length.size * self.shards, self.work.group
        heads = cfg.kv_heads, cfg.head_dim
        shapes = [(cfg.layers, n, *heads, width), (cfg.layers, n, g, *heads, slots)]
        if root:
            shapes.append((cfg.layers, self.shards, *heads, root))
        kind, made = jnp.dtype(self.work.compute), []
        for shape in shapes:
            axes = (None, "rows", *[None] * (len(shape) - 5), "kv_heads")
            made += [shaped(self.mesh, kind, shape, *axes)] * 2
        return made

    def phases(self) -> list[Phase]:
        """In the order of a step."""
        made = [self.rollout(), self.judged(), self.scored(), self.update()]
        if not self.work.loss.beta:
            made = [phase for phase in made if phase.name != "reference"]
        return made if self.shares_sampler else [self.reshard(), *made]

    def reshard(self) -> Phase:
        """The trained parameters laid out for sampling, as infer/sampler does before a rollout."""
        trained = {path for path, _ in nnx.to_flat_state(self.state.params)}
        flat = [(path, x) for path, x in nnx.to_flat_state(self.sampler) if path in trained]
        sampled = jax.tree.leaves(nnx.from_flat_state(flat))
        where, dtypes = [x.sharding for x in sampled], [x.dtype for x in sampled]

        def lower() -> jax.stages.Lowered:
            return sampler.relayout(dtypes, where).lower(jax.tree.leaves(self.state.params))

        nothing = flops.forward(self.work.policy, flops.Size(0, 0, 0))
        return Phase("reshard", self._on_mesh(lower), nothing, takes=("parameters",))

    def rollout(self) -> Phase:
        """Prefill, and a loop whose body is one decode step."""
        of, cfg = self.work, self.work.policy
        prompts, root = of.prompts_of(self.shards)
        shape = prompts.length.size * self.shards, of.group
        key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), shape))
        key = jax.ShapeDtypeStruct(
            key.shape, key.dtype, sharding=shaped(self.mesh, jnp.int32, shape, "rows").sharding
        )

        def lower() -> jax.stages.Lowered:
            like = jax.tree.map(self._every, prompts)
            return decode.rollout.lower(
                self._sampled_graph(),
                self.sampler,
                like,
                key,
                jax.eval_shape(lambda: sampling.settings(1.0)),
                (self._whole(jnp.int32), self._whole(jnp.int32, 2)),
                root=root,
                slots=of.completion_slots,
            )

        size = work.prefilled(prompts).times(self.shards)
        pairs = self.shards * kernels.visited_pairs(cfg, list(prompts.end))
        kernel = kernels.forward(cfg, pairs)
        return Phase(
            "rollout prefill",
            self._on_mesh(lower),
            flops.forward(cfg, size),
            kernel if self.attention == KERNEL else 0.0,
            size.tokens,
            takes=("parameters", "reference") if self.shares_sampler else ("sampler",),
            dearer=False,  # top-k and top-p are off
        )

    def _sampled_graph(self) -> nnx.GraphDef:
        if self.work.adapters is None:
            return self.graph
        return nnx.graphdef(self._adapted())

    def decode(self) -> flops.Flops:
        """FLOPs of the last, dearest step of the rollout's loop, on all chips."""
        of = self.work
        one = flops.Size(1, of.tokens.prompt + of.tokens.completion, 1)
        return flops.forward(of.policy, one.times(of.prompts * of.group))

    def judged(self) -> Phase:
        """The judge's prefill, a row a chip of the data axes."""
        of = self.work
        cfg, likelihood = of.judge or of.policy, of.judge_kind == "likelihood"
        packed = of.judged(self.shards)

        def lower(rows: forest.Forest) -> jax.stages.Lowered:
            if likelihood:
                at = self._whole(jnp.float32)
                return score.scored.lower(self.judge_graph, self.judge, rows, None, at)
            label = self._whole(jnp.int32, len(verbal.LABELS))
            return score.labelled.lower(self.judge_graph, self.judge, rows, None, label)

        takes = ("reference",) if of.judge is None else ("judge",)
        made = self._forward("judge", cfg, packed, lower, takes)
        # Of experts that share the load the later blocks of choices are empty (models/moe.py).
        even = bool(cfg.experts) and not likelihood
        return dataclasses.replace(made, dearer=not even)

    def scored(self) -> Phase:
        """The reference's log-probs of all completions."""

        def lower(rows: forest.Forest) -> jax.stages.Lowered:
            at = self._whole(jnp.float32)
            return score.scored.lower(self.reference_graph, self.reference, rows, None, at)

        packed = self.work.scored(self.shards)
        return self._forward("reference", self.work.policy, packed, lower, ("reference",))

    def _forward(
        self,
        name: str,
        cfg: DecoderConfig,
        packed: forest.Packed,
        lower: Callable[[forest.Forest], jax.stages.Lowered],
        takes: tuple[str, ...],
    ) -> Phase:
        """Of each shard's rows of one length; figures of a call are the mean of all."""
        calls, total = len(packed.rows), packed.size.times(self.shards)
        ends = [np.asarray(row.end) for row in packed.rows]
        pairs = self.shards * kernels.visited_pairs(cfg, ends)
        kernel = kernels.forward(cfg, pairs) / calls
        return Phase(
            name,
            self._on_mesh(lambda: lower(self._rows(packed.rows[0], self.shards))),
            flops.forward(cfg, total).over(calls),
            kernel if self.attention == KERNEL else 0.0,
            total.tokens // calls,
            calls,
            (_chunks(packed),),
            takes,
        )

    def _every(self, x: np.ndarray) -> jax.ShapeDtypeStruct:
        """The shape of all shards' rows, of which `x` are one's."""
        return shaped(self.mesh, x.dtype, (len(x) * self.shards, *x.shape[1:]), "rows")

    def _rows(self, row: forest.Forest, *lead: int) -> forest.Forest:
        """The shapes of rows like it, the last leading axis cut over the data axes."""
        axes = (*[None] * (len(lead) - 1), "rows")

        def of(x: np.ndarray) -> jax.ShapeDtypeStruct:
            return shaped(self.mesh, jnp.int32, (*lead, *np.shape(x)), *axes)

        return jax.tree.map(of, row)

    def update(self) -> Phase:
        """Gradients of the GRPO loss on all groups, and the optimiser's step."""
        of, packed = self.work, self.work.scored(self.shards)
        # Not inside `lower`: under the mesh an eager constant would be run on the absent chips.
        loss_fn = functools.partial(
            loss.grpo, cfg=of.loss, temperature=jnp.float32(1.0), remat=of.remat
        )
        update = step.make_update(
            self.graph, loss_fn, self.tx, compute=of.compute, where=self.where
        )
        count = len(packed.rows)
        room = groups.roomy(count, of.prompts // self.shards)

        def lower() -> jax.stages.Lowered:
            batch = self._groups(packed.rows[0], room)
            return update.lower(self.state, batch, self._whole(jnp.int32), self.frozen)

        size, frozen = packed.size.times(self.shards), of.adapters is not None
        ahead = flops.forward(of.policy, size)
        ends = [np.asarray(row.end) for row in packed.rows]
        pairs = self.shards * kernels.visited_pairs(of.policy, ends)
        kernel = kernels.train(of.policy, pairs, remat=of.remat)
        chunks = (_chunks(packed),)
        return Phase(
            "update",
            self._on_mesh(lower),
            flops.train(ahead, remat=of.remat, frozen=frozen),
            kernel if self.attention == KERNEL else 0.0,
            size.tokens,
            of.loss.updates // of.loss.minibatches,  # passes over the rollout
            trips=chunks if room == 1 else (count, *chunks),
            takes=("parameters", "optimiser", *(("reference",) if frozen else ())),
        )

    def _groups(self, row: forest.Forest, calls: int) -> loss.GroupBatch:
        rows = self._rows(row, calls, self.shards)

        def like(dtype: Any) -> Any:  # a shape in an array's place
            return shaped(self.mesh, dtype, rows.ids.shape, None, "rows")

        token = like(jnp.float32)
        tokens: Any = shaped(self.mesh, jnp.float32, rows.wanted.shape, None, "rows")
        return loss.GroupBatch(
            rows=rows,
            place=like(jnp.int32),
            completion=like(jnp.int32),
            used=like(jnp.bool_),
            weight=token,
            old_logp=token,
            advantage=token,
            reference_logp=token if self.work.loss.beta else None,
            tokens=tokens,
        )

    def _on_mesh(self, lower: Callable[[], jax.stages.Lowered]) -> Callable[[], Any]:
        def on_mesh() -> jax.stages.Lowered:
            with meshes.using(self.mesh):
                return lower()

        return on_mesh

    def _whole(self, dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        where = NamedSharding(self.mesh, PartitionSpec())
        return jax.ShapeDtypeStruct(shape, dtype, sharding=where)


@functools.cache
def _abstract(cfg: DecoderConfig, dtype: str, attention: str, int8: bool) -> decoder.Decoder:
    made = decoder.abstract(cfg, dtype=dtype, attention=attention)
    return nnx.eval_shape(quant.quantise, made) if int8 else made


def _chunks(packed: forest.Packed) -> int:
    """How many chunks of states the fullest row projects (infer/logprobs.py)."""
    width = logprobs.chunk_of(1, packed.rows[0].ids.shape[-1])
    return -(-max(int(row.wanted) for row in packed.rows) // width)


def local_bytes(state: Any) -> float:
    """Bytes of one chip's part of shapes that carry shardings."""
    total = 0.0
    for x in jax.tree.leaves(state):
        size = 1
        for n in x.sharding.shard_shape(x.shape):
            size *= n
        total += size * jnp.dtype(x.dtype).itemsize
    return total
