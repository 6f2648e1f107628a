"""A step's roofline from shapes alone, without a compiler.

What every product, norm and sum reads and writes goes through HBM once; chips send in rings. It is
near what the compiler finds (tests/plan/test_estimate.py has both), and takes a minute for slices
whose programs take hours to compile.
"""

import dataclasses

import jax.numpy as jnp

from pa_jax.infer import logprobs
from pa_jax.models import flops, moe
from pa_jax.models.config import DecoderConfig
from pa_jax.plan import figures, phases, roofline

WIDE, SUM = 2, 4  # bytes of an activation; of a logit, and of a gradient that is summed


@dataclasses.dataclass(frozen=True)
class _Moved:
    """Bytes that a chip reads and writes, and that it sends."""

    hbm: float
    ici: float = 0.0

    def __add__(self, other: "_Moved") -> "_Moved":
        return _Moved(self.hbm + other.hbm, self.ici + other.ici)

    def times(self, count: int) -> "_Moved":
        return _Moved(self.hbm * count, self.ici * count)


def rows(step: phases.Step) -> list[figures.Row]:
    """A row for every phase, as `figures.rows` makes them of compiled ones."""
    if step.work.policy.experts:
        raise ValueError(
            "a policy with experts is not estimated, but compiled: --config.costs.compile=True."
        )
    made = []
    for phase in step.phases():
        slots, moved = _Estimate(step, phase).of_call()
        padded = slots / phase.tokens if phase.tokens else 1.0
        done = phase.flops.blocks * padded + phase.kernel_flops + phase.flops.head
        made.append(_row(step, phase.name, phase.calls, phase.tokens, done, phase.flops, moved))
        if phase.name == figures.ROLLOUT:
            made.append(_decode(step))
    return made


def memory(step: phases.Step) -> figures.Memory:
    """Everything resident at once, and an estimate of the most that a phase needs beside it."""
    return figures.Memory(step.resident(), 0.0, temporaries(step), "estimated")


def temporaries(step: phases.Step) -> float:
    """Bytes a chip of the update: a copy in the compute dtype, gradients, their sum where calls add
    to one (as compiled: twice), each layer's input, the widest layer's inside; the output
    projection brought together, its gradient, its logits. Or, where that is more, the new copy for
    sampling and what it is made from.
    """
    cfg, tp, packed = step.work.policy, step.mesh.shape["tp"], step.work.scored(step.shards)
    slots = packed.rows[0].ids.shape[-1]
    copies = (3 if len(packed.rows) == 1 else 7) * WIDE * flops.parameters(cfg) / step.mesh.size
    saved = WIDE * cfg.layers * slots * cfg.width
    inside = WIDE * slots * 4 * cfg.mlp / tp
    output = cfg.vocab / tp * (3 * WIDE * cfg.width + 3 * SUM * logprobs.CHUNK)
    return max(copies + saved + inside + output, 2 * step.resident().get("sampler", 0.0))


