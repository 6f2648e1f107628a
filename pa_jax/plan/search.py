"""Candidates of mesh, batch and row length, ranked by shapes before any compile."""

import dataclasses
import itertools
from collections.abc import Sequence

from jax.sharding import AbstractMesh

from pa_jax.core import mesh as meshes
from pa_jax.models import flops
from pa_jax.plan import estimate, phases, topology
from pa_jax.plan.work import StepWork

TRIES = 3


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Values to try of each: prompts a step, tokens of a prompt, longest row; `compile`: how many
    of the best candidates are compiled, up to TRIES times as many where none of them fits.
    """

    prompts: tuple[int, ...]
    prompt: tuple[int, ...]
    length: tuple[int, ...]
    compile: int

    def __post_init__(self) -> None:
        if self.compile < 1 or not (self.prompts and self.prompt and self.length):
            raise ValueError(f"{self}: compile must be at least 1, and no list may be empty.")


@dataclasses.dataclass(frozen=True)
class MeshGuess:
    """A mesh and a step's shapes, with guesses of bytes a chip and of trained tokens a second."""

    mesh: meshes.MeshConfig
    work: StepWork
    bytes: float
    rate: float


def shapes(chips: int, work: StepWork) -> list[meshes.MeshConfig]:
    """Meshes of all chips that cut heads, experts and nothing else in vain."""
    experts = 0 if work.judge is None else work.judge.experts
    made = []
    for tp, ep in itertools.product(range(1, chips + 1), repeat=2):
        heads = work.policy.kv_heads % tp == 0
        cut = ep == 1 or (experts and experts % ep == 0)
        if chips % (tp * ep) == 0 and heads and cut:
            made.append(meshes.MeshConfig(chips // (tp * ep), tp, ep))
    return made


def candidates(
    work: StepWork, slice_: topology.Slice, cfg: SearchConfig, budget: float
) -> list[MeshGuess]:
    """Those that should fit, the most tokens a second first."""
    made = []
    for mesh in shapes(slice_.chips, work):
        data = mesh.fsdp * mesh.ep
        grid = AbstractMesh((mesh.fsdp, mesh.tp, mesh.ep), meshes.AXES)
        for prompts, prompt, length in itertools.product(cfg.prompts, cfg.prompt, cfg.length):
            tokens = dataclasses.replace(work.tokens, prompt=prompt)
            read = tokens.judge + tokens.completion + tokens.question
            least = max(prompt + tokens.completion, read, prompt * prompts // data)
            if prompts % data or length < least:
                continue
            tried = dataclasses.replace(
                work, prompts=prompts, tokens=tokens, lengths=(*_under(work, length), length)
            )
            one = _guess(tried, mesh, grid, slice_)
            if one.bytes <= budget:
                made.append(one)
    return sorted(made, key=lambda one: (-one.rate, one.bytes))


def _under(work: StepWork, length: int) -> tuple[int, ...]:
    return tuple(n for n in work.lengths if n < length)


def spread(found: Sequence[MeshGuess]) -> list[MeshGuess]:
    """The best first, but each mesh's best before any mesh's second."""
    firsts: list[MeshGuess] = []
    rest: list[MeshGuess] = []
    seen = set()
    for one in found:
        (rest if one.mesh in seen else firsts).append(one)
        seen.add(one.mesh)
    return firsts + rest


def _guess(
    work: StepWork, mesh: meshes.MeshConfig, grid: AbstractMesh, slice_: topology.Slice
) -> MeshGuess:
    step = phases.Step(work, grid, attention=phases.KERNEL, steps=1)
    chips, data = slice_.chips, mesh.fsdp * mesh.ep
    resident, cfg, packed = step.resident(), work.policy, work.scored(data)
    weights = 2.0 * flops.parameters(cfg)
    slots = packed.rows[0].ids.shape[-1]
    passes = len(packed.rows)
    weights = 2.0 * flops.parameters(cfg)
    total = sum(phase.flops.total * phase.calls for phase in step.phases())
    arithmetic = total / chips / slice_.chip.flop_rate
    decode = resident.get("sampler", resident["reference"]) + resident["kv"]
    reading = decode * work.tokens.completion / slice_.chip.hbm_rate
    gathered = 3 * passes * weights / mesh.tp * (data - 1) / data
    summed = 0.0
    if mesh.tp > 1:
        summed = 6 * 2 * 2.0 * passes * slots * cfg.width * cfg.layers
    links = (gathered + summed) / slice_.ici_rate
    seconds = max(arithmetic, links) + reading
    size = estimate.memory(step).peak
    return MeshGuess(mesh, work, size, data * packed.tokens / seconds)
