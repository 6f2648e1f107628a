"""What the compiling process is asked, and what it tells: plain values on both sides."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax

from pa_jax.core import mesh as meshes
from pa_jax.models import lora, rope
from pa_jax.models.config import DecoderConfig
from pa_jax.plan import compiling, phases, topology, work
from pa_jax.rl import loss
from pa_jax.train import optimizer


@dataclasses.dataclass(frozen=True)
class PlanRequest:
    """Compile a step's phases for a slice; slice "" is the CPU devices here (tests).

    `only` names the phases (empty: all); `steps` is the length of the optimiser's schedule.
    """

    slice: str
    mesh: meshes.MeshConfig
    work: work.StepWork
    steps: int
    only: tuple[str, ...]
    cache: str


def read(found: Mapping[str, Any]) -> PlanRequest:
    """The request of `dataclasses.asdict`."""
    of = dict(found["work"])
    of["policy"] = _decoder(of["policy"])
    adapters = of["adapters"]
    of["adapters"] = lora.LoraConfig(**adapters) if adapters else None
    of["judge"] = _decoder(of["judge"]) if of["judge"] else None
    of["tokens"], of["lengths"] = work.Tokens(**of["tokens"]), tuple(of["lengths"])
    of["loss"] = loss.LossConfig(**of["loss"])
    of["optim"] = optimizer.OptimConfig(**of["optim"])
    return PlanRequest(
        slice=found["slice"],
        mesh=meshes.MeshConfig(**found["mesh"]),
        work=work.StepWork(**of),
        steps=found["steps"],
        only=tuple(found["only"]),
        cache=found["cache"],
    )


def _decoder(found: Mapping[str, Any]) -> DecoderConfig:
    scaling = found["rope_scaling"] and rope.Scaling(**found["rope_scaling"])
    return DecoderConfig(**{**found, "rope_scaling": scaling})


def serve(found: Mapping[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
    """Compile; tells {"event": "start" | "done" | "too_large", "phase": name, ...}."""
    asked = read(found)
    if asked.slice:
        devices, attention = topology.devices(topology.named(asked.slice)), phases.KERNEL
    else:
        devices, attention = jax.devices(), "dense"  # its products can be counted
    mesh = meshes.make(asked.mesh, devices)
    target = compiling.target(mesh)
    step = phases.Step(asked.work, mesh, attention=attention, steps=asked.steps)
    for phase in step.phases():
        if asked.only and phase.name not in asked.only:
            continue
        tell({"event": "start", "phase": phase.name})
        try:
            made = compiling.compiled(phase, pathlib.Path(asked.cache), target)
        except compiling.TooLarge as error:
            tell({"event": "too_large", "phase": phase.name, "message": str(error)})
        else:
            tell({"event": "done", "phase": phase.name, "compiled": dataclasses.asdict(made)})
