"""Writes tests/golden/layouts/PRESET.json: where every parameter lies on each mesh.

python tests/golden/make_layouts.py
"""

import json
import pathlib

import jax
from flax import nnx

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.models import config, decoder

FOLDER = pathlib.Path(__file__).parent / "layouts"
SHAPES = ((1, 1, 1), (8, 1, 1), (2, 4, 1), (1, 4, 4), (16, 4, 4))  # fsdp, tp, ep
TABLES = {"train": sharding.TRAIN_RULES, "infer": sharding.INFER_RULES}


def layouts(preset: str) -> dict[str, dict[str, str]]:
    """ "train 2x4x1" -> parameter -> shape and mesh axes, for every table and mesh."""
    state = nnx.state(decoder.abstract(config.PRESETS[preset], dtype="bfloat16"))
    made = {}
    for table, rules in TABLES.items():
        for shape in SHAPES:
            mesh = jax.sharding.AbstractMesh(shape, meshes.AXES)
            made[f"{table} {'x'.join(map(str, shape))}"] = sharding.layout(state, mesh, rules)
    return made


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in config.PRESETS:
        text = json.dumps(layouts(name), indent=1) + "\n"
        (FOLDER / f"{name}.json").write_text(text)
