"""A GRPO step on tiny weights: sampler, trainer and reference speak of the same distribution."""

import importlib

import jax
import pytest

from pa_jax.core import timing
from pa_jax.data import pipeline
from pa_jax.jobs import grpo, setup, training


@pytest.mark.parametrize("temperature", [0.5])
def test_before_the_first_update_there_is_no_kl_at_any_temperature(temperature, tmp_path):
    config = importlib.import_module("configs.grpo").get_config("tiny")
    config.rollout.temperature = temperature
    config.data.users = 1
    opened, state = training.open_model(config, None, 2)
    episodes = setup.open_episodes(config, tmp_path, "train")
    cfg = pipeline.PipelineConfig(config.rollout.prompts, config.rollout.prompt_tokens, 0)
    encode = setup.batch_encoder(config, opened.start.tokenizer)
    batches = pipeline.batches(episodes, encode, cfg, process_index=0, process_count=1)
    made = grpo.make_learner(config, opened, timing.PhaseTimer(), tmp_path)
    _, metrics, _ = made.step(state, next(batches), 0)
    metrics = jax.device_get(metrics)
    assert metrics["entropy"] > 0.1  # tokens took part
    assert metrics["logp_delta_max"] < 1e-3
    assert 0 <= metrics["kl"] < 1e-6
