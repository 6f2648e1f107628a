"""Infer profiles from dialogues; against gold where the data has it.

python -m pa_jax.main --config=configs/infer.py                       50 held-out synthetic users
python -m pa_jax.main --config=configs/infer.py --config.model.source=RUN       a trained policy
python -m pa_jax.main --config=configs/infer.py --config.data.source=messages \
    --config.data.path=FILE --config.split=all                        dialogues as JSONL
python -m pa_jax.main --config=configs/infer.py --config.calibrate=200          the thresholds
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, common.PRESETS)
    small = preset == "tiny"
    c = ml_collections.ConfigDict()
    c.job = "infer"
    c.seed = 0  # of the policy's draws
    c.model = common.model(preset)
    c.mesh = common.mesh(preset)
    c.data = common.data(preset)
    c.data.heldout_users = 3 if small else 50
    c.size = {"sessions": 2 if small else 4, "turns": 2 if small else 8}  # synthetic; 0: drawn
    c.split = "heldout"  # train | heldout | all
    c.infer = common.inference(preset)
    c.users = c.infer.rows  # users on the way at a time
    c.store = ""  # database URL; "": profiles.db in the work directory
    c.snippets = "policy"  # policy | gold (the data's own snippets, placed and applied)
    c.calibrate = 0  # held-out statements to measure thresholds on, instead of inferring
    return c
