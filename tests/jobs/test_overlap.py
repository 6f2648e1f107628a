"""What does not need each other runs at once: a step takes as long as the longer of the two."""

import importlib
import time

import jax
import numpy as np
import pytest

from pa_jax.core import timing
from pa_jax.data import pipeline
from pa_jax.dialogue import schema
from pa_jax.infer import score
from pa_jax.jobs import grpo, setup, training

SLOW = 2.0  # seconds


def slow_reward(group):
    """A judge elsewhere."""
    time.sleep(SLOW)
    return {"length": [float(len(text)) for text in group.texts]}


@pytest.fixture
def opened(tmp_path):
    config = importlib.import_module("configs.grpo").get_config("tiny")
    config.data.users, config.rollout.prompts = 1, 1
    config.reward.function, config.reward.names = "tests.jobs.test_overlap:slow_reward", ("length",)
    config.reward.weights = (1.0,)
    made, state = training.open_model(config, None, 2)
    episodes = setup.open_episodes(config, tmp_path, "train")
    cfg = pipeline.PipelineConfig(config.rollout.prompts, config.rollout.prompt_tokens, 0)
    encode = setup.batch_encoder(config, made.start.tokenizer)
    batches = pipeline.batches(episodes, encode, cfg, process_index=0, process_count=1)
    timer = timing.PhaseTimer()
    return grpo.make_learner(config, made, timer, tmp_path), state, batches, timer


@pytest.mark.slow
def test_the_reference_computes_while_a_judge_elsewhere_is_asked(opened, monkeypatch):
    made, state, batches, timer = opened
    compute = score.scored_calls

    @jax.jit
    def late(x):
        def slept(x):
            time.sleep(SLOW)
            return np.asarray(x)

        return jax.pure_callback(slept, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    monkeypatch.setattr(score, "scored_calls", lambda *args: late(compute(*args)))
    state, metrics, _ = made.step(state, next(batches), 0)  # compiles
    timer.take()
    _, again, _ = made.step(state, next(batches), 1)
    seconds = timer.take()
    both = seconds["seconds/judge"] + seconds["seconds/logprobs"]
    assert SLOW <= both < 0.8 * 2 * SLOW, seconds
    assert float(metrics["kl"]) < 1e-6 and np.isfinite(float(again["kl"]))


def test_prompts_are_tokenised_while_the_ones_before_are_trained_on():
    """Reading a batch takes as long as training on it: in all hardly more than the one of them."""
    each, count = 0.1, 3 * pipeline.AHEAD
    source = [
        schema.Episode(f"e{i}", "u", profile=(), context="", user="I like tea.", gold="tea")
        for i in range(50)
    ]

    def encode(episodes):
        time.sleep(each * len(episodes) / 2)
        return [[1 + i] * 5 for i, _ in enumerate(episodes)]

    cfg = pipeline.PipelineConfig(2, 10, 0)
    batches = pipeline.batches(source, encode, cfg, process_index=0, process_count=1)
    next(batches)  # the first few have nothing to hide behind
    start = time.perf_counter()
    for _ in range(count):
        time.sleep(each)
        next(batches)
    took = time.perf_counter() - start
    assert each * count <= took < 0.75 * 2 * each * count, took
