"""Candidates of mesh, batch and bucket, pruned and ranked from shapes alone before any compile."""

import dataclasses
import itertools
from collections.abc import Sequence

from jax.sharding import AbstractMesh

from pa_jax.core import mesh as meshes
from pa_jax.models import flops
from pa_jax.plan import phases, topology


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Values to try of each; `compile`: how many of the best candidates are compiled."""

    prompts: tuple[int, ...]
    trunk: tuple[int, ...]
    micro: tuple[int, ...]
    compile: int

    def __post_init__(self) -> None:
        if self.compile < 1 or not (self.prompts and self.trunk and self.micro):
            raise ValueError(f"{self}: compile must be at least 1, and no list may be empty.")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A mesh and a step's shapes, with guesses of bytes a chip and of trained tokens a second."""

    mesh: meshes.MeshConfig
    work: phases.Work
    bytes: float
    rate: float


def shapes(chips: int, work: phases.Work) -> list[meshes.MeshConfig]:
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
    work: phases.Work, slice_: topology.Slice, cfg: SearchConfig, budget: float
) -> list[Candidate]:
    """Those that should fit, the most tokens a second first."""
    made = []
    for mesh in shapes(slice_.chips, work):
        data = mesh.fsdp * mesh.ep
        grid = AbstractMesh((mesh.fsdp, mesh.tp, mesh.ep), meshes.AXES)
        for prompts, trunk, micro in itertools.product(cfg.prompts, cfg.trunk, cfg.micro):
            if prompts % micro or micro % data:
                continue
            rows = max(n for n in range(1, prompts + 1) if prompts % n == 0 and n <= max(data, 4))
            if rows % data:
                continue
            tried = dataclasses.replace(
                work, prompts=prompts, trunk=trunk, micro=micro, judge_rows=rows
            )
            one = _guess(tried, mesh, grid, slice_)
            if one.bytes <= budget:
                made.append(one)
    return sorted(made, key=lambda one: (-one.rate, one.bytes))


def spread(found: Sequence[Candidate], count: int) -> list[Candidate]:
    """The best `count`, at most one of each mesh as long as there are others."""
    firsts, rest, seen = [], [], set()
    for one in found:
        (rest if one.mesh in seen else firsts).append(one)
        seen.add(one.mesh)
    return (firsts + rest)[:count]


def _guess(
    work: phases.Work, mesh: meshes.MeshConfig, grid: AbstractMesh, slice_: topology.Slice
) -> Candidate:
    step = phases.Step(work, grid, attention="splash", steps=1)
    resident, cfg, spec = step.resident(), work.policy, work.spec
    chips, data = slice_.chips, mesh.fsdp * mesh.ep
    weights = 2.0 * flops.parameters(cfg)
    micro_tokens = work.micro * spec.slots / data
    # A copy in the compute dtype, gradients, each layer's input, and the widest layer's inside.
    saved = 2.0 * cfg.layers * micro_tokens * cfg.width
    inside = 2.0 * micro_tokens * 4 * cfg.mlp / mesh.tp
    temporaries = 3 * weights / chips + saved + inside
    passes = -(-work.prompts // work.micro)
    total = sum(phase.flops.total * phase.calls for phase in step.phases())
    arithmetic = total / chips / slice_.chip.flop_rate
    decode = resident.get("sampler", resident["reference"]) + resident["kv"]
    reading = decode * work.completion / slice_.chip.hbm_rate
    gathered = 3 * passes * weights / mesh.tp * (data - 1) / data
    summed = 0.0
    if mesh.tp > 1:
        rows = work.prompts / data
        summed = 6 * 2 * 2.0 * rows * spec.slots * cfg.width * cfg.layers
    links = (gathered + summed) / slice_.ici_rate
    seconds = max(arithmetic, links) + reading
    size = sum(resident.values()) + temporaries
    return Candidate(mesh, work, size, work.prompts * spec.slots / seconds)
