"""Bias checks on judges whose bias is known."""

import random

import numpy as np
import pytest

from pa_jax import judge
from pa_jax.data import dialogues, source
from pa_jax.dialogue import snippet
from pa_jax.english import statements
from pa_jax.evaluate.judges import agreement, bias
from pa_jax.judge import rubric


@pytest.fixture(scope="module")
def made():
    cfg = dialogues.DataConfig("synthetic", "", "", 8, 4, 3, False, "gold", 0.5)
    episodes = list(source.open_episodes(cfg, split="train", quarantine_path=None))
    return agreement.cases(episodes[:20], episodes, seed=1)


def judging(score):
    """A judge whose ratings are `score(group)`, [g], on all criteria."""

    class Fixed:
        def score(self, groups):
            return rubric.gathered([np.repeat(score(g)[:, None], 4, axis=1) for g in groups])

    one = judge.Judge("reference")
    one._judge = Fixed()
    return one


def by_length(group):
    return np.array([len(text) / 1000 for text in group.texts])


def by_place(group):
    return 1 - np.arange(len(group.texts)) / len(group.texts)


def test_padding_adds_words_and_keeps_a_snippet_one(made):
    for case in made:
        right = case.texts["right"]
        long = bias.padded(right, random.Random(1))
        assert len(long.split()) > len(right.split()) + 8
        assert len(snippet.parse(long).statements) == len(snippet.parse(right).statements)
        assert statements.content(right) <= statements.content(long)
    assert bias.padded("x" * 395, random.Random(1)) == "x" * 395


def test_a_judge_of_length_is_found_out(made):
    found = bias.length(judging(by_length), made, None, seed=0)
    assert found["padded_wins"] == 1 and found["padded_gain"] > 0.03
    assert found["correlation"] > 0.8
    fair = bias.length(judge.Judge("reference"), made, None, seed=0)
    assert fair["padded_wins"] < 0.1 and fair["padded_gain"] < 0


def test_a_judge_of_places_is_found_out(made):
    found = bias.position(judging(by_place), made, None)
    assert found["flips"] == 1
    # places 1, .8, .6, .4, .2 against their reverse: (.8 + .4 + 0 + .4 + .8) / 5
    assert found["moved"] == pytest.approx(0.48, abs=1e-6)
    fair = bias.position(judge.Judge("reference"), made, None)
    assert fair == {"moved": 0.0, "flips": 0.0}


def test_a_judge_that_favours_its_own_is_found_out(made):
    own = ["The user has some preferences." for _ in made]
    mine = judging(lambda group: np.array([float(text in own) for text in group.texts]))
    found = bias.self_preference(mine, made, own, None)
    assert found["judge"] == 1 and found["excess"] > 0.9
    fair = bias.self_preference(judge.Judge("reference"), made, own, None)
    assert fair["excess"] == 0 and fair["reference"] < 0.1


def test_failed_verdicts_are_left_out(made):
    silent = judging(lambda group: np.full(len(group.texts), np.nan))
    assert np.isnan(list(bias.position(silent, made, None).values())).all()
    assert np.isnan(list(bias.length(silent, made, None, seed=0).values())).all()
