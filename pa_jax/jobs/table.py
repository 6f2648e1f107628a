"""config.job -> the function (config, workdir) that runs it."""

from pa_jax.jobs import bench, eval, export, grpo, judge, plan, sft

JOBS = {
    "grpo": grpo.run,
    "sft": sft.run,
    "judge": judge.run,
    "bench": bench.run,
    "eval": eval.run,
    "export": export.run,
    "plan": plan.run,
}
