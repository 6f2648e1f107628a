"""What an import may hold: once it is accepted, a turn, an export and an erasure work."""

import contextlib
import copy
import datetime
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pa_jax.agent import handle
from pa_jax.profile import imports, store, undo
from tests.agent import scripted

NOON = scripted.NOON
TIMES = [
    "2099-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59.999999+00:00",
    "0001-01-01T00:00:00+00:00",
    "2026-03-01T13:00:00+00:00",
    "2026-03-01T11:00:00+00:00",
]
NUMBERS = st.sampled_from([0, 1, 2, 7, 2**30, 2**31 - 1])
IDS = st.sampled_from(["0.0.0", "0.1.0", "0.2.0", "0.3.0", "1.0.0", "f", "0.00.0", "٠.0.0", "0.0"])
ODD = st.one_of(
    NUMBERS,
    IDS,
    st.sampled_from(TIMES),
    st.sampled_from([None, "", "*", "travel/flight_seat", "other/x", float("nan"), 1e308, -1.0]),
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The export of a talk of three turns, the last one cut off, and of one that was changed."""
    profiles = store.ProfileStore(f"sqlite:///{tmp_path_factory.mktemp('imports')}/p.db")
    with scripted.agent(profiles) as agent:
        talk = agent.session("ann", 0)
        talk.respond("I like tea and let us fly")
        talk.respond("I like rum")
        other = agent.session("ann", 1)
        other.respond("I like wine")
        said_anew(other, "I like port", 0)
        added = other.add("I like sake")
        other.undo((added.session, added.turn))
        profiles.journal.begin("ann", "I like gin", session=0, now=agent.clock())
    data = profiles.export("ann")
    profiles.close()
    return data


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A store for all examples; each begins with nobody in it."""
    opened = store.ProfileStore(f"sqlite:///{tmp_path_factory.mktemp('imports')}/p.db")
    yield opened
    opened.close()


def said_anew(talk, words, turn):
    for _ in talk.stream(words, replaces=turn):
        pass


def places(data, path=()):
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(value, (*path, key))
    else:
        yield path


def changed(data, path, value):
    made = copy.deepcopy(data)
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return made


def goes_on(profiles, data, now):
    """Whether it was accepted; then everything that a user does must work."""
    profiles.erase("ann")
    try:
        profiles.import_(data, now=now)
    except ValueError:
        assert profiles.users() == ()
        return False
    with scripted.agent(profiles, clock=scripted.Clock(now)) as agent:
        talk = agent.session("ann")
        assert talk.respond("I like ale").updates
        known = {fact.statement for fact in talk.profile()}
        assert "The user likes ale." in known
        assert agent.session("ann", 0).respond("I like cider").updates
        agent.session("ann").resume()
        for record in profiles.history("ann"):
            with contextlib.suppress(undo.CannotUndo):
                talk.undo((record.by.session, record.by.turn))
        said_anew(talk, "I like mead", next(turn.turn for turn in talk.said() if turn.words))
        assert "The user likes mead." in {fact.statement for fact in talk.profile()}
        assert talk.number in {one.session for one in profiles.journal.conversations("ann", 99)}
    again = profiles.export("ann")
    profiles.erase("ann", wait=False)
    profiles.import_(again, now=now + datetime.timedelta(days=1))
    assert profiles.export("ann") == again
    return True


def test_what_a_store_wrote_goes_on(one, exported):
    assert goes_on(one, exported, NOON + datetime.timedelta(hours=2))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.integers(0, 999), ODD), min_size=1, max_size=3))
def test_accepted_means_that_the_user_can_go_on(one, exported, changes):
    made = exported
    for place, value in changes:
        found = [path for path in places(made) if path != ("user",)]
        made = changed(made, found[place % len(found)], value)
    goes_on(one, made, NOON + datetime.timedelta(hours=2))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["turns"][0].update(applied_at=TIMES[0]), "has the time 2099"),
        (lambda d: d["journal"][0].update(times=[TIMES[1]] * 5), "has the time 9999"),
        (lambda d: d["journal"][2].update(session=2**31 - 1), "counts to 2147483647"),
        (lambda d: d["facts"][0].update(id="0.2.0"), "must be SESSION.TURN.NUMBER"),
        (lambda d: d["facts"][0].update(id="tea"), "must be SESSION.TURN.NUMBER"),
        (lambda d: d["facts"][0].update(by={"session": 0, "turn": 2}), "is of turn 0.2"),
        (lambda d: d["turns"].clear(), "not among the turns that were applied"),
        (lambda d: d["journal"][0]["needs"][0].update(weight=float("inf")), "weight=inf"),
        (lambda d: d["journal"][0].update(asked="*"), "asked"),
        (
            lambda d: d["journal"].extend(
                d["journal"][2] | {"turn": n} for n in range(3, 3 + imports.MAX_UNFINISHED)
            ),
            "9 turns without a reply; allowed are 8",
        ),
    ],
)
def test_what_no_store_has_written_is_refused(one, exported, change, says):
    data = copy.deepcopy(exported)
    change(data)
    one.erase("ann", wait=False)
    with pytest.raises(ValueError, match=says):
        one.import_(data, now=NOON + datetime.timedelta(hours=2))
    assert one.users() == ()


def test_no_turn_is_answered_that_nobody_waits_for(profiles):
    """A store may hold many unfinished turns from before; they end with the caller."""
    for _ in range(50):
        profiles.journal.begin("ann", "I like tea", session=0, now=NOON)
    who = handle.ReplyHandle()
    gone = threading.Event()

    class Leaving(scripted.Model):
        def infer(self, turns, *, now, seed):
            if turns[0].turn == 3:
                who.leave()
                gone.set()
            return super().infer(turns, now=now, seed=seed)

    with scripted.agent(profiles, Leaving()) as agent:
        with pytest.raises(handle.Left):
            agent.session("ann", 0).respond("I like rum", who)
        assert gone.is_set()
        left = profiles.journal.unfinished("ann")
        assert [turn.turn for turn in left] == list(range(4, 50))
        assert profiles.erase("ann").journal == 50
