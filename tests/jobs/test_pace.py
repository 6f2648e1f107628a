"""The pace job with random weights: what it compares is the same, what it times adds up."""

import importlib
import json

import jaxtyping
import pytest

from pa_jax.dialogue import snippet
from pa_jax.jobs import inferring, pace


@pytest.fixture
def unchecked():
    jaxtyping.config.update("jaxtyping_disable", True)  # jit.lower puts no arrays into trees
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_both_parts_compare_like_with_like(tmp_path, unchecked):
    config = importlib.import_module("configs.pace").get_config("tiny")
    config.data.heldout_users, config.agent.max_new_tokens = 5, 4
    config.infer.rows, config.users = 1, 4
    config.warm, config.turns, config.parts = 1, 2, ("infer", "turn")
    pace.run(config, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    infer, turn = report["infer"], report["turn"]
    assert infer["turns"] == 5
    assert infer["texts_that_differ"] == infer["turns_with_other_facts"] == 0
    assert turn["turns"] == 2 and 0 < turn["reply_tokens"] <= 2 * 4
    assert turn["seconds_until_first_piece"] <= turn["seconds"]
    ratio = turn["seconds"] / turn["seconds_reply_alone"]
    assert turn["added"] == pytest.approx(ratio - 1, abs=0.2 * ratio)


def test_the_store_keeps_what_is_counted(tmp_path):
    config = importlib.import_module("configs.pace").get_config("tiny")
    config.data.heldout_users, config.parts = 2, ("store",)
    config.data.seed = 2  # no fact of theirs gives way to another
    pace.run(config, tmp_path)
    stored = json.loads((tmp_path / "report.json").read_text())["store"]
    people, _, _ = inferring.read(config, tmp_path)
    golds = [snippet.parse(talk.gold(k)) for talk in people for k in range(len(talk.turns))]
    assert stored["applies"] == sum(bool(gold.statements) for gold in golds) > 0
    assert stored["facts"] == sum(len(gold.statements) for gold in golds)
    assert stored["applies_a_second"] > 0 and stored["reads_a_second"] > 0
    assert not list(tmp_path.glob("**/*.db"))


def test_unknown_parts_are_named(tmp_path):
    config = importlib.import_module("configs.pace").get_config("tiny")
    config.parts = ("speed",)
    with pytest.raises(ValueError, match="parts are of"):
        pace.run(config, tmp_path)
