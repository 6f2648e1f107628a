"""A server to be killed: argv is a store's URL, a port's file, a cache, and how slowly it learns.

Its model decides by rule what is learnt ("I like tea"), for random weights would learn nothing;
replies are drawn by a real engine from random weights. All else is as the job has it.
"""

import importlib
import importlib.util
import pathlib
import sys
import time

import jax

HERE = pathlib.Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("scripted", HERE.parent / "agent" / "scripted.py")
scripted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scripted)


class Slow(scripted.Model):
    """Takes its time over each turn that it learns from, and hears nothing meanwhile."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def infer(self, turns, *, now, seed):
        time.sleep(self.seconds)
        return super().infer(turns, now=now, seed=seed)


def main(url, place, cache, seconds="0"):
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    from pa_jax import models
    from pa_jax.agent import reply_prompt, session
    from pa_jax.core import timing
    from pa_jax.infer.serving import scheduler
    from pa_jax.jobs import chat, serve, setup
    from pa_jax.serve import limits

    config = importlib.import_module("configs.serve").get_config("tiny")
    model = models.load("random:tiny", dtype="float32")
    rules = Slow(float(seconds))
    engine = scheduler.Scheduler(model, rows=2, trunk=450, slots=256, chunk=2)
    engine.warm_up()
    reply = reply_prompt.Responder(
        model.tokenizer, setup.section(reply_prompt.ReplyConfig, config.reply)
    )
    config.agent.max_new_tokens = 200
    cfg = setup.section(session.AgentConfig, config.agent)
    profiles = chat.open_store(url)
    agent = session.Agent(profiles, rules, rules, reply, engine, clock=setup.utc_now, cfg=cfg)
    listening = serve.listen("127.0.0.1", 0, keyless=True)
    listening.listen()
    pathlib.Path(place).write_text(str(listening.getsockname()[1]))
    with timing.CompileCounter() as compiles:
        bounds = setup.section(limits.Limits, config.limits)
        serve.serve_agent(config, bounds, agent, None, listening, compiles)
    for close in (agent.close, engine.close, profiles.close):
        close()


if __name__ == "__main__":
    main(*sys.argv[1:])
