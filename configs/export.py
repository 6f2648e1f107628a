"""A training run's checkpoint to a Hugging Face folder.

python -m pa_jax.main --config=configs/export.py --config.run=runs/grpo-DATE --workdir=exported
tpu/launch.sh exported --config=configs/export.py --config.run=../bucket/runs/RUN      on a slice
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    if preset:
        raise ValueError(f"preset {preset!r}: export has none; set --config.run=DIR.")
    c = ml_collections.ConfigDict()
    c.job = "export"
    c.run = ""  # work directory of a grpo or sft run
    c.checkpoint = common.CHECKPOINT  # of the run: best | newest | a step's number
    # over all devices there are, which hold the weights together; the host has a tensor at a time
    c.mesh = {"fsdp": -1, "tp": 1, "ep": 1}
    c.dtype = "bfloat16"  # of the merged weights: bfloat16 | float32
    # one matrix for embedding and head, where a GGUF file holds the same one twice, rounded
    c.tied = True
    # of an adapter, as others open it (ORG/NAME); "": what is known of model.source
    c.base = ""
    return c
