"""Measure the judges: AUC per criterion, aggregate, canaries, agreement with gold.

python -m pa_jax.main --config=configs/judge.py
python -m pa_jax.main --config=configs/judge.py --config.data.source=prefeval --config.data.path=DIR
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, ("smollm2", "tiny", "qwen3-0.6b", "qwen3-4b"))
    small = preset == "tiny"
    c = ml_collections.ConfigDict()
    c.job = "judge"
    c.seed = 0
    c.model = common.model(preset)
    c.data = common.data(preset)
    c.split = "heldout"  # train | heldout | all
    c.kinds = ("likelihood", "verbal", "reference")
    c.episodes = 8 if small else 200
    c.rows = 4
    return c
