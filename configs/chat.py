"""Talk in the terminal; what is known of the user lasts from one conversation to the next.

python -m pa_jax.main --config=configs/chat.py
python -m pa_jax.main --config=configs/chat.py --config.user=ann --config.model.source=RUN
python -m pa_jax.main --config=configs/chat.py --config.store=postgresql://USER@HOST/DATABASE
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, common.PRESETS)
    c = ml_collections.ConfigDict()
    c.job = "chat"
    c.model = common.model(preset)
    c.checkpoint = common.CHECKPOINT  # of a run that is opened: best | newest | a step's number
    c.mesh = common.mesh(preset)
    c.mesh.fsdp = c.mesh.ep = 1  # the first tp devices; fsdp=-1: all
    c.lengths = common.lengths(preset)  # of packed rows
    c.user = "me"  # whose profile
    c.store = f"sqlite:///runs/profiles{'-tiny' if preset == 'tiny' else ''}.db"  # database URL
    c.infer = common.inference(preset)
    c.infer.rows = 1  # one user at a time; as many as the mesh has data shards, where that is more
    c.ask = common.asking(preset)
    c.asker = ""  # model source or run of a policy trained with task=ask; "": the rule of `ask`
    # model source of who replies; "": model.source, without the adapters that a run trained. Name
    # one where all weights were trained: those of a writer of snippets reply badly.
    c.replier = ""
    c.reply = common.replying(preset)
    c.live = common.serving(preset)
    c.live.rows = 2  # a reply, and the turn's snippet beside it
    c.agent = common.answering(preset)
    return c
