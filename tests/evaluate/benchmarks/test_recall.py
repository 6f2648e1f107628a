"""Unseen users and long horizons: who is asked what, and what the agent brings."""

import collections
import dataclasses
import datetime

import pytest

from pa_jax.agent.asking import rule
from pa_jax.agent.inference import draft, inferencer
from pa_jax.data import dialogues, quarantine
from pa_jax.data.synth import truth
from pa_jax.data.synth import users as synth_users
from pa_jax.dialogue import schema, snippet
from pa_jax.evaluate.asking import simulated
from pa_jax.evaluate.benchmarks import recall
from pa_jax.evaluate.systems import baselines, personal_agent
from pa_jax.jobs import configs, setup
from pa_jax.profile import facts, taxonomy, update

CFG = recall.RecallConfig(
    users=24, turns=(1, 4, 20), questions=4, untold=0, chunk=2, path="", seed=0
)


def test_the_unseen_hold_nothing_that_training_ever_shows():
    cfg = dialogues.DataConfig("unseen", "", "", 90, 90, 0, False, "gold", 0.5)
    slots, lines = {}, {}
    for split in ("train", "heldout"):
        parts = dialogues.open_dialogues(cfg, split=split, quarantine=quarantine.Quarantine(None))
        turns = [turn for part in parts for dialogue in part for turn in dialogue.turns]
        slots[split] = {turn.slot for turn in turns} - {""}
        lines[split] = {line for turn in turns for line in turn.gold.splitlines()}
    assert len(slots["train"]) > 80 and len(slots["heldout"]) > 50
    assert not slots["train"] & slots["heldout"]
    assert lines["train"] & lines["heldout"] == {snippet.NOTHING}


@pytest.mark.parametrize("split", ["unseen", "train"])
def test_questions_are_about_what_holds_at_that_turn(split):
    """Against the gold lines of the turns, walked one by one."""
    found = recall.moments(CFG, split)
    assert {moment.turns for moment in found} == {1, 4, 20}
    changed = 0
    for moment in found:
        index = int(moment.user.rsplit("-", 1)[1])
        dialogue = synth_users.dialogue(0, index, split=split, size=(2, 10))
        lines: list[str] = []
        for turn in dialogue.turns[: moment.turns]:
            new = snippet.parse(turn.gold).statements
            lines = [line for line in lines if line not in turn.retires] + list(new)
        said = [m.content for m in moment.history if m.role == "user"]
        assert said == [turn.user for turn in dialogue.turns[: moment.turns]]
        assert 0 < len(moment.questions) <= CFG.questions
        for question in moment.questions:
            slot = taxonomy.Taxonomy.load().get(question.id.split(f"/T{moment.turns}/")[1])
            assert question.gold in lines
            assert question.gold in truth.golds(slot.path, question.options[0], truth.LIKE)
            assert len(set(question.options)) == 4 and set(question.options) <= set(slot.values)
            changed += bool(question.old)
            assert question.old in ("", *question.options[1:])
    assert changed


def test_what_was_not_told_yet_is_asked_about_apart():
    cfg = dataclasses.replace(CFG, turns=(0, 4), questions=2, untold=3)
    found = recall.moments(cfg, "unseen")
    assert {moment.turns for moment in found} == {0, 4}
    told = {True: 0, False: 0}
    for moment in found:
        index = int(moment.user.rsplit("-", 1)[1])
        _, shown = synth_users.told(0, index, split="unseen", size=(1, 10))
        for question in moment.questions:
            slot = taxonomy.Taxonomy.load().get(question.id.split(f"/T{moment.turns}/")[1])
            turns = [fact.turn for fact in shown if fact.slot == slot.path]
            assert (question.age >= 1) == (min(turns) < moment.turns)
            assert truth.capital(question.options[0]) in moment.person.reply(slot.path)
            told[question.age >= 1] += 1
    assert all(told.values())
    assert all(m.history == () for m in found if m.turns == 0)


def test_noise_stands_between_what_was_told_and_the_question(tools):
    """The same users and questions at every level, and the first N pairs each time."""
    said = tuple(
        schema.Message(role, f"Pair {n}, by the {role}.")
        for n in range(3)
        for role in ("user", "assistant")
    )
    cfg = dataclasses.replace(CFG, users=12, turns=(4,), questions=1, noise=(0, 1, 3))
    task = recall.Recall(cfg, recall.moments(cfg, "train", said), name="noise")
    plain = {m.user: m for m in recall.moments(dataclasses.replace(cfg, noise=(0,)), "train")}
    assert plain and [m.noise for m in task.moments] == [n for n in (0, 1, 3) for _ in plain]
    for moment in task.moments:
        told = plain[moment.user]
        assert moment.history == told.history + said[: 2 * moment.noise]
        assert [q.text for q in moment.questions] == [q.text for q in told.questions]
    chosen = baselines.choose(("full_history", "oracle"))
    rows = [r for chunk in task.chunks() for of in task.run(chunk, chosen, tools, {}) for r in of]
    assert {row["part"] for row in rows} == {"T=4 N=0", "T=4 N=1", "T=4 N=3"}
    assert len({(row["system"], row["id"]) for row in rows}) == len(rows)
    assert collections.Counter(row["cut"] > 0 for row in rows if row["system"] == "oracle") == {
        False: len(rows) // 2
    }


