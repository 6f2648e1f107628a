"""Sessions: what survives a crash between any two steps of a turn."""

import contextlib
import datetime

import pytest

from pa_jax.profile import store, turns
from pa_jax.profile.db import database
from tests.agent import scripted


class Killed(BaseException):
    """The process ends here."""


def crash(monkeypatch, profiles, at, committed):
    """The `at`-th write transaction from now on ends the process, before or after its commit."""
    write, count = database.Database.write, iter(range(10**6))

    @contextlib.contextmanager
    def dying(self):
        now = next(count) == at
        with write(self) as connection:
            yield connection
            if now and not committed:
                raise Killed
        if now:
            raise Killed

    monkeypatch.setattr(database.Database, "write", dying)


def told(profiles):
    """Everything kept, without the times."""
    data = profiles.export("ann")
    late = {"times", "valid_from", "valid_to", "recorded_at", "known_from", "known_to"}
    late |= {"applied_at", "first_seen", "last_seen"}
    return {
        part: [{key: row[key] for key in row.keys() - late} for row in data[part]]
        for part in ("facts", "turns", "labels", "journal")
    }


WRITES = 6  # received, inferred, applied, noted as applied, decided, replied


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What two turns leave when nothing goes wrong."""
    profiles = store.ProfileStore(f"sqlite:///{tmp_path_factory.mktemp('whole')}/p.db")
    with scripted.agent(profiles) as opened:
        talk = opened.session("ann")
        talk.respond("I like tea. I fly.")
        talk.respond("I like rum.")
    data = told(profiles)
    profiles.close()
    return data


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("at", range(WRITES))
def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(
    monkeypatch, profiles, url, whole, at, committed
):
    with monkeypatch.context() as dying, scripted.agent(profiles) as opened:
        crash(dying, profiles, at, committed)
        with pytest.raises(Killed):
            opened.session("ann").respond("I like tea. I fly.")
    again = store.ProfileStore(url)
    with scripted.agent(
        again, clock=scripted.Clock(scripted.NOON + datetime.timedelta(1))
    ) as opened:
        talk = opened.session("ann", 0)
        replies = talk.resume()
        kept = [turn.reply for turn in talk.said()]
        if not kept:  # the first write was not committed: nobody ever heard of the turn
            assert at == 0 and not committed
            replies = (talk.respond("I like tea. I fly."),)
        assert len(replies) == (0 if at == WRITES - 1 and committed else 1)
        talk.respond("I like rum.")
    assert told(again) == whole
    again.close()


def test_a_turn_has_so_many_writes(monkeypatch, profiles):
    """The crash test above stops at each of them."""
    count, write = [], database.Database.write
    monkeypatch.setattr(database.Database, "write", lambda self: count.append(1) or write(self))
    with scripted.agent(profiles) as opened:
        opened.session("ann").respond("hi")
    assert len(count) == WRITES


def test_what_was_cut_off_is_finished_before_the_next_turn(monkeypatch, profiles, agent, model):
    with monkeypatch.context() as dying:
        crash(dying, profiles, 2, False)
        with pytest.raises(Killed):
            agent.session("ann").respond("I like tea")
    agent.session("ann").respond("hello")
    assert [(t.session, t.stage) for t in profiles.journal.turns_of("ann")] == [
        (0, turns.REPLIED),
        (1, turns.REPLIED),
    ]
    assert model.prompts[-1][0] == ["The user likes tea."]


def test_the_answer_is_written_from_what_was_known_before_whatever_was_kept_since(
    monkeypatch, profiles, url, agent, model
):
    talk = agent.session("ann")
    talk.respond("I like tea")
    with monkeypatch.context() as dying:
        crash(dying, profiles, 4, True)  # decided, not replied
        with pytest.raises(Killed):
            talk.respond("I like rum")
    assert len(talk.profile()) == 2
    model.prompts.clear()
    (reply,) = talk.resume()
    assert model.prompts[0][0] == ["The user likes tea."]
    assert [c.fact.statement for c in reply.updates] == ["The user likes rum."]
    talk.respond("Please forget that.")
    assert model.prompts[1][0] == ["The user likes tea."]  # what is taken back is shown no more


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("at", range(WRITES))
def test_a_crash_while_words_take_the_place_of_others_leaves_one_of_them(
    monkeypatch, profiles, url, at, committed
):
    with monkeypatch.context() as dying, scripted.agent(profiles) as opened:
        talk = opened.session("ann")
        for words in ("hello", "I like tea", "I like rum"):
            talk.respond(words)
        crash(dying, profiles, at, committed)
        with pytest.raises(Killed):
            for _ in talk.stream("I like gin", replaces=1):
                pass
    again = store.ProfileStore(url)
    later = scripted.Clock(scripted.NOON + datetime.timedelta(1))
    with scripted.agent(again, clock=later) as opened:
        talk = opened.session("ann", 0)
        talk.resume()
        said = [turn.words for turn in talk.said() if turn.words]
        known = sorted(fact.statement for fact in talk.profile())
    if at == 0 and not committed:
        assert said == ["hello", "I like tea", "I like rum"]
        assert known == ["The user likes rum.", "The user likes tea."]
    else:
        assert (said, known) == (["hello", "I like gin"], ["The user likes gin."])
    again.close()


@pytest.mark.parametrize("committed", [False, True])
def test_an_undo_is_whole_or_not_at_all(monkeypatch, profiles, url, committed):
    with monkeypatch.context() as dying, scripted.agent(profiles) as opened:
        made = opened.session("ann").respond("I like tea")
        crash(dying, profiles, 0, committed)
        with pytest.raises(Killed):
            opened.session("ann").undo((made.session, made.turn))
    again = store.ProfileStore(url)
    with scripted.agent(again) as opened:
        assert opened.session("ann").resume() == ()
        assert (opened.session("ann").profile() == ()) == committed
    again.close()
