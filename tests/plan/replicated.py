"""Arrays of a step's compiled programs that hold all rows of all data shards; see test_replicated.

python -m tests.plan.replicated FSDP TP EP [blind]: a JSON object of them by phase. A process of
its own, on eight CPU devices: the type checks of the tests take no shapes for arrays. With `blind`,
rows are cut over nothing.
"""

import json
import sys

from configs import plan as plan_config
from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.jobs import plan
from pa_jax.plan import hlo, phases, topology

GROUP = 5  # of no other array of the tiny model


def step_on(sizes, **changes):
    """The tiny preset's step on this machine's devices, three prompts a data shard."""
    fsdp, tp, ep = sizes
    config = plan_config.get_config("tiny")
    made = {"slice": "v5e-8", "mesh.tp": tp, "mesh.ep": ep, "rollout.prompts": 3 * fsdp * ep}
    made |= {"rollout.group": GROUP, "model.remat": "none", "lengths": (1536,)} | changes
    config.update_from_flattened_dict(made)
    asked = plan.make_request(config, topology.named("v5e-8"))
    mesh = meshes.make(meshes.MeshConfig(*sizes))
    return phases.Step(asked.work, mesh, attention="dense", steps=asked.steps)


def shapes(lowered):
    """Every array's dimensions in the compiled program."""
    program = hlo.parse(lowered.compile().as_text())
    return {s.dims for c in program.computations.values() for i in c for s in i.shapes}


def whole(found, step):
    """Those that hold all rows, or all prompts with their branches, of all data shards."""
    shards, prompts = step.shards, step.work.prompts
    lengths = {step.work.judged(shards).rows[0].ids.shape[-1], 1536}

    def neighbours(dims, a, b):
        return (a, b) in zip(dims, dims[1:], strict=False)

    return {
        dims
        for dims in found
        if any(neighbours(dims, shards, t) or shards * t in dims for t in lengths)
        or neighbours(dims, prompts, GROUP)
        or prompts * GROUP in dims
    }


def main(sizes: tuple[int, ...], *, blind: bool) -> None:
    if blind:
        sharding.ACTIVATION_RULES = {**sharding.ACTIVATION_RULES, "rows": None}
    step, made = step_on(sizes), {}
    local = step.work.prompts // step.shards, GROUP
    for phase in step.phases():
        if phase.name != "reshard":  # parameters alone
            found = shapes(phase.lower())
            cut = [d for d in found if 1536 in d or local in zip(d, d[1:], strict=False)]
            made[phase.name] = {"whole": sorted(whole(found, step)), "cut": len(cut)}
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:4])), blind="blind" in sys.argv)
