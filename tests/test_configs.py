"""Every config loads with each of its presets, and its sections fit the dataclasses they feed."""

import importlib
import pathlib

import pytest

from configs import common
from pa_jax.agent import reply_prompt, turn
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import inferencer
from pa_jax.data import dialogues
from pa_jax.dialogue import prompts
from pa_jax.evaluate import heldout
from pa_jax.jobs import setup, table, warm
from pa_jax.rl import advantage, learner, loss
from pa_jax.serve import limits
from pa_jax.train import loop, optimizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = sorted(p.stem for p in (ROOT / "configs").glob("*.py") if p.stem != "common")
SECTIONS = {
    "data": dialogues.DataConfig,
    "prompt": prompts.PromptConfig,
    "optim": optimizer.OptimConfig,
    "train": loop.LoopConfig,
    "rollout": learner.RolloutConfig,
    "reward": advantage.RewardConfig,
    "loss": loss.LossConfig,
    "infer": inferencer.InferConfig,
    "ask": rule.AskConfig,
    "reply": reply_prompt.ReplyConfig,
    "agent": turn.AgentConfig,
    "limits": limits.Limits,
}


WITHOUT_PRESETS = ("export", "report", "review")


def presets(name):
    """The default config and that of every preset; a config without presets refuses them all."""
    module = importlib.import_module(f"configs.{name}")
    yield module.get_config()
    for preset in common.PRESETS:
        try:
            yield module.get_config(preset)
        except ValueError:
            assert preset != "smollm2" or name in WITHOUT_PRESETS


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_names_a_job_and_fills_its_sections(name):
    for config in presets(name):
        assert config.job in table.JOBS
        for key, kind in SECTIONS.items():
            if key in config:
                setup.section(kind, config[key])
        if "train" in config:
            setup.section(heldout.EvalConfig, config.eval)
        if config.job == "grpo":
            setup.section(warm.WarmConfig, config.warm)


def test_a_misspelt_key_is_an_error_not_a_default():
    config = importlib.import_module("configs.grpo").get_config()
    config.rollout.grup = 8
    with pytest.raises(ValueError, match="grup"):
        setup.section(learner.RolloutConfig, config.rollout)


def test_unknown_preset_names_the_choices():
    with pytest.raises(ValueError, match="smollm2"):
        importlib.import_module("configs.grpo").get_config("smollm")
