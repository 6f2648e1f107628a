"""Each canary is what its name says, and loses; copies of the turn earn nothing on any judge."""

import dataclasses

import numpy as np
import pytest

from pa_jax import judge, models
from pa_jax.data import dialogues, source
from pa_jax.dialogue import faults, schema, snippet
from pa_jax.evaluate.judges import agreement, canaries
from pa_jax.judge import contexts, reference, rubric

EPISODE = schema.Episode(
    id="a/0",
    user_id="a",
    profile=("The user has a cat.", "The user likes jazz."),
    context="Where shall we go?",
    user="I'm allergic to peanuts. Which snacks are safe on a hike?",
    gold="The user is allergic to peanuts.",
    slot="health/allergies",
)
COMEDIES = "The user likes comedies."
OTHER = "The user prefers aisle seats."
MADE = {name: make(EPISODE) for name, make in canaries.CANARIES.items()}


@pytest.fixture(scope="module")
def episodes():
    cfg = dialogues.DataConfig("synthetic", "", "", 40, 4, 3, False, "gold", 0.5)
    return list(source.open_episodes(cfg, split="train", quarantine_path=None))


@pytest.fixture(scope="module")
def cases(episodes):
    return agreement.cases(episodes[::3][:120], episodes, seed=1)


@pytest.fixture(scope="module")
def tiny():
    return models.load("random:tiny", dtype="float32")


def scored(kind, texts, episode=EPISODE, model=None):
    """Scores [texts, 4] of one group."""
    words = None if model is None else model.tokenizer
    group = agreement.group(episode, texts, words)
    scores = judge.Judge(kind, model=model).score([group])
    assert not scores.failed.any()
    return scores.values[0]


def test_canaries_are_what_they_are_called():
    assert MADE["copy"] == EPISODE.user and MADE["quoted"] == f'"{EPISODE.user}"'
    assert MADE["known"] == "The user likes jazz."
    assert MADE["known_turned"] == "The user would hate jazz."
    assert MADE["request"] == "The user wants to know which snacks are safe on a hike."
    assert MADE["wrong_stance"] == "The user is perfectly fine with peanuts."
    assert MADE["plus_known"] == "The user is allergic to peanuts.\nThe user likes jazz."
    told = dataclasses.replace(EPISODE, user="Peanuts are out.")
    assert canaries.request(told) == "The user asks for ideas about allergies."
    own = dataclasses.replace(
        EPISODE, gold="I can't eat peanuts.", profile=("I can't eat peanuts.",)
    )
    assert canaries.honest(own) == "The user can't eat peanuts."


def test_traps_put_another_users_statement_into_the_turn_or_the_message_answered():
    episode, text = canaries.TRAPS["another_person"](EPISODE, OTHER)
    assert text == OTHER and episode.user.endswith("hike? My sister prefers aisle seats.")
    episode, text = canaries.TRAPS["assistant"](EPISODE, OTHER)
    assert text == OTHER and episode.context == "Where shall we go? Somebody prefers aisle seats."
    assert episode.user == EPISODE.user


@pytest.mark.parametrize(
    "name",
    [n for n in canaries.CANARIES if n not in ("empty", "colon", "unknown", "order", "unchanged")],
)
def test_a_canary_earns_little_of_what_the_honest_note_earns(name, cases):
    """On the reference judge: loses nearly always, and by far."""
    right, spoilt = [], []
    for case in cases:
        right.append(np.mean(reference.agreement(case.episode, case.texts["right"])))
        spoilt.append(np.mean(reference.agreement(case.episode, case.texts[name])))
    right, spoilt = np.array(right), np.array(spoilt)
    assert (spoilt < right).mean() >= 0.98
    most = {"plus_known": 0.62}.get(name, 0.15)
    assert spoilt.mean() < most < right.mean()


def test_traps_lose_on_the_reference_judge(cases, episodes):
    shares = agreement.trapped(judge.Judge("reference"), cases, None)
    assert set(shares) == set(canaries.TRAPS) and min(shares.values()) >= 0.98
    many = agreement.cases(episodes, episodes, seed=1)  # of 120 the mean is sure to 0.02 alone
    for make in canaries.TRAPS.values():
        earned = []
        for case in many:
            episode, text = make(case.episode, case.texts["no_hallucination"].splitlines()[-1])
            earned.append(np.mean(reference.agreement(episode, text)))
        assert np.mean(earned) < 0.15, make


def test_a_turned_stance_earns_nothing_on_the_reference_judge(cases):
    assert scored("reference", (MADE["wrong_stance"],)).tolist() == [[0, 0, 0, 0]]
    turned = [
        reference.agreement(case.episode, case.texts["wrong_stance"])
        for case in cases
        if case.texts["wrong_stance"] != case.episode.gold
    ]
    assert np.mean(turned) < 0.05 and np.mean(turned, axis=0)[[0, 3]].max() < 0.05


