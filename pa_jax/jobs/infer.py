"""The `infer` job: profiles from dialogues, or what its config has measured instead."""

import pathlib

import jax
import ml_collections

from pa_jax.core import mesh as meshes
from pa_jax.jobs import inferring, measure, policy, setup

SNIPPETS = ("policy", "gold")


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `infer` job; with config.calibrate, drift, horizon or runs it measures instead."""
    if jax.process_count() > 1:
        raise ValueError(f"{jax.process_count()} processes: infer runs as one; start it alone.")
    if config.snippets not in SNIPPETS:
        raise ValueError(f"snippets={config.snippets!r}: choose one of {list(SNIPPETS)}.")
    setup.open_workdir(config, workdir)
    mesh = setup.mesh(config, rows={"infer.rows": config.infer.rows})
    with meshes.using(mesh):
        if config.runs:
            measure.compare(config, workdir, mesh)
            return
        model = policy.load(config, mesh)
        agent = inferring.opened(config, model, mesh)
        if config.calibrate:
            measure.calibrate(config, workdir, agent)
        elif config.drift or config.horizon:
            measure.measure(config, workdir, agent)
        else:
            inferring.infer(config, workdir, agent)
