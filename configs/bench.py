"""Measure prefill, decode, rollout, judge, log-probs and update here, as trees and flat.

python -m pa_jax.main --config=configs/bench.py                       SmolLM2-135M, a laptop CPU
python -m pa_jax.main --config=configs/bench.py:tiny                  random weights, seconds
"""

import ml_collections

from configs import common

KNOWN = ("qwen2.5-0.5b", "smollm2", "tiny", "qwen3-0.6b")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, KNOWN, default="smollm2")
    small, exact = preset == "tiny", preset in common.LAPTOP
    c = ml_collections.ConfigDict()
    c.job = "bench"
    c.seed = 0  # of the token ids
    c.model = common.model(preset)
    c.bench = {
        "prompts": 2 if small else 4,
        "group": 3 if small else 8,
        "trunk": 48 if small else 512,
        "branch": 8 if small else 32,
        "leaves": 4,
        "leaf": 4 if small else 40,
        "forward_tokens": 256 if small else 9600,  # a call of a forward pass, tree or flat
        "update_tokens": 512 if small else 1100,  # a microbatch of the update
        "reps": 2 if small else 3,
    }
    c.tolerance = {  # largest |tree - flat|; loss and gradient relative
        "logit": 1e-3 if exact else 0.5,
        "logprob": 1e-3 if exact else 0.5,
        "loss": 1e-5 if exact else 1e-2,
        "gradient": 1e-4 if exact else 5e-2,
    }
    c.wanted = (  # flat seconds / tree seconds
        {} if small else {"prefill": 5.0, "judge": 6.0, "logprobs": 4.0, "update": 4.0}
    )
    c.loss = {"clip_low": 0.2, "clip_high": 0.2, "beta": 0.04}  # as in configs/grpo.py
    c.optim = common.optim(1e-5 if exact else 1e-6)
    return c