def test_a_right_note_said_otherwise_is_seldom_taken_for_turned(cases):
    wrong = [
        any(reference.turns_round(line, c.episode.gold) for line in c.texts["right"].splitlines())
        for c in cases
    ]
    assert np.mean(wrong) < 0.02


@pytest.mark.parametrize(
    ("line", "gold", "is_turned"),
    [
        ("The user likes peanuts.", "The user is allergic to peanuts.", True),
        ("The user avoids peanuts.", "The user is allergic to peanuts.", False),
        ("The user does not eat eggs.", "The user eats eggs.", True),
        ("The user likes thrillers.", f"The user no longer likes thrillers.\n{COMEDIES}", True),
        (COMEDIES, f"The user no longer likes thrillers.\n{COMEDIES}", False),
        ("The user hates golf.", "The user likes tea.", False),  # about something else
    ],
)
def test_lines_that_turn_gold_round(line, gold, is_turned):
    assert reference.turns_round(line, gold) == is_turned


@pytest.mark.parametrize("kind", ["reference", "likelihood", "verbal"])
def test_copies_of_the_turn_earn_nothing_on_any_judge(kind, tiny):
    model = None if kind == "reference" else tiny
    copies = (
        EPISODE.user,
        EPISODE.user.upper(),
        f'"{EPISODE.user}"',
        f"The user says: “{EPISODE.user}”",
        EPISODE.user.removesuffix("ke?"),  # cut in its last word
    )
    texts = (*copies, "The user is allergic to peanuts")
    scores = scored(kind, texts, model=model)
    assert (scores[:-1] == 0).all()
    assert contexts.settled(EPISODE, texts[-1]) is None  # the judge's own affair
    third = dataclasses.replace(EPISODE, user="Trains.", gold="The user takes trains.")
    assert (scored(kind, ("Trains", "Trains."), third, model) == 0).all()
    assert kind == "likelihood" or scores[-1].max() > 0  # random weights may find no sense in it


@pytest.mark.parametrize("kind", ["reference", "likelihood", "verbal"])
def test_where_gold_is_the_turn_itself_saying_it_is_no_copy(kind, tiny):
    """PrefEval's golds are the user's own sentences."""
    own = dataclasses.replace(EPISODE, user="I hate flying.", gold="I hate flying.")
    model = None if kind == "reference" else tiny
    texts = ("I hate flying.", "I hate flying", '"I hate flying."')
    assert [contexts.settled(own, text) for text in texts] == [None, None, 0.0]
    scores = scored(kind, texts, own, model)
    assert (scores[2] == 0).all()
    assert kind == "likelihood" or scores[:2].max(axis=-1).min() > 0


@pytest.mark.parametrize("kind", ["likelihood", "verbal"])
def test_consistency_is_never_more_than_the_turn_carries(kind, tiny):
    texts = ("The user is allergic to nuts.", MADE["known"], MADE["plus_known"], MADE["request"])
    scores = scored(kind, texts, model=tiny)
    assert (scores[:, 3] <= scores[:, 1] + 1e-6).all()


def test_carried_by_hand():
    scores = np.array([[1.0, 0.5, 0.2, 0.8], [1.0, 0.0, 1.0, 1.0]])
    np.testing.assert_allclose(
        contexts.carried(scores), [[1.0, 0.5, 0.2, 0.4], [1.0, 0.0, 1.0, 0.0]]
    )
    assert scores[0, 3] == 0.8  # what it was given stays as it was


@pytest.mark.parametrize(
    ("text", "turn", "is_copy"),
    [
        ("I like tea", "I like tea!", True),
        ("i LIKE\ntea.", "I like tea.", True),
        ("I like te", "I like tea.", True),
        ("I like", "I like tea.", False),
        ("The user likes tea.", "I like tea.", False),
        ("", "", False),
        ("I like coffee", "I like tea", False),
    ],
)
def test_what_is_a_copy_of_the_turn(text, turn, is_copy):
    assert snippet.copies(text, turn) == is_copy


def test_examples_stand_for_each_criterion():
    for one in rubric.RUBRIC:
        assert "is 5" in one.example and ("is 1" in one.example or "is 2" in one.example)


@pytest.mark.parametrize("nothing", [snippet.NOTHING, "No new preference", "no new preferences."])
def test_nothing_to_note_is_read_as_people_write_it(nothing):
    episode = dataclasses.replace(EPISODE, gold=nothing)
    assert contexts.settled(episode, "No new preference.") == 1.0
    assert contexts.settled(episode, "The user likes tea.") == 0.0
    assert faults.copies(dataclasses.replace(episode, profile=(nothing,)), nothing) == []
