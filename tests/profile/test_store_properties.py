"""Any sequence of turns: as_of equals a naive replay, and no user sees another's words."""

import datetime
import itertools
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pa_jax.profile import facts, update, wording

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
FRESH = itertools.count()
HOSTILE = (
    "ann",
    "ANN",
    "ann ",
    "a%",
    "a_n",
    "%",
    "' OR '1'='1",
    'x"; DROP TABLE profile_users; --',
    "ä",
    "a\u0308",
    "محمد",
    "🙂",
    "../../etc",
    "null",
    ":user",
    "%(user)s",
    "?",
)

ON_BOTH = settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # examples have their own users
)
STATEMENTS = st.sampled_from(
    [
        "The user likes mild food.",
        "The user likes hot food.",
        "The user hates hot food.",
        "The user used to like hot food.",
        "The user keeps bees.",
    ]
)
FIELDS = st.tuples(
    st.sampled_from(facts.KINDS),
    STATEMENTS,
    STATEMENTS,
    st.sampled_from(["food/spice_level", "travel/flight_seat", "other/a", "other/A b"]),
    st.sampled_from(facts.POLARITIES),
    st.sampled_from(facts.AUTHORITIES),
    st.sampled_from([0.2, 0.5, 0.9]),
)
TURNS = st.lists(
    st.tuples(
        st.lists(FIELDS, max_size=3), st.sampled_from(["", "from now on"]), st.integers(0, 3)
    ),
    max_size=6,
)


def operation(kind, words, old, slot, *belief):
    said, replaced = None if kind == "retract" else words, None if kind == "add" else old
    return facts.FactOp(kind, said, slot, replaced, *belief)


class Replay:
    """The whole state after every turn, kept in memory and never thrown away."""

    def __init__(self, user):
        self.user = user
        self.held = ()
        self.latest = {}  # id -> last change
        self.states = []  # (time, latest)

    def tell(self, ops, source, now):
        forgotten = {
            wording.topic(change.fact.statement)
            for change in self.latest.values()
            if change.event == "retracted"
        }
        result = update.apply(
            self.held, ops, user=self.user, source=source, now=now, forgotten=forgotten
        )
        self.held = result.facts
        self.latest = self.latest | {change.fact.id: change for change in result.changes}
        self.states.append((now, self.latest))
        return result

    def as_of(self, time, valid_at):
        known = [latest for when, latest in self.states if when <= time]
        found = [change.fact for change in known[-1].values()] if known else []
        valid = [
            fact
            for fact in found
            if fact.valid_from <= valid_at and (fact.valid_to is None or valid_at < fact.valid_to)
        ]
        return sorted(valid, key=lambda fact: fact.id)


def by_id(found):
    return sorted(found, key=lambda fact: fact.id)


@ON_BOTH
@given(turns=TURNS)
def test_as_of_equals_a_naive_replay(profiles, turns):
    user = f"user{next(FRESH)}"
    replay = Replay(user)
    now = NOON
    for number, (drawn, quote, hours) in enumerate(turns):
        ops = [operation(*fields) for fields in drawn]
        now += hours * HOUR
        source = facts.Source(0, number, quote)
        wanted = replay.tell(ops, source, now)
        applied = profiles.apply(user, ops, source, now=now)
        assert applied.receipts == wanted.receipts
        assert profiles.facts(user, now=now) == wanted.facts
    times = {NOON - HOUR, now + HOUR} | {when for when, _ in replay.states}
    for time, valid_at in itertools.product(times, times):
        found = profiles.as_of(user, time, valid_at=valid_at)
        assert by_id(found) == replay.as_of(time, valid_at)


@ON_BOTH
@given(turns=TURNS)
def test_export_erase_import_changes_nothing(profiles, turns):
    user = f"user{next(FRESH)}"
    now = NOON
    for number, (drawn, quote, hours) in enumerate(turns):
        now += hours * HOUR
        ops = [operation(*fields) for fields in drawn]
        profiles.apply(user, ops, facts.Source(0, number, quote), now=now)
    if not turns:
        return
    data, history = profiles.export(user), profiles.history(user)
    profiles.erase(user)
    assert profiles.history(user) == profiles.schema(user) == ()
    profiles.import_(json.loads(json.dumps(data)))
    assert profiles.export(user) == data
    assert profiles.history(user) == history
    # what follows goes on as if nothing had happened
    op = operation("add", "The user naps.", None, "other/a", "neutral", "stated", 0.5)
    assert profiles.apply(user, [op], facts.Source(0, 0, ""), now=now).repeated
    profiles.apply(user, [op], facts.Source(1, 0, ""), now=now)
    assert "The user naps." in [fact.statement for fact in profiles.facts(user, now=now)]


@ON_BOTH
@given(script=st.lists(st.tuples(st.sampled_from(HOSTILE), FIELDS), max_size=25))
def test_no_user_holds_anything_of_another(profiles, script):
    """Each user's words carry a mark; what is stored for a user is as if alone in the store."""
    prefix = f"{next(FRESH)} "
    alone = {name: Replay(prefix + name) for name in HOSTILE}
    mark = {name: f"mark{place:02d}mark" for place, name in enumerate(HOSTILE)}
    for number, (name, (kind, words, old, slot, *belief)) in enumerate(script):
        words, old = (f"{text[:-1]} {mark[name]}." for text in (words, old))
        ops = [operation(kind, words, old, slot, *belief)]
        source = facts.Source(0, number, f"quote {mark[name]}")
        alone[name].tell(ops, source, NOON + number * HOUR)
        profiles.apply(prefix + name, ops, source, now=NOON + number * HOUR)
    now = NOON + len(script) * HOUR
    for name in HOSTILE:
        assert profiles.facts(prefix + name, now=now) == alone[name].held
    present = {name for name, _ in script}
    assert {user for user in profiles.users() if user.startswith(prefix)} == {
        prefix + name for name in present
    }
    for name in present:
        text = json.dumps(profiles.export(prefix + name))
        assert not [other for other in HOSTILE if other != name and mark[other] in text]
    for name in sorted(present)[:1]:
        others = {other: profiles.export(prefix + other) for other in present - {name}}
        profiles.erase(prefix + name)
        assert {other: profiles.export(prefix + other) for other in others} == others
        assert profiles.facts(prefix + name, now=now) == ()
