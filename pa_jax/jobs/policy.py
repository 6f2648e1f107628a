"""A job's policy: the newest checkpoint of a training run, or any model.source."""

import dataclasses
import pathlib

import jax
import ml_collections
from absl import logging

from pa_jax import models
from pa_jax.jobs import export, setup
from pa_jax.models import lora


def load(
    config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh | None = None
) -> models.LoadedModel:
    """config.model.source may also be the work directory of a grpo or sft run; adapters merged.

    Such a run's own config says what its weights are, and in which dtype.
    """
    folder = pathlib.Path(config.model.source).expanduser()
    if not (folder / "checkpoints").is_dir():
        return setup.load_model(config, mesh)
    model, number = export.trained(folder, mesh)
    logging.info("%s: checkpoint of step %d", folder, number)
    if model.module.blocks.lora:
        model = dataclasses.replace(model, module=lora.merge(model.module))
    return model


def named(
    config: ml_collections.ConfigDict, name: str, mesh: jax.sharding.Mesh | None = None
) -> models.LoadedModel | None:
    """Another policy of the same job, from `name` in place of config.model.source; None for ""."""
    if not name:
        return None
    other = config.copy_and_resolve_references()
    other.model.source = name
    return load(other, mesh)
