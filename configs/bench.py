"""Measure prefill, decode, rollout, judge, log-probs and update here, as forests and flat.

python -m pa_jax.main --config=configs/bench.py                       SmolLM2-135M, a laptop CPU
python -m pa_jax.main --config=configs/bench.py:tiny                  random weights, seconds
python -m pa_jax.main --config=configs/bench.py:qwen3-36m             random weights, a CPU's step
python -m pa_jax.main --config=configs/bench.py "--config.measure=('ragged',)"
"""

import ml_collections

from configs import common, grpo

KNOWN = ("qwen2.5-0.5b", "smollm2", "tiny", "qwen3-36m", "qwen3-0.6b")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, KNOWN, default="smollm2")
    small, step = preset == "tiny", preset == "qwen3-36m"
    exact = preset != "qwen3-0.6b"
    c = ml_collections.ConfigDict()
    c.job = "bench"
    c.seed = 0  # of token ids and lengths
    c.model = common.model("tiny" if step else preset)
    if step:
        c.model.source = "random:qwen3-36m"
    c.bench = {
        "prompts": 2 if small else 8 if step else 4,
        "group": 3 if small else 8,
        "leaves": 4,  # the judge's questions about a completion
        # of packed rows: in a forward pass, where XLA keeps nothing, and in the update
        "lengths": (64, 128, 256) if small else (256, 512, 768, 896, 1024, 1280, 1536, 2048, 4096),
        "update_lengths": (64, 128, 256) if small else (256, 512, 768, 896, 1024, 1280),
        "reps": 2 if small else 3,
    }
    c.sizes = {  # in tokens; a completion's and a question's are means
        "full": {
            "root": 0,  # what all prompts begin with
            "prompt": 48 if small else 512,
            "completion": 8 if small else 48 if step else 32,
            "leaf": 4 if small else 40,
            "spread": 0.0,  # of the lengths' logarithm; 0: all are the mean
        },
        "ragged": {  # as in the default run of configs/grpo.py: 182 + 14
            "root": 0,
            "prompt": 40 if small else 182,
            "completion": 6 if small else 14,
            "leaf": 4,
            "spread": 0.3,
        },
    }
    c.measure = ()  # which of these sizes; empty: all
    c.phases = ()  # which phases; empty: all
    c.tolerance = {  # largest |forest - flat|; loss and gradient relative
        "logit": 1e-3 if exact else 0.5,
        "logprob": 1e-3 if exact else 0.5,
        "loss": 1e-5 if exact else 1e-2,
        "gradient": 1e-4 if exact else 5e-2,
    }
    # flat seconds / forest seconds; `updates` is of the phase update, for a section has a method of
    # that name, which the command line would set
    c.wanted = {}
    if preset in ("smollm2", "qwen3-0.6b"):
        c.wanted.full = {"prefill": 5.0, "judge": 6.0, "logprobs": 4.0, "updates": 4.5}
        c.wanted.ragged = {"updates": 4.5}
    c.loss = grpo.get_config().loss
    c.optim = common.optim(1e-5 if exact else 1e-6)
    return c
