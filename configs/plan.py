"""Compile a GRPO step for a TPU slice one does not have: does it fit, what bounds it.

python -m pa_jax.main --config=configs/plan.py:qwen3-4b                    the paper's pair, v5e-16
python -m pa_jax.main --config=configs/plan.py:qwen3-0.6b                  one Colab chip
python -m pa_jax.main --config=configs/plan.py:qwen3-4b --config.slice=v5e-64
python -m pa_jax.main --config=configs/plan.py:qwen3-4b --config.search=True
python -m pa_jax.main --config=configs/plan.py:qwen3-4b "--config.scaling=('v5e-64','v5e-256')"
python -m pa_jax.main --config=configs/plan.py:qwen3-4b \\
  "--config.costs.slices=('v5e-16','v5e-64','v5p-64','v5p-512')"           dollars, as tpu/README.md

All but the last need libtpu's compiler, no TPU: pip install 'pa_jax[tpu]'. All keys of
configs/grpo.py count.
"""

import ml_collections

from configs import common, grpo

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
    c.tokens = {  # of what is compiled for; all prompts alike
        "root": 0,  # what all prompts begin with
        "prompt": {"tiny": 256, "qwen3-4b-lora": 512}.get(preset, c.rollout.prompt_tokens),
        "completion": c.rollout.max_new_tokens,
        # what the judge reads before a completion, task and questions among it
        "judge": 128 if preset == "tiny" else 256 if preset in common.LAPTOP else 1088,
        # of a question behind a completion, or of a gold snippet between two notes lines
        "question": 4 if c.judge.kind == "verbal" else 64,
    }
    c.phases = ()  # which to compile; empty: all
    c.hbm_share = 0.9375  # of a chip's memory that may be used: 15 of 16 GB
    c.efficiency = 0.5  # of the peaks that a run reaches; assumed, not measured
    # Further slices for a table of weak scaling: prompts grow with the chips.
    c.scaling = ()
    c.costs = {  # a table of seconds, bytes and dollars
        "slices": (),
        # (tokens of a prompt, of a completion, prompts a chip) of a slice's lines: a hundred
        # prompts a chip, and what 16 GB have room for beside the 30B judge
        "cases": {
            "v5e": ((256, 32, 96), (256, 32, 3), (1024, 64, 96), (1024, 64, 1)),  # of v5e
            "v6e": ((256, 32, 96), (256, 32, 3), (1024, 64, 96), (1024, 64, 1)),  # of v6e
            "v5p": ((256, 32, 96), (1024, 64, 96)),  # of v5p
        },
        "apart": 64,
        # 16 GB hold a part of the judge's experts, 95 GB all of a tp group's
        "ep": {
            "v5e": 4,  # chips along the mesh's ep on v5e
            "v6e": 4,  # and on v6e
            "v5p": 1,  # and on v5p
        },
        "prices": {
            "v5e": 1.20,  # dollars an hour of a v5e chip
            "v5p": 4.20,  # of a v5p chip
        },
        # artificial-intelligence-wiki.com/ai-development/ai-hardware-infrastructure/tpu-v5-guide
        "read": "on demand, as the AI Wiki's TPU v5 guide gave them on 27 January 2026",
        # by libtpu's compiler, some twenty minutes of two cores; else estimated from shapes
        "compile": False,
    }
    c.search = False  # try batch, prompt, row and mesh shapes; compile the best few
    c.search_over = {
        "prompts": (8, 16, 32, 64),  # values of rollout.prompts
        "prompt": (512, 1024),  # tokens of a prompt
        "length": (2048, 3072, 4096, 6144, 8192),  # of the longest packed row
        "compile": 3,  # candidates that are compiled
    }
    return c
