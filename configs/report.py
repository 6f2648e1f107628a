"""report.html of a training run, made again from its work directory.

python -m pa_jax.main --config=configs/report.py --config.run=runs/grpo-DATE
"""

import ml_collections


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    if preset:
        raise ValueError(f"preset {preset!r}: report has none; set --config.run=DIR.")
    c = ml_collections.ConfigDict()
    c.job = "report"
    c.run = ""  # work directory of a grpo or sft run, finished or not
    return c
