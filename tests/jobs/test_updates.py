"""Several updates a rollout, and no reference: what a GRPO run does with loss.updates and beta."""

import dataclasses
import gc
import importlib
import weakref

import jax
import numpy as np
import pytest
from flax import nnx

from pa_jax.core import files, metrics, timing
from pa_jax.data import pipeline
from pa_jax.jobs import grpo, setup, training
from pa_jax.train import optimizer

RATE = 3e-3
CLIP = {"clip_low": 1e-4, "clip_high": 1e-4}  # in several tests, which share its programs


def config(**loss):
    made = importlib.import_module("configs.grpo").get_config("tiny")
    made.judge.kind = "reference"
    made.reward.function, made.reward.names, made.reward.weights = "", (), (1.0, 1.0, 1.0, 1.0)
    made.rollout.group, made.data.users, made.eval.episodes = 2, 2, 2
    made.optim.learning_rate, made.optim.warmup = RATE, 0
    made.warm.steps = made.eval.every = 0
    made.loss.update(loss)
    return made


def opened(made, tmp_path):
    """A learner, the state before its first step, and batches."""
    parts, state = training.open_model(made, None, 4)
    episodes = setup.open_episodes(made, tmp_path, "train")
    cfg = pipeline.PipelineConfig(made.rollout.prompts, made.rollout.prompt_tokens, 0)
    encode = setup.batch_encoder(made, parts.start.tokenizer)
    batches = pipeline.batches(episodes, encode, cfg, process_index=0, process_count=1)
    return parts, grpo.make_learner(made, parts, timing.PhaseTimer(), tmp_path), state, batches


def by_length(made, tmp_path, monkeypatch):
    """A reward under which every group has a spread."""
    (tmp_path / "length_reward.py").write_text(
        "def score(group):\n"
        "    return {'size': [len(text) + k for k, text in enumerate(group.texts)]}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    made.reward.function, made.reward.names = "length_reward:score", ("size",)
    made.reward.weights = (1.0,)
    return made


def test_two_updates_are_two_steps_of_the_optimiser_and_the_clip_acts(tmp_path, monkeypatch):
    found = {}
    for updates, minibatches in ((1, 1), (4, 1), (4, 2)):
        made = by_length(
            config(updates=updates, minibatches=minibatches, **CLIP),
            tmp_path,
            monkeypatch,
        )
        made.rollout.temperature = 0.5  # of the log-probs too
        _, learner, state, batches = opened(made, tmp_path)
        state, row, _ = learner.step(state, next(batches), 0)
        assert int(state.step) == 1  # a rollout is a step
        counts = [int(x) for x in jax.tree.leaves(state.opt) if x.dtype == np.int32]
        assert set(counts) == {updates}
        found[updates, minibatches] = row = jax.device_get(row)
        assert row["skipped"] == 0 and row["logp_delta_max"] < 1e-3  # before the first update
        assert row["entropy"] > 0.1  # tokens took part
    assert 0 <= found[1, 1]["kl"] < 1e-6  # sampler, trainer and reference are of one temperature
    assert found[1, 1]["clip_fraction"] < 0.2  # only rounding moved the ratio
    assert found[4, 1]["clip_fraction"] > 0.3 and found[4, 2]["clip_fraction"] > 0.1
    assert found[4, 1]["kl"] > found[1, 1]["kl"]


@pytest.mark.slow
def test_minibatches_hold_the_prompts_in_turn(tmp_path, monkeypatch):
    """With a learning rate of 0 the updates of a pass sum up to the whole rollout's figures."""
    rows = {}
    for updates, minibatches in ((1, 1), (2, 2)):
        made = by_length(
            config(updates=updates, minibatches=minibatches, normalise="constant"),
            tmp_path,
            monkeypatch,
        )
        made.optim.learning_rate = 0.0
        _, learner, state, batches = opened(made, tmp_path)
        _, row, _ = learner.step(state, next(batches), 0)
        rows[updates] = jax.device_get(row)
    # of halves of equal size, each over half the slots, the mean is the whole
    np.testing.assert_allclose(rows[2]["loss"], rows[1]["loss"], rtol=1e-4, atol=1e-6)


def test_the_learning_rate_follows_steps_not_updates():
    cfg = setup.section(optimizer.OptimConfig, config().optim)
    cfg = dataclasses.replace(cfg, schedule="linear", warmup=2)
    one, three = (optimizer.make(cfg, 6, updates=n) for n in (1, 3))
    params = {"w": np.ones((2,), np.float32)}
    moves = {}
    for tx, updates in ((one, 1), (three, 3)):
        state, moves[updates] = tx.init(params), []
        for _ in range(4 * updates):
            move, state = tx.update({"w": np.full((2,), 0.1, np.float32)}, state, params)
            moves[updates].append(float(np.abs(move["w"][0])))
    np.testing.assert_allclose(moves[3][::3], moves[1], rtol=1e-4)
    np.testing.assert_allclose(moves[3][2::3], moves[1], rtol=1e-4)
    assert len({round(x, 9) for x in moves[1]}) > 2  # the rate does change


def test_minibatches_divide_the_prompts(tmp_path):
    made = config(updates=3, minibatches=3)
    with pytest.raises(ValueError, match=r"minibatches=3 does not divide rollout.prompts=4"):
        opened(made, tmp_path)


@pytest.mark.parametrize("beta", [0.04, 0.0])
def test_without_beta_the_starts_weights_are_gone_after_the_first_step(beta, tmp_path):
    parts, learner, state, batches = opened(config(beta=beta, **CLIP), tmp_path)
    start = [weakref.ref(x) for x in jax.tree.leaves(nnx.state(parts.start.module))]
    assert len(start) > 5
    del parts
    _, row, _ = learner.step(state, next(batches), 0)
    del state
    gc.collect()
    left = [one for one in start if one() is not None]
    assert len(left) == (len(start) if beta else 0)
    assert ("kl" in row) == bool(beta)


@pytest.mark.slow
@pytest.mark.parametrize("updates", [2])
def test_a_run_in_two_parts_is_the_run_in_one(updates, tmp_path, monkeypatch):
    def train(workdir, steps):
        made = by_length(
            config(updates=updates, minibatches=2, ratio="sequence", normalise="sequence"),
            tmp_path,
            monkeypatch,
        )
        made.mesh.tp, made.train.steps, made.train.save_every = 2, steps, 1
        grpo.run(made, workdir)
        return [metrics.without_timing(row) for row in files.read_rows(workdir / "metrics.jsonl")]

    whole = train(tmp_path / "whole", 4)
    train(tmp_path / "parts", 2)
    parts = train(tmp_path / "parts", 4)
    assert [row["step"] for row in whole] == [0, 1, 2, 3]
    assert whole == parts
    assert whole[-1]["kl"] > whole[0]["kl"] >= 0
