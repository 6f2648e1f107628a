"""Lower and compile a phase; its seconds, bytes and cost, kept for the next time."""

import dataclasses
import hashlib
import json
import os
import pathlib
import resource
import time
from typing import Any

import jax

from pa_jax.core import files
from pa_jax.plan import cost, phases

FORMAT = 2  # of the kept figures: raise it when their meaning changes


@dataclasses.dataclass(frozen=True)
class Compiled:
    """Bytes a chip of one program, its cost, and what compiling it took.

    `cpu_seconds` are those of all threads, `load` the machine's load average when it was done;
    `kept`: the figures come from an earlier compile of the same program.
    """

    name: str
    lower_seconds: float
    compile_seconds: float
    cpu_seconds: float
    load: float
    arguments: int
    outputs: int
    aliased: int
    temporaries: int
    code: int
    cost: cost.Cost
    kept: bool


class TooLarge(ValueError):
    """The compiler found no way to run a program in a chip's memory."""


def compiled(phase: phases.Phase, cache: pathlib.Path, target: str) -> Compiled:
    """The phase compiled; from `cache` where the same program was compiled for `target` before.

    TooLarge where the program alone does not fit a chip.
    """
    start = time.perf_counter()
    lowered = phase.lower()
    lower_seconds = time.perf_counter() - start
    path = cache / f"{digest(lowered, target)}.json"
    if path.exists():
        found = json.loads(path.read_text())
        return read(found | {"lower_seconds": lower_seconds, "kept": True})
    start, used = time.perf_counter(), _cpu()
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        lines = [line for line in str(error).splitlines() if "memory" in line or "hbm" in line]
        raise TooLarge(f"{phase.name}: {' '.join(lines[:2]) or str(error)[:200]}") from error
    memory: Any = program.memory_analysis()  # XLA's, which has no type
    made = Compiled(
        name=phase.name,
        lower_seconds=lower_seconds,
        compile_seconds=time.perf_counter() - start,
        cpu_seconds=_cpu() - used,
        load=os.getloadavg()[0],
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes,
        aliased=memory.alias_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        cost=cost.of_text(program.as_text() or "", dearer=phase.dearer),
        kept=False,
    )
    cache.mkdir(parents=True, exist_ok=True)
    files.atomic_write(path, json.dumps(dataclasses.asdict(made)))
    return made


def target(mesh: jax.sharding.Mesh) -> str:
    """Names the compiler and the chips in their order on the mesh."""
    devices = mesh.devices.flat
    kind = devices[0].client.platform_version, devices[0].device_kind
    return "\n".join([jax.__version__, *kind, str(mesh.devices.shape), str(list(devices))])


def digest(lowered: jax.stages.Lowered, target: str) -> str:
    """Names a program on a target."""
    parts = (str(FORMAT), target, lowered.as_text())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read(found: dict[str, Any]) -> Compiled:
    return Compiled(**found | {"cost": _cost(found["cost"])})


def _cost(found: dict[str, Any]) -> cost.Cost:
    return cost.Cost(**found | {"loops": tuple(_cost(one) for one in found["loops"])})


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
