"""Supervised warm start and baseline: the next-token loss on gold snippets.

python -m pa_jax.main --config=configs/sft.py
python -m pa_jax.main --config=configs/sft.py:tiny
"""

import ml_collections

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, common.PRESETS)
    small, laptop = preset == "tiny", preset in common.LAPTOP
    c = ml_collections.ConfigDict()
    c.job = "sft"
    c.seed = 0  # of data order and fresh adapters
    c.model = common.model(preset)
    c.mesh = common.mesh(preset)
    # tokens of packed rows: few, each is more programs
    c.lengths = common.lengths(preset, trains=True)
    c.data = common.data(preset)
    c.prompt = common.prompt(preset, trains=True)
    # episodes an update: of as many turns, 200 steps of 8 teach the 0.5B more than 100 of 16
    c.rows = {"tiny": 8, "smollm2": 8, "qwen2.5-0.5b": 8}.get(preset, 64)
    c.prompt_tokens = 1024 if small else 768 if laptop else 1024  # longer ones are skipped
    rates = {"qwen2.5-0.5b": 4e-4, "smollm2": 2e-4, "tiny": 2e-5, "qwen3-4b-lora": 1e-4}
    c.optim = common.optim(rates.get(preset, 5e-6))
    c.optim.schedule = "linear"  # a supervised run ends where its rate does
    c.train = {
        "steps": {"tiny": 6, "smollm2": 200, "qwen2.5-0.5b": 200}.get(preset, 500),
        "save_every": 2 if small else 20 if laptop else 100,
        "save_minutes": 30,  # a checkpoint comes after so many in any case
        "keep": 2,
        "max_skipped": 5,
        "stall": 1800,  # seconds without a step's end after which all stacks are shown
        "trace": (),  # steps (from, to before) whose profile goes to trace/, by jax.profiler
    }
    every = {"tiny": 2, "qwen2.5-0.5b": 200, "smollm2": 200}.get(preset, 100)
    c.eval = common.evaluations(preset, every)
    return c
