"""Measure judges on episodes with gold: AUC per criterion, aggregate, canaries, agreement."""

import dataclasses
import pathlib

import ml_collections
from pa_jax.jobs import setup


def run(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    raise NotImplementedError
