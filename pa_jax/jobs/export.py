"""The newest good checkpoint of a training run as a folder that transformers loads."""

import dataclasses
import pathlib

import jax
import ml_collections
import tqdm
from flax import nnx

from pa_jax import models
from pa_jax.core import checkpoint
from pa_jax.core import mesh as meshes
from pa_jax.jobs import setup
from pa_jax.models import lora

_NEEDED = ("source", "dtype", "int8", "lora")


def trained(
    run_folder: pathlib.Path, mesh: jax.sharding.Mesh | None = None
) -> tuple[models.LoadedModel, int]:
    """The model of a work directory at its newest good checkpoint, and that checkpoint's step.

    On `mesh`, or the first device, whatever the run's own mesh was.
    """
    path = run_folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; give the work directory of a grpo or sft run."
        )
    config = ml_collections.ConfigDict(setup.read_json(path))
    lacking = [key for key in _NEEDED if key not in config.get("model", {})]
    if lacking:
        raise ValueError(
            f"{path} has no model.{' and no model.'.join(lacking)}: another version of pa_jax "
            "wrote it; add what configs/common.py has for its preset, or train again."
        )
    model = setup.load_model(config, mesh)
    if config.model.lora.rank:  # merged into weights that were never rounded to int8
        config.model.int8 = False
        with meshes.using(mesh):
            model = setup.with_adapters(model, config)
        graph, params, frozen = lora.split(model.module)
    else:
        (graph, params), frozen = nnx.split(model.module), ()
    saver = checkpoint.Checkpointer(run_folder / "checkpoints", keep=config.train.keep)
    restored = saver.restore({"params": params}, partial=True)
    saver.close()
    if restored is None:
        raise FileNotFoundError(f"{run_folder} has no finished checkpoint yet; let it train on.")
    module = nnx.merge(graph, restored.state["params"], *((frozen,) if frozen else ()))
    return dataclasses.replace(model, module=module), restored.step


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """The `export` job: writes workdir/hf, and workdir/adapter where LoRA trained one."""
    if not config.run:
        raise ValueError("config.run is empty; give --config.run=DIR, a training work directory.")
    model, number = trained(pathlib.Path(config.run))
    setup.open_workdir(config, workdir)
    if model.module.blocks.lora:
        base = setup.read_json(pathlib.Path(config.run) / "config.json")["model"]["source"]
        lora.export_peft(model.module, workdir / "adapter", base.removeprefix("hf:"))
        model = dataclasses.replace(model, module=lora.merge(model.module))
    models.save_hf(model, workdir / "hf")
    tqdm.tqdm.write(f"Step {number} of {config.run} is in {workdir / 'hf'}: transformers loads it.")
