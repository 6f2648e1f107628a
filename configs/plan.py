"""Compile a GRPO step for a TPU slice one does not have: does it fit, what bounds it.

python -m pa_jax.main --config=configs/plan.py:qwen3-4b                    the paper's pair, v5e-16
python -m pa_jax.main --config=configs/plan.py:qwen3-0.6b                  one Colab chip
python -m pa_jax.main --config=configs/plan.py:qwen3-4b --config.slice=v5e-64
python -m pa_jax.main --config=configs/plan.py:qwen3-4b --config.search=True
python -m pa_jax.main --config=configs/plan.py:qwen3-4b "--config.scaling=('v5e-64','v5e-256')"

Needs libtpu's compiler, no TPU: pip install 'pa_jax[tpu]'. All keys of configs/grpo.py count.
"""

import ml_collections

from configs import grpo

SLICES = {
    "tiny": "v5e-1",
    "qwen2.5-0.5b": "v5e-1",
    "smollm2": "v5e-1",
    "qwen3-0.6b": "v5e-1",
    "qwen3-4b-lora": "v5e-1",
    "qwen3-4b": "v5e-16",
}


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = preset or "smollm2"
    c = grpo.get_config(preset)
    c.name = preset  # in the table
    c.job = "plan"
    c.slice = SLICES[preset]  # v5e-N, v6e-N or v5p-N
    c.judge_trunk = 128 if preset == "tiny" else 1024  # tokens of what the judge reads first
    c.judge_question = 64  # tokens of a question, or of a gold snippet between two notes lines
    c.phases = ()  # which to compile; empty: all
    c.hbm_share = 0.9375  # of a chip's memory that may be used: 15 of 16 GB
    c.efficiency = 0.5  # of the peaks that a run reaches; assumed, not measured
    # Further slices for a table of weak scaling: rows (prompts, micro, judge) grow with the chips.
    c.scaling = ()
    c.search = False  # try batch, bucket and mesh shapes; compile the best few
    c.search_over = {
        "prompts": (8, 16, 32, 64),  # values of rollout.prompts
        "trunk": (512, 1024),  # largest prompt bucket
        "micro": (1, 2, 4, 8, 16, 32, 64),  # values of micro
        "compile": 3,  # candidates that are compiled
    }
    return c
