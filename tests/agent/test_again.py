"""What is done again: facts added and undone, a turn said or answered anew; replies as heard."""

import itertools
import pathlib

import pytest

from pa_jax.agent import handle, session
from pa_jax.profile import editing, store, turns, undo, update
from tests.agent import scripted

TEA, RUM = "The user likes tea.", "The user likes rum."


def statements(talk):
    return [fact.statement for fact in talk.profile()]


def said(talk):
    return [(turn.words, turn.reply) for turn in talk.said() if turn.words]


def test_a_fact_is_added_in_the_users_words_once(agent):
    talk = agent.session("ann")
    reply = talk.add("I'm allergic to peanuts")
    (fact,) = talk.profile()
    assert (fact.statement, fact.authority) == ("The user is allergic to peanuts.", "stated")
    assert fact.slot == "food/allergies" and fact.source.quote == fact.statement
    assert [change.event for change in reply.updates] == ["added"]
    with pytest.raises(editing.WrongStatement, match="says that already"):
        talk.add("I am allergic to peanuts.")
    with pytest.raises(editing.WrongStatement, match="no single statement"):
        talk.add("Bob likes rum")
    assert len(talk.said()) == 1


def test_an_undo_puts_facts_back_as_they_were_and_can_be_undone(agent, profiles):
    talk = agent.session("ann")
    old = talk.respond("I like tea").updates[0].fact
    edit = talk.edit(old.id, "I prefer green tea")
    reply = talk.undo((edit.session, edit.turn))
    assert talk.profile() == (old,)  # with its words, its time and its certainty
    assert sorted(change.event for change in reply.updates) == ["restored", "undone"]
    talk.undo((reply.session, reply.turn))
    assert statements(talk) == ["The user prefers green tea."]
    gone = talk.forget(talk.profile()[0].id)
    talk.undo((gone.session, gone.turn))
    assert statements(talk) == ["The user prefers green tea."]
    exported = profiles.export("ann")
    profiles.erase("ann")
    profiles.import_(exported, now=agent.clock())
    assert profiles.export("ann") == exported


def test_an_undo_that_cannot_be_says_why_and_leaves_no_turn(agent):
    talk = agent.session("ann")
    first = talk.respond("I like tea")
    talk.forget(first.updates[0].fact.id)
    nothing = talk.respond("go on")
    before = talk.said()
    with pytest.raises(undo.CannotUndo, match="changed again since"):
        talk.undo((first.session, first.turn))
    for turn in ((nothing.session, nothing.turn), (7, 7)):
        with pytest.raises(undo.CannotUndo, match="nothing to undo"):
            talk.undo(turn)
    with pytest.raises(undo.CannotUndo, match="nothing to undo"):
        agent.session("bob").undo((first.session, first.turn))
    assert talk.said() == before and agent.session("bob").profile() == ()


def test_undoing_fills_no_slot_beyond_its_bounds(agent, monkeypatch):
    monkeypatch.setattr(update, "MAX_STATED", 2)
    monkeypatch.setattr(update, "MAX_OTHER", 2)
    talk = agent.session("ann")
    gone = [talk.respond("I like tea"), talk.respond("I like rum")]
    forgotten = [talk.forget(reply.updates[0].fact.id) for reply in gone]
    talk.respond("I like gin")
    talk.undo((forgotten[0].session, forgotten[0].turn))
    with pytest.raises(undo.CannotUndo, match="holds 2 facts, at most 2"):
        talk.undo((forgotten[1].session, forgotten[1].turn))
    assert sorted(statements(talk)) == ["The user likes gin.", TEA]


def test_a_turn_said_anew_takes_back_what_it_and_later_ones_taught(agent, model):
    talk = agent.session("ann")
    talk.respond("hello")
    talk.respond("I like tea")
    talk.add("I like sake very much")
    talk.respond("I like rum")
    stream = talk.stream("I like gin", replaces=1)
    for _ in stream:
        pass
    assert [words for words, _ in said(talk)] == ["hello", "I like gin"]
    assert sorted(statements(talk)) == ["The user likes gin.", "The user likes sake very much."]
    history = [("user", "hello"), ("assistant", "You said hello I know 0")]
    assert model.prompts[-1][1] == history  # the model does not see what was taken back
    talk.respond("I like tea")  # it was not forgotten: it may be learnt again
    assert TEA in statements(talk)
    with pytest.raises(session.NoSuchTurn, match="no turn 1 "):
        next(talk.stream("and now", replaces=1))


def test_the_last_turn_is_answered_anew_and_nothing_is_learnt_twice(agent, model, profiles):
    talk = agent.session("ann")
    talk.respond("I like tea, let us fly")
    history = profiles.history("ann")
    model.prompt = lambda *_, **__: list(b"Something else")
    stream = talk.stream("I like tea, let us fly", replaces=0)
    assert "".join(stream) == f"Something else\n{scripted.QUESTION}"
    assert stream.reply.turn == 0 and [c.fact.statement for c in stream.reply.updates] == [TEA]
    assert said(talk) == [("I like tea, let us fly", stream.reply.text)]
    assert profiles.history("ann") == history and len(model.observed) == 1


def test_what_was_replaced_stays_nowhere(agent, profiles, url):
    talk = agent.session("ann")
    talk.respond("I like marzipanschnitzel")
    for _ in talk.stream("I like rum", replaces=0):
        pass
    assert "marzipanschnitzel" in str(profiles.export("ann"))  # in the history of facts
    talk.erase()
    profiles.close()
    path = pathlib.Path(url.removeprefix("sqlite:///"))
    files = [path, *path.parent.glob(f"{path.name}-*")]
    assert not any(b"marzipanschnitzel" in file.read_bytes() for file in files)


@pytest.mark.parametrize("leaves_after", range(9))
def test_the_saved_reply_is_what_was_streamed_whenever_the_listener_leaves(agent, leaves_after):
    """Seven pieces and a question: it is saved only where it was heard."""
    who = handle.ReplyHandle()
    talk = agent.session("ann")
    stream = talk.stream("let us fly, please", who)
    heard = list(itertools.islice(stream, leaves_after))
    who.leave()
    heard += list(stream)
    (turn,) = talk.said()
    assert turn.reply == "".join(heard)
    assert (turn.asked is not None) == (scripted.QUESTION in turn.reply)


def test_a_reply_longer_than_is_kept_ends_in_the_stream_as_in_the_journal(profiles):
    class Endless(scripted.Model):
        def submit(self, prompt_ids, **how):
            return scripted.Ticket(["long" * 100] * 60)

    with scripted.agent(profiles, Endless()) as opened:
        talk = opened.session("ann")
        heard = "".join(talk.stream("tell me"))
        (turn,) = talk.said()
    assert len(heard) == turns.MAX_TEXT_CHARS and turn.reply == heard


def test_what_was_said_so_far_is_told_while_a_turn_is_answered(agent):
    talk = agent.session("ann")
    stream = talk.stream("hello there")
    heard = next(stream) + next(stream)
    (turn,) = talk.said()
    assert turn.reply is None and agent.answering.said(turn) == heard
    for _ in stream:
        pass
    assert agent.answering.said(turn) is None


def test_a_replaced_turn_of_an_old_database_is_gone_too(url):
    """The store needs no new table for any of it: a file of before opens and goes on."""
    profiles = store.ProfileStore(url)
    with scripted.agent(profiles) as opened:
        reply = opened.session("ann").respond("I like tea")
    profiles.close()
    again = store.ProfileStore(url)
    with scripted.agent(again) as opened:
        opened.session("ann", 0).undo((reply.session, reply.turn))
        assert opened.session("ann").profile() == ()
    again.close()
