"""The agent over HTTP: OpenAI's API, profiles, metrics, a web page.

python -m pa_jax.main --config=configs/serve.py                       http://127.0.0.1:8000
python -m pa_jax.main --config=configs/serve.py --config.host=0.0.0.0 --config.key_file=keys.toml
python -m pa_jax.main --config=configs/serve.py --config.model.source=RUN
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, common.PRESETS)
    laptop = preset in common.LAPTOP
    c = ml_collections.ConfigDict()
    c.job = "serve"
    c.name = "pa_jax"  # of the model, for callers
    # A request whose body names no user is of the user in this header, or of its key's (`user` in
    # the key file), or nobody's; Open WebUI's is X-OpenWebUI-User-Id.
    c.user_header = "X-User"
    c.host = "127.0.0.1"  # address to listen on; another machine can reach it only with keys
    c.port = 8000  # 0: any free one
    c.key_file = ""  # file of API keys (pa_jax/serve/keys.py); "": none, loopback only
    c.model = common.model(preset)
    c.checkpoint = common.CHECKPOINT  # of a run that is opened: best | newest | a step's number
    c.mesh = common.mesh(preset)
    c.mesh.fsdp = c.mesh.ep = 1  # the first tp devices; fsdp=-1: all
    c.lengths = common.lengths(preset)  # of packed rows
    c.store = f"sqlite:///runs/profiles{'-tiny' if preset == 'tiny' else ''}.db"  # database URL
    c.infer = common.inference(preset)
    c.infer.rows = 8 if laptop else 16
    c.ask = common.asking(preset)
    c.asker = ""  # model source or run of a policy trained with task=ask; "": the rule of `ask`
    # model source of who replies; "": model.source, without the adapters that a run trained. Name
    # one where all weights were trained: those of a writer of snippets reply badly.
    c.replier = ""
    c.reply = common.replying(preset)
    c.live = common.serving(preset)
    c.live.rows = 8 if laptop else 32
    c.agent = common.answering(preset)
    c.limits = {
        "body_bytes": 1 << 20,
        "import_bytes": 8 << 20,  # of an imported profile
        "messages": 256,
        "prompt_chars": 100_000,
        "choices": 8,
        "running": 2 * c.live.rows,
        "queue": 64,
        "reading": 4,
        # a reply has rows to spare, whoever asks; on a CPU rows share the cores
        "key_running": max(c.live.rows // (4 if laptop else 2), 1),
        "key_queue": 16,
        "key_tokens": 200_000,
        "key_bytes": 32 << 20,
        "user_queue": 4,
        "wait_seconds": 60.0,
        "reply_seconds": 120.0,
        "connections": 256,
        "head_seconds": 10.0,
        "body_seconds": 20.0,
        "send_seconds": 20.0,
        "ping_seconds": 10.0,
        "drain_seconds": 10.0,
    }
    return c
