"""A checkpoint of a training run as a folder that transformers loads."""

import dataclasses
import pathlib

import jax
import ml_collections
import tqdm
from absl import logging

from pa_jax import models
from pa_jax.core import mesh as meshes
from pa_jax.jobs import policy, setup
from pa_jax.models import lora
from pa_jax.models.io import source


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `export` job: writes workdir/hf, and workdir/adapter where LoRA trained one."""
    if not config.run:
        raise ValueError("config.run is empty; give --config.run=DIR, a training work directory.")
    if config.dtype not in models.DTYPES:
        raise ValueError(f"dtype={config.dtype!r}: choose one of {models.DTYPES}.")
    mesh = setup.chosen_mesh(config)
    with meshes.using(mesh):
        number = write(config, workdir, mesh)
    tqdm.tqdm.write(f"Step {number} of {config.run} is in {workdir / 'hf'}: transformers loads it.")


def write(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, mesh: jax.sharding.Mesh | None
) -> int:
    """The folders; the step that was written."""
    model, number = policy.trained(pathlib.Path(config.run), config.checkpoint, mesh, wide=True)
    setup.open_workdir(config, workdir)
    if model.module.blocks.lora:
        given = setup.read_json(pathlib.Path(config.run) / "config.json")["model"]["source"]
        base = config.base or source.hub_name(given)
        if not base:
            logging.warning(
                "the adapter names its base %r, which others cannot open; give --config.base=NAME",
                given,
            )
        lora.export_peft(model.module, workdir / "adapter", base or given)
        model = dataclasses.replace(model, module=lora.merge(model.module))
    if config.tied:
        model = models.tied(model)
    models.save_hf(models.as_dtype(model, config.dtype), workdir / "hf")
    return number
