"""A checkpoint of a training run as a folder that transformers loads."""

import dataclasses
import pathlib

import ml_collections
import tqdm

from pa_jax import models
from pa_jax.jobs import policy, setup
from pa_jax.models import lora


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `export` job: writes workdir/hf, and workdir/adapter where LoRA trained one."""
    if not config.run:
        raise ValueError("config.run is empty; give --config.run=DIR, a training work directory.")
    model, number = policy.trained(pathlib.Path(config.run), config.checkpoint)
    setup.open_workdir(config, workdir)
    if model.module.blocks.lora:
        base = setup.read_json(pathlib.Path(config.run) / "config.json")["model"]["source"]
        lora.export_peft(model.module, workdir / "adapter", base.removeprefix("hf:"))
        model = dataclasses.replace(model, module=lora.merge(model.module))
    models.save_hf(model, workdir / "hf")
    tqdm.tqdm.write(f"Step {number} of {config.run} is in {workdir / 'hf'}: transformers loads it.")
