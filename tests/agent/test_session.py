"""Sessions: what a turn does, and who waits for whom."""

import concurrent.futures
import datetime
import threading

import pytest

from pa_jax.agent.asking import rule
from pa_jax.infer.serving import scheduler
from pa_jax.profile import store, turns
from pa_jax.profile.db import connect
from tests.agent import scripted

SEAT, QUESTION = scripted.SEAT, scripted.QUESTION


def changes(reply):
    return [(change.event, change.fact.statement) for change in reply.updates]


def test_a_turn_learns_asks_and_answers_in_one_reply(agent):
    stream = agent.session("ann").stream("I like tea. I lie. Let us fly!")
    pieces = list(stream)
    reply = stream.reply
    assert "".join(pieces) == reply.text
    assert len(pieces) > 5
    assert reply.text == f"You said I like tea. I lie. Let us fly! I know 0\n{QUESTION}"
    assert (reply.asked, reply.question, reply.why) == (SEAT, QUESTION, "the seat is open")
    assert [(c.event, c.fact.statement) for c in reply.updates] == [
        ("added", "The user likes tea.")
    ]
    assert reply.updates[0].fact.source.quote == "I like tea. I lie. Let us fly!"
    assert reply.dropped == ("not said",)
    assert (reply.session, reply.turn) == (0, 0)


def test_each_door_is_told_of_this_user_and_this_session_only(agent, model):
    first = agent.session("ann")
    first.respond("I like tea, I fly")
    agent.session("bob").respond("I like rum")
    first.respond("what now")
    later = agent.session("ann")
    later.respond("hello again")
    assert (first.number, later.number) == (0, 1)
    contexts = [(seen.user, seen.session, seen.turn, seen.context) for seen in model.observed]
    answer = f"You said I like tea, I fly I know 0\n{QUESTION}"
    assert contexts == [
        ("ann", 0, 0, ""),
        ("bob", 0, 0, ""),
        ("ann", 0, 1, answer),
        ("ann", 1, 0, ""),
    ]
    known = ["The user likes tea."]
    history = [("user", "I like tea, I fly"), ("assistant", answer)]
    assert model.prompts[2] == (known, history, "what now", ())
    assert model.prompts[3] == (known, [], "hello again", ())
    assert model.prompts[1][0] == []


def test_the_decision_knows_what_was_asked_and_declined(agent, model):
    talk = agent.session("ann")
    for words in (
        "take me there",
        "let us fly",
        "I'd rather not say",
        "and now",
        "stop asking me!",
    ):
        talk.respond(words)
    seen = [(r.questions, r.since, r.open, set(r.asked), set(r.declined)) for r in model.requests]
    assert seen == [
        (0, 0, "", set(), set()),
        (0, 0, "", set(), set()),
        (1, 1, "let us fly", {SEAT}, {SEAT}),
        (1, 2, "", {SEAT}, {SEAT}),
        (1, 3, "", {SEAT}, {SEAT, rule.ANY}),
    ]
    assert agent.session("ann").respond("let us fly").asked is None
    assert model.requests[-1].questions == 0 and model.requests[-1].asked == {SEAT}
    assert agent.session("bob").respond("let us fly").asked == SEAT


def test_the_answer_waits_for_no_snippet_and_the_turn_for_both(profiles, model):
    wait, begun = threading.Event(), threading.Event()

    class Slow(scripted.Model):
        def infer(self, turns, *, now, seed):
            begun.set()
            assert wait.wait(20)
            return super().infer(turns, now=now, seed=seed)

    with scripted.agent(profiles, Slow()) as opened:
        stream = opened.session("ann").stream("I like tea")
        assert [next(stream) for _ in range(3)] == ["You", " said", " I"]
        assert begun.wait(20)
        (turn,) = profiles.journal.turns_of("ann")
        assert turn.stage == turns.RECEIVED
        wait.set()
        for _ in stream:
            pass
    assert [c.fact.statement for c in stream.reply.updates] == ["The user likes tea."]


def test_forgetting_by_words_and_by_command(agent, model):
    talk = agent.session("ann")
    (change,) = talk.respond("I like tea").updates
    reply = talk.respond("Please forget that.")
    assert [c.event for c in reply.updates] == ["retracted"]
    (change,) = talk.respond("I like rum").updates
    reply = talk.forget(change.fact.id)
    assert [(c.event, c.fact.statement) for c in reply.updates] == [
        ("retracted", "The user likes rum.")
    ]
    assert talk.profile() == ()
    with pytest.raises(LookupError, match="no fact '9.9.9' holds"):
        talk.forget("9.9.9")
    talk.respond("go on")
    assert model.prompts[-1][1][-2:] == [
        ("user", "I like rum"),
        ("assistant", "You said I like rum I know 0"),
    ]
    assert len(model.prompts) == 4  # no model looks at a command


def test_erase_leaves_nothing_and_the_session_goes_on(agent, profiles):
    talk = agent.session("ann")
    talk.respond("I like tea")
    receipt = talk.erase()
    assert (receipt.facts, receipt.journal, receipt.verified) == (1, 1, True)
    assert (profiles.users(), talk.said(), talk.profile()) == ((), (), ())
    assert talk.respond("hello").text == "You said hello I know 0"


def test_forget_everything_is_no_erasure(agent, profiles):
    talk = agent.session("ann")
    talk.respond("I like tea")
    talk.respond("Forget everything!")
    assert len(talk.profile()) == 1


