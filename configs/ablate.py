"""GRPO with every non-empty subset of the criteria, at equal budget: one table, one plot.

python -m pa_jax.main --config=configs/ablate.py --workdir=runs/ablate

All keys of grpo.py but `seed` are here too and hold for every run; killed at any point, the same
command goes on with what is missing.
"""

import ml_collections

from configs import grpo


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    c = grpo.get_config(preset or "smollm2")  # many trainings
    c.job = "ablate"
    c.warm.steps = 0  # rewards alone are compared, at equal steps
    c.eval.every = 0  # and the last checkpoints, not the best
    # compl, nohall, inform and consist joined by +; all: the four; all-per_criterion: the four
    # under that aggregate; empty: the 15 subsets and that
    c.arms = ()
    del c.seed
    # each arm is trained under each; two seeds of an arm may differ as much as two arms
    c.seeds = (0,) if preset == "tiny" else (0, 1)
    c.checkpoints = False  # keep those of finished runs, 3 GB each for smollm2
    return c
