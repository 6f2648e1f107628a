import random

import numpy as np
import pytest

from pa_jax import judge
from pa_jax.data import dialogues, source
from pa_jax.dialogue import schema, snippet
from pa_jax.evaluate.judges import agreement, canaries, rewording
from pa_jax.judge import rubric


def test_auc_by_hand():
    # pairs: 3>1, 3>2, 2>1, 2=2 (half), 0<1, 0<2 -> 3.5 of 6
    assert agreement.auc(np.array([3.0, 2.0, 0.0]), np.array([1.0, 2.0])) == pytest.approx(3.5 / 6)
    assert np.isnan(agreement.auc(np.array([]), np.array([1.0])))


def test_win_rate_by_hand():
    assert agreement.win_rate(np.array([1.0, 0.0, 5.0]), np.array([0.0, 0.0, 9.0])) == 0.5


@pytest.fixture(scope="module")
def episodes():
    cfg = dialogues.DataConfig("synthetic", "", "", 12, 4, 3, False, "gold", 0.5)
    return list(source.open_episodes(cfg, split="train", quarantine_path=None))


def test_reference_gives_one_to_gold_and_zero_to_what_is_no_snippet(episodes):
    one = judge.Judge("reference")
    groups = [rubric.Group(e, ((), ()), (e.gold, "")) for e in episodes[:20]]
    scores = one.score(groups)
    assert (scores.values[:, 0] == 1).all() and (scores.values[:, 1] == 0).all()


def test_reference_without_gold_fails_and_is_counted():
    episode = schema.Episode("a/0", "a", (), "", "I like tea.", None)
    scores = judge.Judge("reference").score(
        [rubric.Group(episode, ((),), ("The user likes tea.",))]
    )
    assert scores.failed.all() and (scores.values == 0).all()


def test_reference_gives_statements_of_the_profile_no_consistency(episodes):
    chosen = [e for e in episodes if e.profile and e.gold != snippet.NOTHING]
    groups = [rubric.Group(e, ((), ()), (e.gold, e.profile[0])) for e in chosen]
    consistency = judge.Judge("reference").score(groups).values[..., 3]
    assert len(chosen) > 20 and (consistency[:, 0] == 1).all()
    assert consistency[:, 1].mean() < 0.2


def test_reference_knows_right_from_spoilt(episodes):
    report = agreement.measure(
        judge.Judge("reference"), episodes[:40], episodes, seed=1, words=None
    )
    assert report["items"] == 40 and report["failed"] == 0
    assert min(report["auc"].values()) > 0.95
    assert min(report["canaries_lose"].values()) >= 0.95


def test_a_judge_that_likes_everything_is_told_apart_from_a_good_one(episodes):
    class Generous:
        def score(self, groups):
            return rubric.gathered([np.ones((len(g.texts), 4)) for g in groups])

    one = judge.Judge("reference")
    one._judge = Generous()
    report = agreement.measure(one, episodes[:10], episodes, seed=1, words=None)
    assert set(report["auc"].values()) == {0.5}
    assert set(report["canaries_lose"].values()) == {0.0}


def test_cases_are_those_of_the_seed(episodes):
    first = agreement.cases(episodes[:5], episodes, seed=1)
    assert first == agreement.cases(episodes[:5], episodes, seed=1)
    assert first != agreement.cases(episodes[:5], episodes, seed=2)


def test_cases_differ_from_gold_and_from_each_other(episodes):
    for case in agreement.cases(episodes[:40], episodes, seed=1):
        assert case.texts["right"] != case.episode.gold
        spoilt = [case.texts[name] for name in rubric.CRITERIA]
        assert len({case.texts["right"], *spoilt}) == 5
        assert case.episode.profile


def test_canaries_as_they_are_named():
    episode = schema.Episode("a/0", "a", tuple("pqrst"), "", "I like\ntea.", "The user likes tea.")
    made = {name: make(episode) for name, make in canaries.CANARIES.items()}
    assert made["empty"] == "" and made["colon"] == ":" and made["copy"] == "I like tea."
    assert made["unchanged"] == "q\nr\ns\nt"
    assert "unknown" in made["unknown"] and "highest score" in made["order"]


def test_half_drops_a_statement_or_words():
    assert rewording.half("One.\nTwo.") == "One."
    assert rewording.half("The user likes green tea a lot.") == "The user likes"


def test_vague_names_no_content():
    episode = schema.Episode(
        "a/0", "a", (), "", "I like tea.", "The user likes tea.", "food/drinks"
    )
    said = {canaries.vague(episode, random.Random(k)) for k in range(40)}
    assert len(said) == len(canaries.VAGUE) and not any("tea" in text for text in said)


def test_unknown_kind_and_missing_model_say_what_to_do():
    with pytest.raises(ValueError, match="choose one of.*likelihood.*verbal"):
        judge.Judge("wise")
    with pytest.raises(ValueError, match="models.load"):
        judge.Judge("likelihood")


def test_group_needs_a_text_for_each_completion():
    episode = schema.Episode("a/0", "a", (), "", "Hi.", snippet.NOTHING)
    with pytest.raises(ValueError, match="one text for each"):
        rubric.Group(episode, ((1,), (2,)), ("a",))