def test_a_turn_on_which_the_models_fail_is_tried_again_and_then_left(agent, model, profiles):
    model.fail = {"I like poison": 2, "I like nitre": 9}
    talk = agent.session("ann")
    for _ in range(2):
        with pytest.raises(ArithmeticError):
            talk.respond("I like poison") if not talk.said() else talk.resume()
    (reply,) = talk.resume()
    assert [c.fact.statement for c in reply.updates] == ["The user likes poison."]
    with pytest.raises(ArithmeticError):
        talk.respond("I like nitre")
    for _ in range(2):
        with pytest.raises(ArithmeticError):
            talk.respond("I like tea")
    assert talk.respond("I like tea").text == "You said I like tea I know 1"
    assert [(turn.words, turn.failures, turn.answer) for turn in talk.said()] == [
        ("I like poison", 2, "You said I like poison I know 0"),
        ("I like nitre", 3, ""),
        ("I like tea", 0, "You said I like tea I know 1"),
    ]


def test_a_listener_who_leaves_gets_what_was_said_so_far(agent, model):
    talk = agent.session("ann")
    stream = talk.stream("I like tea")
    assert [next(stream) for _ in range(2)] == ["You", " said"]
    with pytest.raises(RuntimeError, match="the reply is not done"):
        _ = stream.reply
    stream.close()
    (turn,) = talk.said()
    assert (turn.stage, turn.answer) == (turns.REPLIED, "You said")
    talk.respond("go on")
    assert model.observed[-1].context == "You said"


@pytest.mark.parametrize("leaves", [False, True])
def test_what_is_said_can_be_asked_for_until_the_journal_has_it(agent, monkeypatch, leaves):
    """Else a page that is opened at that moment is told that nobody has answered."""
    journal, seen = agent.profiles.journal, []
    kept = journal.replied

    def replied(turn, text, **how):
        seen.append((agent.answering.said(turn), text))
        return kept(turn, text, **how)

    monkeypatch.setattr(journal, "replied", replied)
    stream = agent.session("ann").stream("I like tea.")
    pieces = [next(stream), next(stream)] if leaves else list(stream)
    stream.close()
    assert seen == [("".join(pieces), "".join(pieces))]
    (turn,) = journal.turns_of("ann")
    assert turn.reply == "".join(pieces) and agent.answering.said(turn) is None


def test_a_listener_who_leaves_before_the_question_keeps_the_answer(agent):
    talk = agent.session("ann")
    stream = talk.stream("let us fly")
    while next(stream) != f"\n{QUESTION}":
        pass
    stream.close()
    (turn,) = talk.said()
    assert (turn.stage, turn.answer) == (turns.REPLIED, "You said let us fly I know 0")


def test_a_message_without_words_is_refused(agent, profiles):
    for text in ("", " \n", "\0\x1b"):
        with pytest.raises(ValueError, match="the message has no words"):
            agent.session("ann").stream(text)
    assert profiles.users() == ()


@pytest.mark.parametrize("back", [datetime.timedelta(hours=1), datetime.timedelta(days=400)])
def test_a_clock_that_runs_back_stops_nobody(agent, profiles, model, back):
    talk = agent.session("ann")
    talk.respond("I like tea")
    agent.clock.now -= back
    reply = talk.respond("I like rum")
    assert [change.event for change in reply.updates] == ["added"]
    assert len(talk.profile()) == 2
    assert talk.respond("let us fly").asked == SEAT
    assert len(model.requests[-1].profile) == 2  # what was decided knew of both
    begun = [turn.times[0] for turn in talk.said()]
    assert begun == sorted(begun)


def test_a_full_queue_is_waited_for_and_then_told(profiles, model):
    full = [3]

    class Full(scripted.Model):
        def submit(self, prompt_ids, **how):
            full[0] -= 1
            if full[0] >= 0:
                raise scheduler.Busy("full")
            return super().submit(prompt_ids, **how)

    with scripted.agent(profiles, Full()) as opened:
        assert opened.session("ann").respond("hi").text == "You said hi I know 0"
    full[0] = 10**6
    with scripted.agent(profiles, Full(), wait_seconds=0.05) as opened:
        with pytest.raises(scheduler.Busy):
            opened.session("ann").respond("hi")
    (turn,) = profiles.journal.unfinished("ann")
    assert turn.failures == 0  # it is not the turn's fault


def test_sessions_of_one_user_take_turns_and_those_of_others_do_not_wait(profiles, model):
    together, most = threading.Barrier(2, timeout=20), {}

    class Slow(scripted.Model):
        inside = []

        def prompt(self, profile, history, words, **rest):
            user = words.split()[0]
            self.inside.append(user)
            most[user] = max(most.get(user, 0), self.inside.count(user))
            if words.endswith("0"):
                together.wait()  # both users are at this point at once, or this breaks
            self.inside.remove(user)
            return super().prompt(profile, history, words, **rest)

    def talk(user):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            sessions = [opened.session(user) for _ in range(4)]
            said = [f"{user} says {n}" for n in range(4)]
            list(pool.map(lambda pair: pair[0].respond(pair[1]), zip(sessions, said, strict=True)))

    with scripted.agent(profiles, Slow()) as opened:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(talk, ["ann", "bob"]))
    assert most == {"ann": 1, "bob": 1}
    for user in ("ann", "bob"):
        spans = sorted((t.times[0], t.times[-1]) for t in profiles.journal.turns_of(user))
        assert len(spans) == 4
        assert all(end < start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))


def test_another_process_in_a_turn_is_waited_for_and_then_named(url, agent, profiles):
    other = store.ProfileStore(url)
    with scripted.agent(profiles, wait_seconds=0.05) as hasty:
        with other.turn_of("ann", wait_seconds=1.0):
            with pytest.raises(connect.StoreError, match="another session of user 'ann' has been"):
                hasty.session("ann").respond("hi")
            hasty.session("bob").respond("hi")
    assert profiles.users() == ("bob",)
    other.close()
