"""The decision by a policy: the rule's bounds hold, and the policy's words decide within them."""

import dataclasses
import datetime
import math

import pytest

from configs import chat
from pa_jax import models
from pa_jax.agent.asking import policy, rule
from pa_jax.dialogue import asking
from pa_jax.jobs import chat as chat_job
from pa_jax.jobs import setup

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NEEDS = (("food/spice_level", 0.9), ("food/coffee", 0.6))
REQUEST = rule.Request(
    words="What should I cook, and which coffee goes with it?",
    profile=(),
    asked=frozenset(),
    declined=frozenset(),
    questions=0,
    since=0,
)


@pytest.fixture(scope="module")
def decider():
    config = chat.get_config("tiny")
    model = models.load("random:tiny", dtype="float32")
    by_rule = rule.Proactive(model, setup.section(rule.AskConfig, config.ask))
    return chat_job.asker(config, by_rule, model, None)


def ruled(**changes):
    made = rule.Decision(NEEDS, 0.0, 0.5, NEEDS[0][0], "?", "")
    return dataclasses.replace(made, **changes)


def test_the_policys_topic_is_asked_about_with_the_taxonomys_question():
    found = policy.chosen(ruled(), REQUEST, asking.Action("Coffee"))
    assert found.slot == "food/coffee" and found.question.endswith("?") and found.question != "?"
    assert math.isnan(found.value) and found.needs == NEEDS


@pytest.mark.parametrize(
    "action, changes, why",
    [
        (asking.Action(None), {}, "answers without a question"),
        (asking.ActionFailure("a topic that was not shown"), {}, "not shown"),
        (asking.Action("Coffee"), {"asked": frozenset({"food/coffee"})}, "asked about or declined"),
        (asking.Action("Coffee"), {"declined": frozenset({"food/coffee"})}, "declined"),
    ],
)
def test_otherwise_nothing_is_asked_and_it_says_why(action, changes, why):
    found = policy.chosen(ruled(), dataclasses.replace(REQUEST, **changes), action)
    assert found.slot is None and found.question is None and why in found.why


def test_a_spent_budget_and_a_wish_for_no_questions_are_not_the_policys_to_overrule(decider):
    spent = dataclasses.replace(REQUEST, questions=99, since=1)
    unwilling = dataclasses.replace(REQUEST, declined=frozenset({rule.ANY}))
    for found in decider.decide([spent, unwilling], now=NOW):
        assert found.slot is None and "policy" not in found.why


def test_the_prompt_shows_what_is_needed_and_a_random_policy_says_nothing_usable(decider):
    shown = decider.episode(REQUEST, ruled(), now=NOW)
    assert shown.options == ("Spice level", "Coffee")
    found = decider.decide([REQUEST] * 3, now=NOW)
    assert found == found[:1] * 3 or math.isnan(found[0].value)
    assert all(one.slot is None for one in found)
