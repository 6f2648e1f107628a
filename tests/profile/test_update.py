"""The rules of update.apply, one by one, and what holds after any turns."""

import dataclasses
import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pa_jax.english import statements
from pa_jax.profile import decay, facts, relation, taxonomy, update

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
SPICE = "food/spice_level"
SEAT = "travel/flight_seat"
MILD = "The user likes mild food."
HOT = "The user likes hot food."
JAZZ, TECHNO = "The user listens to jazz.", "The user listens to techno."
MUSIC = "leisure/music_genre"


def add(statement, slot=SPICE, **changes):
    fields = {"polarity": "positive", "authority": "stated", "confidence": 0.8} | changes
    return facts.FactOp(facts.ADD, statement, slot, None, **fields)


def revise(statement, replaces, slot=SPICE, **changes):
    return dataclasses.replace(add(statement, slot, **changes), kind="revise", replaces=replaces)


def retract(statement, slot=SPICE, authority="stated", confidence=1.0):
    return facts.FactOp(facts.RETRACT, None, slot, statement, "neutral", authority, confidence)


class Story:
    """A user's turns told one after the other, a day apart."""

    def __init__(self):
        self.held = ()
        self.day = 0
        self.past = {}

    def tell(self, *ops, quote="", days=1, forgotten=frozenset()):
        self.day += days
        result = update.apply(
            self.held,
            ops,
            user="ann",
            source=facts.Source(0, self.day, quote),
            now=NOON + self.day * DAY,
            forgotten=forgotten,
        )
        self.held = result.facts
        self.past |= {change.fact.id: change for change in result.changes}
        self.outcomes = [receipt.outcome for receipt in result.receipts]
        return result

    @property
    def statements(self):
        return [fact.statement for fact in self.held]


@pytest.fixture
def story():
    return Story()


def test_the_same_said_again_reinforces_and_is_not_stored_twice(story):
    story.tell(add(MILD, authority="inferred", confidence=0.5))
    story.tell(add("the user  LOVES mild foods", authority="inferred", confidence=0.5))
    (fact,) = story.held
    assert story.outcomes == ["reinforced"]
    assert fact.statement == MILD
    assert fact.valid_from == NOON + DAY
    assert (fact.recorded_at, fact.source.turn) == (NOON + 2 * DAY, 2)
    assert fact.confidence == pytest.approx(0.75, abs=0.01)  # 1 - 0.5 * 0.5, less a day's decay


def test_said_twice_in_one_turn_counts_once(story):
    story.tell(add(MILD, confidence=0.5), add(MILD, confidence=0.5))
    assert [fact.confidence for fact in story.held] == [0.5]


def test_inference_alone_never_becomes_certain_but_statement_may(story):
    for _ in range(30):
        story.tell(add(MILD, authority="inferred", confidence=0.6))
    assert story.held[0].confidence == update.INFERRED_CEILING
    story.tell(add(MILD, confidence=1.0))
    assert (story.held[0].confidence, story.held[0].authority) == (1.0, "stated")


def test_a_misplaced_repetition_is_no_second_fact(story):
    story.tell(add(MILD))
    story.tell(add(MILD, SEAT))
    assert [(fact.slot, fact.statement) for fact in story.held] == [(SPICE, MILD)]


def test_a_slot_that_holds_one_gives_up_its_value_and_nothing_else_is_touched(story):
    story.tell(add(MILD), add("The user sits aft.", SEAT))
    story.tell(add("The user rejects curry.", polarity="negative"))
    result = story.tell(add(HOT))
    assert story.statements == ["The user sits aft.", "The user rejects curry.", HOT]
    assert {change.fact.id for change in result.changes} == {"0.1.0", "0.3.0"}
    old = story.past["0.1.0"]
    assert (old.event, old.fact.superseded_by, old.fact.valid_to) == (
        "superseded",
        "0.3.0",
        NOON + 3 * DAY,
    )
    (receipt,) = result.receipts
    assert receipt.closed == ("0.1.0",)
    assert receipt.reason == "replaces: its slot holds one"


