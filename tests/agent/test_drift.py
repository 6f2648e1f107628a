"""Two hundred changes of preference with gold snippets: the old fact goes, nothing else does."""

import collections
import dataclasses
import datetime
import importlib
import math

import pytest

from pa_jax import models
from pa_jax.agent import inferencer
from pa_jax.data import source
from pa_jax.jobs import infer, setup
from pa_jax.profile import facts, update

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
USERS, AT_ONCE, CHANGES = 100, 16, 200


@pytest.mark.slow
def test_a_change_ends_the_old_fact_in_the_same_turn_and_touches_no_other():
    """Tiny weights, which ground nothing: placing by words, operations and update are measured."""
    section = importlib.import_module("configs.common").inference("tiny")
    cfg = setup.section(inferencer.InferConfig, section)
    cfg = dataclasses.replace(cfg, grounding=-math.inf, rows=AT_ONCE)
    agent = inferencer.Inferencer(models.load("random:tiny", dtype="float32"), cfg)
    talks = infer.by_user(source.SyntheticDialogues(0, USERS, "heldout", (4, 8)))
    held = {talk.user: () for talk in talks}
    outcomes = collections.Counter()
    for wave in infer.waves(talks, collections.Counter(), AT_ONCE):
        turns = [talk.observed(k, held[talk.user]) for talk, k in wave]
        made = agent.read(turns, [talk.turns[k].gold for talk, k in wave])
        for (talk, k), turn, inferred in zip(wave, turns, made, strict=True):
            found = facts.Source(turn.session, k, turn.words)
            after = update.apply(
                held[talk.user], inferred.ops, user=talk.user, source=found, now=NOW
            )
            ended = {fact.statement for fact in turn.profile} - {f.statement for f in after.facts}
            if talk.turns[k].kind == "change":
                outcomes["change", ended == set(talk.turns[k].retires)] += 1
            else:
                outcomes["other", not ended] += 1
            held[talk.user] = after.facts
    right, wrong = outcomes["change", True], outcomes["change", False]
    assert right + wrong >= CHANGES
    assert right >= 0.99 * (right + wrong), outcomes
    assert outcomes["other", False] <= 0.01 * outcomes["other", True], outcomes
