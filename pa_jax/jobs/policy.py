"""A job's policy: a checkpoint of a training run, or any model.source; where runs are opened."""

import dataclasses
import pathlib
from typing import Any

import jax
import ml_collections
from absl import logging
from flax import nnx

from pa_jax import models
from pa_jax.core import checkpoint
from pa_jax.core import mesh as meshes
from pa_jax.jobs import setup
from pa_jax.models import lora, precision

BEST, NEWEST = "best", "newest"
_NEEDED = ("source", "dtype", "int8", "lora")


def load(
    config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh | None = None
) -> models.LoadedModel:
    """config.model.source may also be the work directory of a grpo or sft run.

    Such a run's own config says what its weights are, and in which dtype; config.checkpoint says
    which of its checkpoints, and how its prompts are made. Its adapters stay beside the base,
    which replies.
    """
    _require_named(config.checkpoint)
    folder = pathlib.Path(config.model.source).expanduser()
    if not (folder / "checkpoints").is_dir():
        return setup.load_model(config, mesh)
    return trained(folder, config.checkpoint, mesh)[0]


def named(
    config: ml_collections.ConfigDict,
    name: str,
    mesh: jax.sharding.Mesh | None = None,
    *,
    key: str = "model.source",
) -> models.LoadedModel | None:
    """Another policy of the same job, from `name` in place of config.model.source; None for "".

    `key` is the config's that gave the name: what is wrong is said of it.
    """
    return opened(config, name, mesh, key=key) if name else None


def opened(
    config: ml_collections.ConfigDict,
    name: str,
    mesh: jax.sharding.Mesh | None = None,
    *,
    key: str = "model.source",
) -> models.LoadedModel:
    """As `named`, of a name that is there."""
    other = config.copy_and_resolve_references()
    other.model.source = name
    with setup.source_of(key):
        return load(other, mesh)


def trained(
    run_folder: pathlib.Path,
    which: str,
    mesh: jax.sharding.Mesh | None = None,
    *,
    wide: bool = False,
) -> tuple[models.LoadedModel, int]:
    """The model of a work directory at one of its checkpoints, and that checkpoint's step.

    `which` is best (the newest, where no evaluation kept one), newest, or a step. On `mesh`, or the
    first device, whatever the run's own mesh was. `wide` reads a mixed base as float32, to merge
    adapters into weights that were never rounded.
    """
    path = run_folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; give the work directory of a grpo or sft run."
        )
    _require_named(which)
    config = ml_collections.ConfigDict(setup.read_json(path))
    lacking = [key for key in _NEEDED if key not in config.get("model", {})]
    if lacking:
        raise ValueError(
            f"{path} has no model.{' and no model.'.join(lacking)}: another version of pa_jax "
            "wrote it; add what configs/common.py has for its preset, or train again."
        )
    if "merge_roles" not in config.model:  # of a run that is older than this key
        config.model.merge_roles = False
    if wide and config.model.dtype == precision.MIXED:
        config.model.dtype = "float32"
    model = setup.load_model(config, mesh)
    if config.model.lora.rank:  # merged into weights that were never rounded to int8
        config.model.int8 = False
        with meshes.using(mesh):
            model = setup.with_adapters(model, config)
        graph, params, frozen = lora.split(model.module)
    else:
        graph, params = nnx.split(model.module)
        frozen = None
    restored = _restored(run_folder, which, params)
    module = nnx.merge(graph, restored.state["params"], *((frozen,) if frozen else ()))
    prompt = config.prompt.to_dict() if "prompt" in config else None
    return dataclasses.replace(model, module=module, prompt=prompt), restored.step


def _require_named(which: str) -> None:
    if which not in (BEST, NEWEST) and not which.isdecimal():
        raise ValueError(f"checkpoint={which!r}: choose {BEST!r}, {NEWEST!r} or a step's number.")


def _restored(run_folder: pathlib.Path, which: str, params: Any) -> checkpoint.Restored:
    """The parameters of the checkpoint that `which` names, of the best or of the newest ones."""
    step = int(which) if which.isdecimal() else None
    rooms = {BEST: ("best", "checkpoints"), NEWEST: ("checkpoints",)}
    found: list[int] = []
    for room in rooms.get(which, ("checkpoints", "best")):
        saver = checkpoint.Checkpointer(run_folder / room, keep=1)
        try:
            restored = saver.restore({"params": params}, partial=True, step=step)
            found += saver.steps()
        finally:
            saver.close()
        if restored is not None:
            figure = restored.meta.get("figure")
            best = f", the best by {figure} ({restored.meta['value']:.3f})" if figure else ""
            logging.info("%s: checkpoint of step %d%s", run_folder, restored.step, best)
            return restored
    if step is not None and found:
        raise FileNotFoundError(
            f"{run_folder} has no checkpoint of step {step}; it has those of {sorted({*found})}: "
            f"take one of them, {BEST!r} or {NEWEST!r}."
        )
    raise FileNotFoundError(f"{run_folder} has no finished checkpoint yet; let it train on.")