class _Estimate:
    """What one call of a phase does on a chip."""

    def __init__(self, step: phases.Step, phase: phases.Phase) -> None:
        self.step, self.phase, self.held = step, phase, step.resident()

    def of_call(self) -> tuple[int, _Moved]:
        """Slots on all chips, padding among them, and bytes of a chip."""
        step, work = self.step, self.step.work
        if self.phase.name == figures.RESHARD:
            sampled = self.held["sampler"]
            sent = _ring(step.shards, sampled)
            return 0, _Moved(self.held["parameters"] + sampled, sent)
        if self.phase.name == figures.ROLLOUT:
            ids = work.prompts_of(step.shards)[0].ids
            kept = self.held["kv"]  # of the prompts, and zeros for the branches
            return step.shards * ids.size, _Moved(_sampled(self.held) + kept) + blocks(
                work.policy, step, ids.size
            )
        if self.phase.name == "judge":
            cfg, packed = work.judge or work.policy, work.judged(step.shards)
            if work.judge is None:
                weights = self._gathered(self.held["reference"])
            else:
                weights = _Moved(self.held["judge"])
        else:
            cfg, packed = work.policy, work.scored(step.shards)
            weights = self._gathered(self.held["reference"])
        length = packed.rows[0].ids.shape[-1]
        forward = blocks(cfg, step, length) + self._head(cfg, packed.rows[0].ids.shape[-1])
        if self.phase.name != "update":
            return step.shards * length, weights + forward
        count = len(packed.rows)
        return step.shards * length * count, self._update(forward).times(count) + _Moved(
            # Parameters, moments and gradients are read, all but the gradients written back.
            2 * (self.held["parameters"] + self.held["optimiser"]) + self.held["parameters"]
        )

    def _update(self, forward: _Moved) -> _Moved:
        """Of a row a shard: forward, again where it is repeated, and backward, which is two."""
        work, step = self.step.work, self.step
        passes = 2 if work.remat == "full" else 1
        trained = self.held["parameters"] * jnp.dtype(work.compute).itemsize
        trained /= jnp.dtype(work.stored).itemsize
        weights = self._gathered(self.held["reference"] if work.adapters else trained)
        gradients = trained * step.shards
        states = _Moved(forward.hbm * (passes + 2), forward.ici * (passes + 1))
        # The layers' weights are brought together for each pass, their gradients added and cut.
        return (
            states
            + weights.times(2)
            + _Moved((passes - 1) * weights.hbm / 2 + 2 * gradients, _ring(step.shards, gradients))
        )

    def _gathered(self, share: float) -> _Moved:
        """Weights of which each chip of the data axes holds a share, brought together and read."""
        whole = share * self.step.shards
        written = whole if self.step.shards > 1 else 0.0
        return _Moved(written + whole, _ring(self.step.shards, whole))

    def _head(self, cfg: DecoderConfig, length: int) -> _Moved:
        """The output projection is read for each chunk of states, its logits written and read."""
        chunks = self.phase.trips[-1]
        vocab = cfg.vocab / self.step.mesh.shape["tp"]
        wide = logprobs.chunk_of(1, length)
        return _Moved(chunks * vocab * (WIDE * cfg.width + 2 * SUM * wide))


def blocks(cfg: DecoderConfig, step: phases.Step, slots: int) -> _Moved:
    """Activations of all layers, forward, on a chip whose shard has so many slots."""
    tp, ep, d = step.mesh.shape["tp"], step.mesh.shape["ep"], float(cfg.width)
    q, kv, f = (n / tp for n in (cfg.heads * cfg.head_dim, cfg.kv_heads * cfg.head_dim, cfg.mlp))
    attention = 3 * d + (q + 2 * kv) + (2 * q + 2 * kv) + q + d  # three products, scores, one
    stream = 8 * d  # two norms and two sums
    sent = 2 * _ring(tp, d)  # a sum over tp
    if cfg.experts:
        # A choice's state is fetched, goes through three products, is added to its token's.
        choices = cfg.experts_per_token * (moe.SLACK if ep > 1 else 1.0)
        mlp = choices * (7 * d + 6 * f) + (2 * (1 + ep) * d if ep > 1 else 0)
        sent += 2 * _ring(ep, ep * d) + 2 * _ring(tp, ep * d)  # tokens to the experts' chips, back
    else:
        mlp = 3 * d + 6 * f
        sent += 2 * _ring(tp, d)
    each = WIDE * cfg.layers * slots
    return _Moved(each * (attention + stream + mlp), each * sent)


def _decode(step: phases.Step) -> figures.Row:
    """One token of every branch: weights and KV are read, logits written, read and sampled from."""
    work, held = step.work, step.resident()
    slots = work.prompts // step.shards * work.group
    logits = 3 * SUM * slots * work.policy.vocab / step.mesh.shape["tp"]
    moved = _Moved(_sampled(held) + held["kv"] + logits) + blocks(work.policy, step, slots)
    needed, all_ = step.decode(), work.prompts * work.group
    calls = work.tokens.completion - 1
    return _row(step, figures.DECODE, calls, all_, needed.total, needed, moved)


def _row(
    step: phases.Step,
    name: str,
    calls: int,
    tokens: int,
    done: float,
    needed: flops.Flops,
    moved: _Moved,
) -> figures.Row:
    chips = step.mesh.size
    load = roofline.Load(done / chips, moved.hbm, moved.ici)
    return figures.Row(
        name, calls, tokens, load, needed.total / chips, {}, 0.0, 0.0, 0.0, 0.0, False
    )


def _sampled(held: dict[str, float]) -> float:
    """Bytes of the weights that the sampler reads."""
    return held["sampler"] if "sampler" in held else held["reference"] + held["parameters"]


def _ring(parts: int, whole: float) -> float:
    """What each of so many chips sends until all have the whole, or a part of its sum."""
    return whole * (parts - 1) / parts
