"""Train the preference inferencer with GRPO against a judge.

python -m pa_jax.main --config=configs/grpo.py                        Qwen2.5-Coder-0.5B, a laptop
python -m pa_jax.main --config=configs/grpo.py:smollm2                SmolLM2-135M, a smaller CPU
python -m pa_jax.main --config=configs/grpo.py:tiny                   random weights, under a minute
python -m pa_jax.main --config=configs/grpo.py:qwen3-4b-lora          one 16 GB TPU chip
python -m pa_jax.main --config=configs/grpo.py --config.task=ask      the decision to ask
python -m pa_jax.main --config=configs/grpo.py --config.data.source=prefeval --config.data.path=DIR
"""

import ml_collections
from ml_collections import config_dict

from configs import common


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    preset = common.check(preset, common.PRESETS)
    small, laptop = preset == "tiny", preset in common.LAPTOP
    chip = preset in ("qwen3-0.6b", "qwen3-4b-lora")  # one of 16 GB; else a slice
    c = ml_collections.ConfigDict()
    c.job = "grpo"
    # infer: write the preference of a turn; ask: decide whether to ask before answering. It sets
    # data.source=requests and judge.kind=asking, the worth of each question
    c.task = "infer"
    c.seed = 0  # of data order, rollouts and fresh adapters
    c.model = common.model(preset)
    c.mesh = common.mesh(preset)
    # tokens of packed rows: few, each is more programs
    c.lengths = common.lengths(preset, trains=True)
    c.data = common.data(preset)
    c.prompt = common.prompt(preset, trains=True)
    c.rollout = {
        # 4 of 0.6B, all weights trained, take 14.2 of 15 GB by the plan; 8 do not fit
        "prompts": {"qwen2.5-0.5b": 8, "qwen3-4b-lora": 8, "qwen3-4b": 16}.get(preset, 4),
        "group": 4 if small else 8,
        "max_new_tokens": 12 if small else 32 if laptop else 64,  # of a completion
        "temperature": 1.0,  # of rollouts, and of the log-probs they are compared with
        "top_k": 0,  # 0 is off
        "top_p": 1.0,  # 1 is off
        "prompt_tokens": 1024 if small else 768 if laptop else 1024,  # longer ones are skipped
    }
    c.judge = {
        # likelihood | verbal | reference | remote | module:Class of your own (docs/extend.md)
        "kind": "likelihood" if laptop else "verbal",
        # "": the policy's own starting weights
        "source": "" if laptop or chip else "hf:Qwen/Qwen3-30B-A3B-Instruct-2507",
        "dtype": "bfloat16",  # of a judge with weights of its own
        "int8": False,  # weights of such a judge
        "remote": common.remote(),
    }
    c.reward = {
        "function": "",  # module:function of your own, in the judge's place (docs/extend.md)
        "names": (),  # of the scores it gives, one weight each
        # completeness, no hallucination, informativeness, consistency; or one for each of `names`
        "weights": (1.0, 1.0, 1.0, 1.0),
        "aggregate": "sum",  # sum | per_criterion
        "scale_std": True,
        "eps": 1e-4,
        # Masked, cut completions met no pressure to end: 14 of 32 were cut at first, 25 after 15
        # steps (PrefEval, smollm2). So a cut one is worth nothing; "mask" leaves it out instead.
        "truncated": config_dict.FieldReference("keep" if small else 0.0, field_type=object),
    }
    c.loss = {
        "clip_low": 0.2,  # the ratio counts from 1 - clip_low
        "clip_high": 0.2,  # the ratio counts up to 1 + clip_high
        "beta": 0.04,  # weight of the KL to the reference; 0: none is kept
        "updates": 1,  # optimiser steps a rollout, a multiple of minibatches
        "minibatches": 1,  # parts of a rollout, one an update in turn; divides rollout.prompts
        "normalise": "token",  # token | sequence | constant (Dr. GRPO: with scale_std=False)
        "ratio": "token",  # token | sequence (GSPO: with normalise=sequence, clips near 3e-4)
    }
    # behind a warm start 5e-5 unlearns within six steps to say that there is nothing to note
    rates = {"qwen2.5-0.5b": 1e-5, "smollm2": 1e-5, "tiny": 1e-5, "qwen3-4b-lora": 1e-5}
    c.optim = common.optim(rates.get(preset, 1e-6))
    # With all weights trained, the warm-started ones are one copy more in memory, as the KL's
    # reference: on one 16 GB chip there is no room for it.
    warm_steps = {"tiny": 2, "qwen2.5-0.5b": 200, "smollm2": 200, "qwen3-4b-lora": 50}
    c.warm = {
        "steps": warm_steps.get(preset, 0),  # supervised, on gold snippets, before GRPO; 0: none
        # episodes of each: of as many turns, 200 steps of 8 teach the 0.5B more than 100 of 16
        "batch": {"tiny": 4, "smollm2": 8, "qwen2.5-0.5b": 8}.get(preset, 32),
        # its peak; it falls to 0 over the steps, the rest of the optimiser is as optim says
        "learning_rate": {"qwen2.5-0.5b": 4e-4, "smollm2": 2e-4, "tiny": 2e-5}.get(preset, 1e-4),
    }
    c.train = {
        # of GRPO, behind those of the warm start; one of the 0.5B takes half a minute on two cores
        "steps": {"tiny": 6, "qwen2.5-0.5b": 2, "smollm2": 2}.get(preset, 500),
        "save_every": {"tiny": 2, "smollm2": 32, "qwen2.5-0.5b": 32}.get(preset, 50),
        "save_minutes": 30,  # a checkpoint comes after so many in any case
        "keep": 2,
        "max_skipped": 5,
        "stall": 1800,  # seconds without a step's end after which all stacks are shown
        "trace": (),  # steps (from, to before) whose profile goes to trace/, by jax.profiler
    }
    # half-way through a warm start the 0.5B may look best, and notes too little of what people say
    every = {"tiny": 2, "qwen2.5-0.5b": 200, "smollm2": 200}.get(preset, 50)
    c.eval = common.evaluations(preset, every)
    return c
