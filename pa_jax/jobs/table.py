"""config.job -> the function (config, workdir) that runs it."""

from pa_jax.jobs import bench, chat, eval, export, grpo, infer, judge, plan, report, serve, sft

JOBS = {
    "grpo": grpo.run,
    "sft": sft.run,
    "judge": judge.run,
    "infer": infer.run,
    "chat": chat.run,
    "bench": bench.run,
    "eval": eval.run,
    "export": export.run,
    "plan": plan.run,
    "report": report.run,
    "serve": serve.run,
}
