"""What a user said stays until the user takes it back: labelled updates, random orders, changes."""

import collections
import dataclasses
import datetime
import json
import pathlib
import random
import re

import pytest

from pa_jax.agent.inference import training_profile
from pa_jax.data import quarantine
from pa_jax.data.synth import truth
from pa_jax.dialogue import schema
from pa_jax.english import statements
from pa_jax.evaluate.benchmarks import conversations
from pa_jax.profile import facts, forget, placement, taxonomy, update

CASES = pathlib.Path(__file__).with_name("cases")
LEAST = {
    "updates.txt": (200, 12, 0),
    "everyday.txt": (150, 4, 8),
    "spoken.txt": (200, 12, 2),
    "languages.txt": (60, 15, 2),
    "phrased.txt": (150, 2, 6),
}  # cases in all and of each kind, and how many come out wrong at most: as many as today


@dataclasses.dataclass(frozen=True)
class Case:
    """Turns of (words, statements), phrases that must stand in what is held, and that must not."""

    kind: str
    turns: tuple[tuple[str, str], ...]
    holds: tuple[str, ...]
    gone: tuple[str, ...]


def cases(name):
    """The labelled cases of a file, in order."""
    made, kind = [], ""
    for block in (CASES / name).read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.strip().splitlines() if not line.startswith("#")]
        if lines and lines[0].startswith("["):
            kind = lines.pop(0).strip("[]")
        if not lines:
            continue
        turns = tuple(_turn(line) for line in lines if " =>" in line)
        holds, gone = (
            tuple(p for line in lines if line[0] == sign for p in line[2:].split(" ; "))
            for sign in "+-"
        )
        made.append(Case(kind, turns, holds, gone))
    return made


def _turn(line):
    heard, _, text = line.partition(" =>")
    return heard, "\n".join(text.strip().split(" / ")) or "No new preference."


def held_after(turns):
    """The statements held after the turns, a session each."""
    return held_by(
        schema.Turn(words, gold=text, session=n) for n, (words, text) in enumerate(turns)
    )


def held_by(turns):
    """The statements held once the gold of the turns was noted."""
    said, notes = tuple(turns), training_profile.Notes()
    for number, text in enumerate(turn.gold for turn in said):
        notes = notes.after(schema.Dialogue("d", "u", said), number, text, True)
    return list(notes.statements())


def stands(phrase, statements):
    """Whether a phrase stands in one of the statements, from a word's start."""
    text = "\n".join(statements).lower()
    return re.search(r"(?<!\w)" + re.escape(phrase.lower()), text) is not None


def right(case):
    """Whether a case comes out as labelled, and what is held."""
    found = held_after(case.turns)
    kept = all(stands(phrase, found) for phrase in case.holds)
    return kept and not any(stands(phrase, found) for phrase in case.gone), found


NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
MANY = [
    slot
    for slot in taxonomy.Taxonomy.load().subcategories
    if slot.holds == taxonomy.MANY and not slot.state
]
EVERYDAY = {
    "is allergic to {}": "peanuts sesame shellfish kiwis wheat soy celery mustard eggs milk",
    "has {}": "asthma epilepsy migraines arthritis eczema diabetes",
    "takes {}": "metformin lisinopril warfarin sertraline omeprazole insulin",
    "loves {} food": "Thai Ethiopian Lebanese Korean Polish Greek Indian Peruvian",
    "listens to {}": "jazz techno reggae blues opera punk",
    "speaks {}": "German Portuguese Turkish Hindi Welsh Arabic",
    "dislikes {}": "olives capers beetroot liver coriander anchovies",
    "plays the {}": "cello banjo flute oboe harp",
    "has a {}": "cat dog rabbit parrot tortoise",
    "likes {}": "hiking knitting chess sailing sudoku karaoke",
}
OTHERWISE = {  # the same in other words, where it is easy
    "is allergic to {}": "has a {} allergy",
    "dislikes {}": "hates {}",
    "likes {}": "enjoys {}",
    "loves {} food": "adores {} food",
}


@pytest.mark.parametrize("name", LEAST)
def test_labelled_updates(name):
    by_kind, wrong = collections.Counter(), []
    for case in cases(name):
        well, held = right(case)
        by_kind[case.kind] += 1
        wrong += [] if well else [(case.kind, case.turns, held)]
    in_all, of_each, most_wrong = LEAST[name]
    assert sum(by_kind.values()) >= in_all and min(by_kind.values()) >= of_each
    assert len(wrong) <= most_wrong, wrong


