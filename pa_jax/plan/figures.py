"""A step's phases and bytes on one chip, from shapes and from what the compiler found."""

import dataclasses
from collections.abc import Mapping, Sequence

from pa_jax.plan import compiling, phases, roofline, topology

RESHARD, ROLLOUT, DECODE = "reshard", "rollout prefill", "rollout decode"


@dataclasses.dataclass(frozen=True)
class Row:
    """A phase: `load` of one call on one chip, `model_flops` what the model needs of it there.

    `tokens` are the real ones of a call, `temporaries` bytes of the whole program, the KV that it
    makes left out; compile seconds of the decode loop are those of its program, counted with the
    prefill.
    """

    name: str
    calls: int
    tokens: int
    load: roofline.Load
    model_flops: float
    sent: Mapping[str, float]
    temporaries: float
    compile_seconds: float
    cpu_seconds: float
    machine_load: float
    kept: bool

    def seconds(self, slice_: topology.Slice) -> roofline.Seconds:
        """Of all its calls in a step."""
        return roofline.seconds(self.load.times(self.calls), slice_)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes a chip: `resident` by name, `padding` that layouts add to them, the largest phase's
    `temporaries`."""

    resident: Mapping[str, float]
    padding: float
    temporaries: float
    largest: str

    @property
    def peak(self) -> float:
        return sum(self.resident.values()) + self.padding + self.temporaries


@dataclasses.dataclass(frozen=True)
class Decode:
    """One decode step: HBM bytes as compiled, and those of weights and KV read once."""

    hbm_bytes: float
    least_bytes: float

    @property
    def ratio(self) -> float:
        return self.hbm_bytes / self.least_bytes


def rows(step: phases.Step, compiled: Mapping[str, compiling.Compiled], chips: int) -> list[Row]:
    """A row for every compiled phase, the rollout's prefill and loop apart."""
    made = []
    for phase in step.phases():
        if phase.name not in compiled:
            continue
        one = compiled[phase.name]
        spent = one.cost.running(phase.trips)
        kv = step.resident()["kv"] if phase.name == ROLLOUT else 0.0
        made.append(
            Row(
                name=phase.name,
                calls=phase.calls,
                tokens=phase.tokens,
                load=roofline.Load(
                    spent.flops + phase.kernel_flops / chips, spent.hbm_bytes, spent.ici_bytes
                ),
                model_flops=phase.flops.total / chips,
                sent=spent.sent,
                temporaries=max(one.temporaries - kv, 0.0) + one.code + _kept_apart(phase, one),
                compile_seconds=one.compile_seconds,
                cpu_seconds=one.cpu_seconds,
                machine_load=one.load,
                kept=one.kept,
            )
        )
        if phase.name == ROLLOUT:
            made.append(_decoding(step, one, made[-1], chips))
    return made


def _kept_apart(phase: phases.Phase, one: compiling.Compiled) -> float:
    """The new copy for sampling, which is made while the old one is still there."""
    return one.outputs if phase.name == RESHARD else 0.0


def _decoding(step: phases.Step, one: compiling.Compiled, prefill: Row, chips: int) -> Row:
    (body,) = one.cost.loops
    work = step.work
    return dataclasses.replace(
        prefill,
        name=DECODE,
        calls=work.tokens.completion - 1,
        tokens=work.prompts * work.group,
        load=roofline.Load(body.flops, body.hbm_bytes, body.ici_bytes),
        model_flops=step.decode().total / chips,
        sent=body.sent,
        compile_seconds=0.0,
        cpu_seconds=0.0,
    )


def memory(
    step: phases.Step, compiled: Mapping[str, compiling.Compiled], made: Sequence[Row]
) -> Memory:
    """Everything resident at once, and the temporaries of the phase that has most."""
    resident = step.resident()
    padding, seen = 0.0, set()
    for phase in step.phases():
        if phase.name in compiled and not seen & {*phase.takes} and phase.name != RESHARD:
            seen |= {*phase.takes}
            known = sum(resident[name] for name in phase.takes)
            # arguments hold the batch too: a little counts as padding
            padding += max(compiled[phase.name].arguments - known, 0.0)
    largest = max(made, key=lambda row: row.temporaries)
    return Memory(resident, padding, largest.temporaries, largest.name)


def decode(step: phases.Step, made: Sequence[Row]) -> Decode | None:
    """The decode step's HBM bytes against the least; None where it was not compiled."""
    found = [row for row in made if row.name == DECODE]
    if not found:
        return None
    resident = step.resident()
    weights = resident.get("sampler", resident["reference"] + resident["parameters"])
    return Decode(found[0].load.hbm_bytes, weights + resident["kv"])