def test_a_slot_that_holds_many_keeps_all_until_the_words_give_one_up(story):
    story.tell(add(JAZZ, MUSIC))
    story.tell(add(TECHNO, MUSIC), quote="From now on it's techno")
    assert story.statements == [JAZZ, TECHNO]
    story.tell(add("The user listens to blues.", MUSIC), quote="Blues instead of jazz, please")
    assert story.statements == [TECHNO, "The user listens to blues."]


def test_the_reason_of_every_decision_is_in_the_receipt(story):
    story.tell(add("The user likes tea.", "food/tea"))
    assert story.tell(add("The user likes green tea.", "food/tea")).receipts[0].reason == (
        "refines: says more of the same"
    )
    assert story.tell(add("The user hates tea.", "food/tea")).receipts[0].reason == (
        "opposite: says the opposite"
    )
    assert story.statements == ["The user likes green tea.", "The user hates tea."]  # any other tea


def test_another_decider_takes_the_place_of_the_rules(story):
    def nothing_is_related(claim, held):
        return [relation.Decision(relation.UNRELATED, "")] * len(held)

    story.tell(add(MILD))
    result = update.apply(
        story.held,
        [add(HOT)],
        user="ann",
        source=facts.Source(0, 9, ""),
        now=NOON + 9 * DAY,
        decide=nothing_is_related,
    )
    assert [fact.statement for fact in result.facts] == [MILD, HOT]


def test_also_puts_a_second_value_beside_the_first(story):
    story.tell(add(MILD))
    story.tell(add(HOT), quote="I also like it hot")
    assert story.statements == [MILD, HOT]


def test_values_said_in_one_turn_stand_together(story):
    story.tell(add(MILD), add(HOT))
    assert story.statements == [MILD, HOT]


def test_labels_under_other_hold_many(story):
    story.tell(add("The user keeps bees.", "other/pets"))
    story.tell(add("The user keeps ants.", "other/Pets "))
    story.tell(add("The user keeps cats.", "other/pets"), quote="From now on only cats")
    assert len(story.held) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("likes tea", "positive"), ("hates tea", "negative")),
        (("likes tea", "positive"), ("does not like tea", "negative")),
        (("dislikes tea", "negative"), ("likes tea", "positive")),
        (("eats meat", "neutral"), ("doesn't eat meat", "neutral")),
        (("eats meat", "neutral"), ("no longer eats meat", "negative")),
        (("likes calls", "positive"), ("likes no calls", "positive")),
    ],
)
def test_the_opposite_supersedes_whatever_its_slot(story, first, second):
    story.tell(add(f"The user {first[0]}.", "other/a", polarity=first[1]))
    story.tell(add(f"The user {second[0]}.", "other/b", polarity=second[1]))
    assert story.statements == [f"The user {second[0]}."]


def test_order_of_words_and_signs_make_other_statements(story):
    for words in ("C++", "C#", "two cats", "three cats", "C++ and C#"):
        story.tell(add(f"The user likes {words}.", "other/x"))
    assert len(story.held) == 5
    story.tell(add("The user prefers C++ over C.", "other/x"))
    story.tell(add("The user prefers C over C++.", "other/x"))
    assert story.outcomes == ["revised"]


def test_an_inference_does_not_touch_a_stated_fact(story):
    story.tell(add(MILD))
    result = story.tell(add(HOT, authority="inferred", confidence=1.0))
    assert story.outcomes == ["refused"]
    assert (story.statements, result.changes) == ([MILD], ())
    story.tell(retract(MILD, authority="inferred"))
    assert (story.outcomes, story.statements) == (["refused"], [MILD])


@pytest.mark.parametrize("quote", ["From now on, hot please", "Hot food instead of mild food."])
def test_no_words_let_an_inference_end_a_stated_fact(story, quote):
    story.tell(add(MILD))
    story.tell(add(HOT, authority="inferred", confidence=1.0), quote=quote)
    assert story.statements == [MILD]


def test_age_lets_no_inference_end_a_stated_fact(story):
    story.tell(add(MILD, confidence=0.5))
    half_life = taxonomy.Taxonomy.load().categories[0].half_life_days
    guess = add(HOT, authority="inferred", confidence=0.9)
    result = story.tell(guess, days=20 * half_life)
    assert (story.outcomes, story.statements) == (["refused"], [MILD])
    assert "more certain fact" in result.receipts[0].reason