def test_what_people_tell_in_conversations_is_known_at_their_end():
    held = faults = turned = 0.0
    wanted = 0
    with quarantine.Quarantine(None) as aside:
        people = conversations.read(str(CASES / "conversations.jsonl"), aside)
    lines = (CASES / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    for person, line in zip(people, map(json.loads, lines), strict=True):
        turns = [
            schema.Turn(turn["user"], gold=turn["gold"], session=number)
            for number, session in enumerate(line["sessions"])
            for turn in session
        ]
        found = conversations.profile_measures(person, held_by(turns))
        wanted += len(person.holds)
        held += found["held"] * len(person.holds)
        faults += found["faults"]
        turned += found["turned"]
    assert wanted >= 80
    assert (round(held), turned) == (wanted, 0)
    assert faults <= 3


def stated(rng):
    """200 statements of slots that hold many, each with a wording of the same."""
    made = {}
    for frame, things in EVERYDAY.items():
        for thing in things.split():
            again = OTHERWISE.get(frame, frame)
            made[f"The user {frame.format(thing)}."] = f"The user {again.format(thing)}."
    pairs = [(slot, value) for slot in MANY for value in slot.values]
    for slot, value in rng.sample(pairs, 200 - len(made)):
        one = rng.choice(truth.golds(slot.path, value, truth.LIKE)[:2])
        made[one] = rng.choice(truth.variants(slot.path, value, truth.LIKE)[1:])
    return made


def add(statement, authority="stated", confidence=0.9):
    slot = placement.place(statement, ())
    polarity = statements.polarity(statement)
    return facts.FactOp(facts.ADD, statement, slot, None, polarity, authority, confidence)


def noise(rng, said):
    """An inference against something said, or of something else."""
    statement = rng.choice(said)
    turned = [
        statement.replace(" likes ", " hates ").replace(" loves ", " hates "),
        statement.replace("The user ", "The user no longer "),
        f"The user's brother {statement.removeprefix('The user ')}",
        f"The user likes thing {rng.randint(0, 99)} of all.",
    ]
    return add(rng.choice(turned), "inferred", rng.choice([0.3, 0.95, 1.0]))


@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_was_stated_is_lost(seed):
    """Said in any order, again in other words, with noise between; only what is retracted goes."""
    rng = random.Random(seed)
    said = list(stated(rng).items())
    rng.shuffle(said)
    turns = [(statement, add(statement)) for statement, _ in said]
    turns += [(again, add(again)) for _, again in rng.sample(said, 60)]
    turns += [("", noise(rng, [one for one, _ in said])) for _ in range(120)]
    rest = turns[60:]
    rng.shuffle(rest)
    held, gone = (), set()
    for number, (quote, op) in enumerate(turns[:60] + rest):
        now, source = NOON + number * HOUR, facts.Source(number // 9, number, quote)
        before = {fact.statement for fact in held if fact.authority == "stated"}
        held = update.apply(held, [op], user="u", source=source, now=now).facts
        assert before <= {fact.statement for fact in held}, quote
        if number % 50 == 49:
            mine = [
                fact for fact in held if fact.authority == "stated" and " likes " in fact.statement
            ]
            named = rng.choice(mine).statement
            quote = f"Please forget that {named.replace('The user likes', 'I like')}"
            ops = forget.asked(quote, held, (number // 9, number + 1))
            after = update.apply(held, ops, user="u", source=source, now=now).facts
            lost = {fact.statement for fact in held} - {fact.statement for fact in after}
            assert named in lost
            assert all(statements.content(named) <= statements.content(one) for one in lost)
            held, gone = after, gone | lost
    about = {statements.topic(fact.statement) for fact in held}
    missing = [one for one, _ in said if statements.topic(one) not in about and one not in gone]
    assert not missing
    assert sum(facts.is_safety(fact) for fact in held) >= 22


WAYS = (
    ("The user wants {new} {when}.", "From now on I want {new} {when}."),
    ("The user goes for {new} {when}.", "I used to go for {old}, now it's {new} {when}."),
    ("The user prefers {new} {when}.", "I've changed my mind: {new} {when}, please."),
    ("{When}, the user picks {new}.", "{When} I pick {new} these days."),
    ("The user chooses {new} {when}.", "No more {old}. I choose {new} {when}."),
)


def test_a_change_in_a_slot_of_one_ends_the_old_value_and_nothing_else():
    rng = random.Random(5)
    slots = [
        slot
        for slot in taxonomy.Taxonomy.load().subcategories
        if slot.holds == taxonomy.ONE and not slot.state
    ]
    exact = unrelated = 0
    chosen = rng.sample(slots, 100)
    firsts = [truth.variants(s.path, s.values[0], truth.LIKE)[0] for s in slots]
    ops = [add(text) for text in firsts]
    held = update.apply((), ops, user="u", source=facts.Source(0, 0, ""), now=NOON).facts
    for number, slot in enumerate(chosen, start=1):
        frame, quote = WAYS[number % len(WAYS)]
        words = {"new": slot.values[1], "old": slot.values[0], "when": slot.when}
        words["When"] = truth.capital(slot.when)
        op, source = add(frame.format(**words)), facts.Source(0, number, quote.format(**words))
        after = update.apply(held, [op], user="u", source=source, now=NOON + number * HOUR).facts
        lost = {fact.slot for fact in held} - {f.slot for f in held if f in after}
        exact += lost == {slot.path}
        unrelated += bool(lost - {slot.path})
        held = after
    assert unrelated == 0
    assert exact >= 95
