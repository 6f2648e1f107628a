"""Two hundred changes of preference with gold snippets: the old fact goes, nothing else does."""

import dataclasses
import importlib
import math

import pytest

from pa_jax import models
from pa_jax.agent.inference import inferencer
from pa_jax.data import dialogues
from pa_jax.evaluate.profiles import drift, talks
from pa_jax.jobs import setup

USERS, AT_ONCE, CHANGES = 100, 64, 200


@pytest.mark.slow
def test_a_change_ends_the_old_fact_in_the_same_turn_and_touches_no_other():
    """Tiny weights: placing by words, operations and update are measured."""
    section = importlib.import_module("configs.common").inference("tiny")
    cfg = setup.section(inferencer.InferConfig, section)
    cfg = dataclasses.replace(cfg, grounding=-math.inf)
    agent = inferencer.Inferencer(models.load("random:tiny", dtype="float32"), cfg)
    people = talks.by_user(dialogues.of_users(0, USERS, "heldout", (4, 8)))
    found = drift.measure(agent, people, changes=CHANGES, users=AT_ONCE)
    assert found["gold"]["exact"]["n"] == CHANGES
    assert found["gold"]["exact"]["mean"] >= 0.99, found
    assert found["gold, other turns"]["untouched"]["mean"] >= 0.99, found
    assert found["policy"]["ended"]["mean"] < 0.5  # random weights say nothing that fits