def test_of_two_inferences_the_more_certain_stands_and_doubt_adds_up(story):
    story.tell(add(MILD, authority="inferred", confidence=0.8))
    doubt = add(HOT, authority="inferred", confidence=0.4)
    story.tell(doubt)
    assert (story.outcomes, story.statements) == (["refused"], [MILD])
    assert story.held[0].confidence == pytest.approx(0.8 * 0.6, abs=0.005)
    story.tell(doubt)
    story.tell(doubt)
    assert story.statements == [HOT]


def test_revise_reaches_over_slots_and_adds_where_nothing_is_to_revise(story):
    story.tell(add("The user sits aft.", SEAT))
    story.tell(revise("The user stands.", "The user sits aft", "travel/lodging"))
    assert story.outcomes == ["revised"]
    assert story.statements == ["The user stands."]
    story.tell(revise("The user naps.", "The user is 200 years old.", "other/x"))
    assert story.outcomes == ["added"]
    assert story.statements == ["The user stands.", "The user naps."]


def test_revise_into_itself_reinforces(story):
    story.tell(add(MILD))
    story.tell(revise(MILD, MILD))
    assert (story.outcomes, story.statements) == (["reinforced"], [MILD])


def test_a_revision_by_the_user_is_kept_as_it_is_worded(story):
    often = "The user sometimes eats fish."
    story.tell(add(often, "other/fish"), add("The user skis.", "other/ski"))
    always = revise("The user always eats fish.", "The user skis.", "other/fish")
    story.tell(dataclasses.replace(always, authority="inferred"))
    assert story.statements == [often, "The user skis."]
    story.tell(always)
    assert (story.outcomes, story.statements) == (["revised"], ["The user always eats fish."])
    assert {story.past[old].fact.superseded_by for old in ("0.1.0", "0.1.1")} == {"0.3.0"}


def test_a_revision_ends_what_it_names_whatever_the_words_of_its_turn_give_up(story):
    story.tell(add(JAZZ, MUSIC), add(TECHNO, MUSIC))
    story.tell(revise("The user skis.", TECHNO, MUSIC), quote="I gave up jazz for skiing")
    assert story.statements == [JAZZ, "The user skis."]


def test_retract_ends_a_fact_and_says_when_it_finds_none(story):
    story.tell(add(MILD))
    story.tell(retract(HOT), retract(MILD))
    assert (story.outcomes, story.statements) == (["unknown", "retracted"], [])
    closed = story.past["0.1.0"]
    assert (closed.event, closed.fact.valid_to) == ("retracted", NOON + 2 * DAY)
    assert closed.fact.superseded_by is None


def test_forgotten_topics_come_back_by_statement_only(story):
    topics = frozenset({statements.topic(MILD)})
    story.tell(add(MILD, authority="inferred"), forgotten=topics)
    assert (story.outcomes, story.held) == (["refused"], ())
    story.tell(add(MILD), forgotten=topics)
    assert story.statements == [MILD]


def test_used_to_ends_what_is_held_and_else_goes_into_history(story):
    story.tell(add("The user lives in Rome.", "home/home_town", polarity="neutral"))
    story.tell(add("The user used to live in Rome.", "home/home_town", polarity="neutral"))
    assert (story.outcomes, story.held) == (["ended"], ())
    assert story.past["0.1.0"].fact.valid_to == NOON + 2 * DAY
    story.tell(add("The user used to ski.", "other/ski"))
    assert story.held == ()
    past = story.past["0.3.0"]
    assert (past.event, past.fact.valid_to) == ("ended", NOON + 3 * DAY)


def test_inferred_facts_are_bounded_and_the_least_certain_goes(story):
    for number in range(update.MAX_PER_SLOT + 3):
        op = add(f"The user avoids dish {number}.", authority="inferred", confidence=0.5)
        story.tell(dataclasses.replace(op, confidence=0.1) if number == 2 else op)
    assert len(story.held) == update.MAX_PER_SLOT
    assert "The user avoids dish 2." not in story.statements
    for number in range(update.MAX_OTHER + 5):
        story.tell(add(f"The user has trait {number}.", f"other/l{number}", authority="inferred"))
    assert len(story.held) == update.MAX_PER_SLOT + update.MAX_OTHER
    assert sum(change.event == "crowded out" for change in story.past.values()) == 8


