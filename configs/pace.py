"""How fast the agent is here: its store, users inferred together or alone, a chat turn's cost.

python -m pa_jax.main --config=configs/pace.py           stores 5908 turns, infers 512, chats 12
python -m pa_jax.main --config=configs/pace.py "--config.parts=('turn',)" --config.model.source=RUN
"""

import ml_collections

from configs import chat, common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, common.PRESETS, default="smollm2")
    small = preset == "tiny"
    c = chat.get_config(preset)
    c.job = "pace"
    c.seed = 0  # of the draws
    c.data = common.data(preset)
    c.data.heldout_users = 16 if small else 512
    c.size = {
        "sessions": 2,  # a user
        "turns": 8,  # a session
    }
    c.split = "heldout"  # of the users: train | heldout
    c.infer = common.inference(preset)  # together; the chat has rows of its own
    c.users = 4 * c.infer.rows  # users inferred together
    # store: applies and reads a second; infer: together against alone; turn: beside its reply alone
    c.parts = ("store", "infer", "turn")
    c.warm = 1 if small else 3  # chat turns before it is measured
    c.turns = 3 if small else 12  # chat turns that are measured
    return c
