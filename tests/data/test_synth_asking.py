"""Episodes of the decision to ask: what each question is worth, and that nothing leaks."""

import collections

import pytest

from pa_jax.data import requests
from pa_jax.data.synth import asking as synth_asking
from pa_jax.data.synth import truth
from pa_jax.dialogue import asking
from pa_jax.profile import taxonomy

COUNT = 300


@pytest.fixture(scope="module")
def episodes():
    return list(synth_asking.requests_of(0, COUNT, "train"))


def test_the_same_everywhere_and_held_out_requests_never_train(episodes):
    again = synth_asking.requests_of(0, COUNT, "train")
    assert again[7] == episodes[7] and len(again) == COUNT
    with pytest.raises(IndexError):
        again[COUNT]
    trained = {episode.user for episode in episodes}
    tested = {e.user for e in synth_asking.requests_of(0, COUNT, "heldout")}
    assert trained and tested and not trained & tested


def test_topics_are_distinct_names_and_asking_about_the_known_only_costs(episodes):
    by_words = {r.words: r.slots for half in requests.SPLITS for r in requests.load(half)}
    names = {slot.name: slot.path for slot in taxonomy.Taxonomy.load().subcategories}
    assert len(names) == len(taxonomy.Taxonomy.load().subcategories)
    for episode in episodes:
        assert len(set(episode.options)) == len(episode.options) == asking.OPTIONS
        needed = [s for s in by_words[episode.user] if s in truth.values_of("train")]
        for topic, worth in zip(episode.options, episode.worth, strict=True):
            slot = taxonomy.Taxonomy.load().get(names[topic])
            known = any(
                truth.statement(slot, value, truth.LIKE) in episode.profile for value in slot.values
            )
            if known or slot.path not in needed:
                assert worth == pytest.approx(-asking.COST)
            else:
                assert worth == pytest.approx(-asking.COST) or worth == pytest.approx(
                    1 / len(needed) - asking.COST
                )


def test_gold_is_the_most_valuable_action_and_all_actions_occur(episodes):
    kinds = collections.Counter()
    for episode in episodes:
        action = asking.parse(episode.gold, episode.options)
        best = max((*episode.worth, 0.0))
        got = 0.0 if action.topic is None else episode.worth[episode.options.index(action.topic)]
        assert got == pytest.approx(best)
        kinds["answer" if action.topic is None else "ask"] += 1
        kinds[f"place {episode.gold in [asking.render(asking.Action(episode.options[0]))]}"] += 1
    assert min(kinds["answer"], kinds["ask"]) > COUNT / 5
    assert kinds["place True"] < COUNT / 3  # the best topic is not always shown first