def test_a_row_a_question_with_a_new_session_before_it(tools):
    cfg = dataclasses.replace(CFG, users=8, turns=(4,), questions=2)
    task = recall.Recall(cfg, recall.moments(cfg, "unseen"), name="unseen")
    chosen = baselines.choose(("zero_shot", "oracle"))
    requests = task._requests(task.moments[0])
    (alone,) = baselines.zero_shot(requests[:1], tools.model, tools.cfg)
    assert len(alone) == 2  # a new session: nothing was said in it
    (told,) = baselines.oracle(requests[:1], tools.model, tools.cfg)
    assert task.moments[0].questions[0].gold in told[0].content
    rows = [
        row
        for chunk in task.chunks()
        for made in task.run(chunk, chosen, tools, {})
        for row in made
    ]
    ids = [one for chunk in task.chunks() for one in chunk.ids]
    assert collections.Counter(row["id"] for row in rows) == dict.fromkeys(ids, 2)
    assert {row["part"] for row in rows} == {"T=4"}
    by_id = {q.id: q for moment in task.moments for q in moment.questions}
    for row in rows:
        question = by_id[row["id"]]
        assert row["text"] in question.options and row["right"] == question.options[0]
        assert row["measures"]["accuracy"] == (row["text"] == row["right"])
    assert not any(option in alone[-1].content for option in by_id[requests[0].id].options)


INFER = inferencer.InferConfig(
    rows=2,
    prompt_tokens=512,
    max_new_tokens=8,
    profile_chars=100,
    context_chars=50,
    user_chars=100,
    examples=(),
    grounding=-100.0,
    stated=0.1,
    place_lexical=20.0,
    place_sure=0.0,
    place_categories=2,
    place_least=6.0,
)


ASK = setup.section(rule.AskConfig, configs.load("eval:tiny").ask)


def history(*texts):
    return tuple(schema.Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts))


def test_the_agents_profile_is_that_of_its_turns_one_by_one(tiny, tools):
    """Batched over requests with shared beginnings, against one inference a turn."""
    agent = personal_agent.PersonalAgent(INFER, ASK)
    talks = [
        history("I love tea.", "Nice.", "I hate rain.", "Oh."),
        history("I love tea.", "Nice.", "My job is hard.", "Oh."),
        history("I love tea.", "Nice."),
        (),
    ]
    requests = [baselines.Request(str(i), talk, "Well?") for i, talk in enumerate(talks)]
    got = agent.profiles(requests, tools.model, tools.cfg)
    assert [counts["turns"] for _, counts in got] == [2, 2, 1, 0]
    infers = inferencer.Inferencer(tiny, INFER)
    for talk, (held, _) in zip(talks, got, strict=True):
        want: tuple[facts.Fact, ...] = ()
        for number, (context, words) in enumerate(baselines.turns_of(talk)):
            days = number / tools.cfg.turns_a_day
            now = personal_agent.START + datetime.timedelta(days=days)
            turn = draft.Observed("u", 0, number, context, words, want)
            (made,) = infers.infer([turn], now=now, seed=0)
            origin = facts.Source(0, number, words)
            want = update.apply(want, made.ops, user="u", source=origin, now=now).facts
        assert [f.statement for f in held] == [f.statement for f in want]
    chats = agent.prompts(requests, tools.model, tools.cfg)
    for (held, _), chat in zip(got, chats, strict=True):
        assert all(f.statement in chat[0].content for f in held)
    figures = agent.figures(requests[0], tools.model, tools.cfg)
    assert figures["profile_held"] == len(got[0][0])


def test_the_asking_agent_hears_its_user_before_it_answers(tools):
    """What it asks is the decider's choice, its chat the plain agent's with the answer behind."""
    always = dataclasses.replace(ASK, cost=0.0, cooldown=0, budget=2)
    agent = personal_agent.PersonalAgent(INFER, always)
    seat = taxonomy.Taxonomy.load().get("travel/flight_seat")
    person = simulated.Person("p", {seat.path: seat.values[0]}, frozenset(), ())
    talk = history("I love tea.", "Nice.")
    question = recall.QUESTION.format(when=seat.when)
    asked = baselines.Request("a", talk, question, " A or B?", session=2, person=person)
    nobody = dataclasses.replace(asked, id="n", person=None)
    plain, quiet = agent.asking().prompts([asked, nobody], tools.model, tools.cfg)
    assert quiet == agent.prompts([nobody], tools.model, tools.cfg)[0]
    shown = [message.content for message in plain]
    assert shown[-1] == question + " A or B?"
    assert shown[-2] == personal_agent.NOTED and shown[-3] in (
        person.reply(slot.path) for slot in taxonomy.Taxonomy.load().subcategories
    )
    figures = agent.asked_figures(asked, tools.model, tools.cfg)
    assert figures["questions"] == 2
    assert agent.asked_figures(nobody, tools.model, tools.cfg)["questions"] == 0
    never = personal_agent.PersonalAgent(INFER, dataclasses.replace(ASK, budget=0))
    assert never.asking().prompts([asked], tools.model, tools.cfg) == [quiet]
