"""Infer profiles from dialogues; against gold where the data has it.

python -m pa_jax.main --config=configs/infer.py                       50 held-out synthetic users
python -m pa_jax.main --config=configs/infer.py --config.model.source=RUN       a trained policy
python -m pa_jax.main --config=configs/infer.py --config.data.source=messages \
    --config.data.path=FILE --config.split=all                        dialogues as JSONL
python -m pa_jax.main --config=configs/infer.py --config.calibrate=200          the thresholds
python -m pa_jax.main --config=configs/infer.py "--config.runs=('RUN',)"
    one table: model.source and each run, turn by turn and reading the whole dialogue at once
python -m pa_jax.main --config=configs/infer.py --config.drift=200 --config.data.heldout_users=100
python -m pa_jax.main --config=configs/infer.py "--config.horizon=(8,32,100,300)" \
    --config.size.sessions=38 --config.data.heldout_users=8     snippets=gold: gold alone
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
    c.checkpoint = common.CHECKPOINT  # of a run that is opened: best | newest | a step's number
    c.mesh = common.mesh(preset)
    c.lengths = common.lengths(preset)  # of packed rows
    c.data = common.data(preset)
    c.data.heldout_users = 3 if small else 50
    c.size = {"sessions": 2 if small else 4, "turns": 2 if small else 8}  # synthetic; 0: drawn
    c.split = "heldout"  # train | heldout | all
    c.infer = common.inference(preset)
    c.users = 4 * c.infer.rows  # users on the way at a time: batches of like length
    c.store = ""  # database URL; "": profiles.db in the work directory
    c.snippets = "policy"  # policy | gold (the data's own snippets, placed and applied)
    # Instead of inferring:
    c.calibrate = 0  # held-out statements to measure thresholds on
    c.runs = ()  # work directories of training runs, each measured beside model.source ...
    c.ways = ("turns", "full_history")  # ... turn by turn, and reading all at once
    c.full_history = {
        "rows": 2 if small else 4,  # users at a time
        "prompt_tokens": 1024 if small else 4096,  # what is beyond is left out
        "max_new_tokens": 16 if small else 384,  # of the list of preferences
    }
    c.drift = 0  # changes of preference to look at
    c.horizon = ()  # turns a user after which to look; size.sessions must give as many
    c.reply = common.replying(preset)  # horizon: how long its prompt gets
    return c
