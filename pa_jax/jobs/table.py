"""config.job -> the function (config, workdir) that runs it."""

from pa_jax.jobs import (
    ablate,
    bench,
    chat,
    eval,
    export,
    grpo,
    infer,
    judge,
    pace,
    plan,
    report,
    review,
    serve,
    sft,
)

JOBS = {
    "ablate": ablate.run,
    "grpo": grpo.run,
    "sft": sft.run,
    "judge": judge.run,
    "infer": infer.run,
    "chat": chat.run,
    "bench": bench.run,
    "eval": eval.run,
    "export": export.run,
    "plan": plan.run,
    "serve": serve.run,
    "pace": pace.run,
    "report": report.run,
    "review": review.run,
}