def test_inferred_facts_make_room_for_stated_ones_and_the_receipt_says_so(story):
    for number in range(update.MAX_PER_SLOT):
        story.tell(add(f"The user may listen to band {number}.", MUSIC, authority="inferred"))
    result = story.tell(add(JAZZ, MUSIC))
    assert len(story.held) == update.MAX_PER_SLOT and JAZZ in story.statements
    assert result.receipts[0].reason == "crowded out: 1"


def test_stated_facts_have_a_bound_of_their_own_and_safety_has_none(story, monkeypatch):
    monkeypatch.setattr(update, "MAX_STATED", 40)  # each fact is compared with all: keep it short
    for number in range(update.MAX_STATED + 1):
        story.tell(add(f"The user likes band {number}x.", MUSIC))
        story.tell(add(f"The user is allergic to nut {number}x.", "food/allergies"))
    slots = [fact.slot for fact in story.held]
    assert slots.count(MUSIC) == update.MAX_STATED
    assert slots.count("food/allergies") == update.MAX_STATED + 1


def test_a_statement_without_words_is_refused_alone(story):
    story.tell(add("\x00\x1b"), add(MILD))
    assert (story.outcomes, story.statements) == (["refused", "added"], [MILD])


def test_values_of_every_slot_stand_or_give_way_as_its_taxonomy_says():
    """Each slot's first value and its second, said as a like: all other slots stay as they were."""
    content = taxonomy.Taxonomy.load()
    slots = [slot for slot in content.subcategories if not slot.state][::3]
    ops = {
        slot.path: [add(f"The user goes for {v} {slot.when}.", slot.path) for v in slot.values]
        for slot in slots
    }
    source = facts.Source(0, 0, "")
    firsts = [values[0] for values in ops.values()]
    held = update.apply((), firsts, user="ann", source=source, now=NOON).facts
    assert len(held) == len(slots) > 100
    for turn, (path, values) in enumerate(ops.items(), start=1):
        source = facts.Source(0, turn, "")
        result = update.apply(held, [values[1]], user="ann", source=source, now=NOON + turn * DAY)
        before, after = set(held), set(result.facts)
        assert {fact.slot for fact in before ^ after} == {path}
        assert [fact.statement for fact in after - before] == [values[1].statement]
        assert len(before - after) == (content.get(path).holds == taxonomy.ONE)
        held = result.facts


WORDS = st.sampled_from(
    [MILD, HOT, "The user hates hot food.", "The user used to like mild food.", "The user skis."]
)
SLOTS = st.sampled_from([SPICE, SEAT, "other/a", "other/b"])
OPS = st.tuples(
    st.sampled_from(facts.KINDS),
    WORDS,
    WORDS,
    SLOTS,
    st.sampled_from(facts.POLARITIES),
    st.sampled_from(facts.AUTHORITIES),
    st.sampled_from([0.2, 0.5, 0.9]),
)
QUOTES = st.sampled_from(["", "from now on", "I also"])


def operation(kind, words, old, slot, *belief):
    said, replaced = None if kind == "retract" else words, None if kind == "add" else old
    return facts.FactOp(kind, said, slot, replaced, *belief)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.lists(OPS, max_size=3), QUOTES), max_size=6))
def test_what_holds_after_any_turns(turns):
    held = ()
    for number, (drawn, quote) in enumerate(turns):
        ops = [operation(*fields) for fields in drawn]
        source = facts.Source(0, number, quote)
        now = NOON + number * 100 * DAY
        whole = update.apply(held, ops, user="ann", source=source, now=now)
        ids = [fact.id for fact in whole.facts]
        assert len(set(ids)) == len(ids)
        assert all(fact.valid_to is None and 0 <= fact.confidence <= 1 for fact in whole.facts)
        said = [statements.key(fact.statement) for fact in whole.facts]
        assert len(set(said)) == len(said)
        assert all(decay.confidence_at(f, now=now) <= f.confidence for f in whole.facts)
        if all(op.authority == "inferred" for op in ops):
            stated = {fact.id for fact in held if fact.authority == "stated"}
            assert stated <= set(ids)
        held = whole.facts
