"""Activations that a step's compiled programs bring together over a data axis; test_replicated.

python -m tests.plan.crossing PRESET EP [blind] CHIPS ...: a JSON object by number of chips
and phase. A process of its own, on CPU devices. EP 0: the preset's own mesh. With `blind`,
rows are cut over nothing.

Rows come to each program cut over the data axes. So what lies whole on all their chips came there
by a collective whose groups run along them. The sizes that only activations have are primes which
divide no dimension of a model: that is how their collectives are told from those of parameters.
"""

import dataclasses
import json
import re
import sys

import jax
import numpy as np

from configs import plan as plan_config
from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.infer import logprobs
from pa_jax.jobs import plan
from pa_jax.plan import hlo, phases, topology

PROMPTS, GROUP, TIME = 11, 13, 17  # divide no dimension of a model
LENGTH = 64 * TIME
TOGETHER = ("all-gather", "all-reduce", "collective-broadcast")  # on every chip of a group the same


def work_on(preset: str, ep: int, chips: int):
    """The preset's work and mesh, its rows and prompts counted in primes."""
    config = plan_config.get_config(preset)
    name = next(name for name, one in topology.SLICES.items() if one.chips == chips)
    made = {"slice": name, "lengths": (LENGTH,), "rollout.group": GROUP}
    made |= {"tokens.prompt": 100, "tokens.completion": 12, "tokens.judge": 100}
    made |= {"tokens.question": 4} | ({"mesh.ep": ep} if ep else {})
    made["rollout.prompts"] = PROMPTS * chips  # a multiple of the data shards, whatever tp is
    config.update_from_flattened_dict(made)
    asked = plan.make_request(config, topology.named(name))
    shards = asked.mesh.fsdp * asked.mesh.ep
    return dataclasses.replace(asked.work, prompts=PROMPTS * shards), asked.mesh


def programs(work, mesh):
    """(name, lowered) of training's phases, and of those of an evaluation: a completion each."""
    for group in (work.group, 1):
        step = phases.Step(
            dataclasses.replace(work, group=group), mesh, attention="dense", steps=10
        )
        for phase in step.phases():
            if phase.name == "reshard":  # parameters alone
                continue
            if group > 1:
                yield phase.name, phase.lower()
            elif phase.name in ("rollout prefill", "judge"):
                yield f"evaluation {phase.name}", phase.lower()


def marked(dims) -> bool:
    """Whether an array of these dimensions is an activation."""
    return any(n % p == 0 for n in dims for p in (PROMPTS, GROUP, TIME))


def brought_together(program: hlo.Program, sizes) -> list[str]:
    """The collectives that leave an activation the same on chips of different data shards.

    Token ids, masks and counts are no activations. Nor is it a fault that the experts' chips of a
    group see all of its tokens: each runs other experts (models/moe.py), and gives the sums back.
    """
    found = []
    for each in (i for c in program.computations.values() for i in c):
        if each.op.removesuffix("-start") not in TOGETHER:
            continue
        axes = along(groups(each.rest, int(np.prod(sizes))), sizes) & {*sharding.DATA}
        shapes = [s for s in each.shapes if s.dtype[0] in "bf" and marked(s.dims)]
        of_experts = "shard_map" in each.label and axes <= {"ep"}
        if axes and shapes and not of_experts:
            dims = [f"{s.dtype}{list(s.dims)}" for s in shapes]
            found.append(f"{each.op} over {sorted(axes)}: {dims} {each.label}")
    return found


def along(members: np.ndarray, sizes) -> set[str]:
    """The mesh axes along which the chips of a group differ."""
    at = np.stack(np.unravel_index(members, sizes))  # [axis, group, member]
    differ = (at != at[..., :1]).any(axis=(1, 2))
    return {name for name, yes in zip(meshes.AXES, differ, strict=True) if yes}


def groups(rest: str, chips: int) -> np.ndarray:
    """[group, member] chips of a collective, by their places on the mesh."""
    if listed := re.search(r"replica_groups=\{\{([\d,{}]*)\}\}", rest):
        return np.array([[int(n) for n in g.split(",")] for g in listed.group(1).split("},{")])
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\](<=[^ ]*?)(?:, \w|$)", rest):
        return _counted(iota.group(3), chips).reshape(int(iota.group(1)), int(iota.group(2)))
    named = re.search(r"replica_groups=mesh\[([^\]]*)\](.*?)\{([^}]*)\}", rest)
    if named:
        names = dict(part.split("=") for part in named.group(1).split(","))
        shape, order = [int(n) for n in names.values()], named.group(2)
        ids = re.search(r"device_ids=\(([^ ]*)\)", order)
        at = _counted(f"<={ids.group(1)}" if ids else "", chips).reshape(shape)
        inner = [list(names).index(name) for name in named.group(3).split(",")]
        outer = [i for i in range(len(shape)) if i not in inner]
        width = int(np.prod([shape[i] for i in inner]))
        return at.transpose(*outer, *inner).reshape(-1, width)
    if re.search(r"replica_groups=\{\}", rest):
        return np.arange(chips)[None]
    raise ValueError(f"replica groups of no known form: {rest[:200]}")


def _counted(text: str, chips: int) -> np.ndarray:
    """0, 1, ... in the order that `<=[4,4,4]T(0,2,1)` says."""
    found = re.match(r"<=\[([\d,]*)\](?:T\(([\d,]*)\))?", text)
    if not found:
        return np.arange(chips)
    shape = [int(n) for n in found.group(1).split(",")]
    made = np.arange(chips).reshape(shape)
    turned = found.group(2)
    return made.transpose([int(n) for n in turned.split(",")]) if turned else made


def given_whole(compiled, lowered, shards: int) -> list[str]:
    """Arguments that hold activations or rows and are not cut over the data axes."""
    shapes, tree = jax.tree.flatten(lowered.in_avals)
    where = tree.flatten_up_to(compiled.input_shardings)  # None: not read
    pairs = [(x, s) for x, s in zip(shapes, where, strict=True) if s and marked(x.shape)]
    assert pairs
    return [
        f"{x.dtype}{list(x.shape)}"
        for x, s in pairs
        if np.prod(s.shard_shape(x.shape)) * shards > np.prod(x.shape)
    ]


def main(preset: str, ep: int, chips: list[int], *, blind: bool) -> None:
    if blind:
        sharding.ACTIVATION_RULES = {**sharding.ACTIVATION_RULES, "rows": None}
    logprobs.CHUNK = PROMPTS * TIME
    made = {}
    for count in chips:
        try:
            work, cfg = work_on(preset, ep, count)
        except ValueError as error:
            made[count] = {"refused": str(error)}
            continue
        mesh, of = meshes.make(cfg, jax.devices()[:count]), {}
        for name, lowered in programs(work, mesh):
            compiled = lowered.compile()
            sizes = tuple(mesh.shape.values())
            shards = sharding.data_shards(mesh)
            of[name] = brought_together(hlo.parse(compiled.as_text()), sizes)
            of[name] += given_whole(compiled, lowered, shards)
        made[count] = of
        sys.stderr.write(f"{preset} {count} {tuple(mesh.shape.values())} {of}\n")
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    name, ep, *counts = sys.argv[1:]
    main(name, int(ep), [int(x) for x in counts if x != "blind"], blind="blind" in counts)
