"""What the user's words ask to have forgotten, as operations.

"Forget that" means what the turn before taught, or what the sentence before it names; "forget that
I like tea", "forget about the tea" mean the facts that hold every word of the rest; "forget
everything about music" means a whole topic, "everything you know about me" all that holds. A bare
"forget everything" is no operation, and none leaves the history: that is ProfileStore.erase, which
a user asks for by command. What the words ask is read in english/forgetting.
"""

import re
from collections.abc import Sequence

from pa_jax.english import (
    abroad,
    changes,
    dismissals,
    forgetting,
    idioms,
    lists,
    losses,
    person,
    statements,
    words,
)
from pa_jax.profile import facts, taxonomy, topics

_LISTED = re.compile(r"\s*(?:,|/|\bor\b|\band\b)\s*")
_ANY = frozenset(  # of a topic they say nothing: "my reading tastes", "the fitness stuff"
    map(
        words.stem,
        "taste preference habit detail info information data history side stuff life notes facts "
        "opinion interest business setup gear choice matter world".split(),
    )
)


def asked(
    heard: str, profile: Sequence[facts.Fact], at: tuple[int, int]
) -> tuple[facts.FactOp, ...]:
    """Operations that retract the held facts which the user's words ask to have forgotten.

    `at` is the (session, turn) of the words.
    """
    found: dict[str, facts.Fact] = {}
    left: dict[str, str] = {}  # what remains of a fact that lists several things
    last = facts.of_last_turn(profile, at)
    if len(last) == 1 and changes.drops(heard) and not changes.asks(last[0].source.quote):
        found[last[0].id] = last[0]
    for request in forgetting.requests(heard):
        hits = _meant(request, profile, at)
        if request.name and not request.whole:
            gone = statements.content(person.third_person(request.name))
            left |= {fact.id: lists.without(fact.statement, gone) for fact in hits}
        found |= {fact.id: fact for fact in hits}
    if not found:
        found = {fact.id: fact for fact in _dismissed(heard, profile)}
    return tuple(_gone(fact, left.get(fact.id, "")) for fact in found.values())


def untold(
    heard: str, profile: Sequence[facts.Fact], at: tuple[int, int]
) -> tuple[facts.FactOp, ...]:
    """Operations for words of which nothing was noted, and which end a held fact all the same.

    "Scratch that" then takes back the one thing that the turn before taught.
    """
    last = facts.of_last_turn(profile, at)
    asks = changes.asks(heard) or any(changes.asks(fact.source.quote) for fact in last)
    scraps = len(last) == 1 and not asks and changes.scraps_only(heard)
    return tuple(_gone(fact, "") for fact in last) if scraps else ()


def lost(
    heard: str, profile: Sequence[facts.Fact], noted: Sequence[str]
) -> tuple[facts.FactOp, ...]:
    """Operations for the losses that the words tell by name: "sold the Golf" of "a Golf GTI".

    Of what is noted of the same by that name, the statement decides.
    """
    told = frozenset().union(*map(statements.names, noted))
    found: list[facts.Fact] = []
    for gone in (gone for clause in changes.clauses(heard) for gone in losses.told(clause)):
        hits = [
            fact for fact in profile if not gone & told and losses.is_called(gone, fact.statement)
        ]
        found += hits if len(hits) == 1 else []
    return tuple(_gone(fact, "") for fact in dict.fromkeys(found))


def parts(noted: Sequence[str], profile: Sequence[facts.Fact]) -> tuple[facts.FactOp, ...]:
    """Operations that leave of a fact what a noted end of one thing in it does not name.

    "No longer does spin" leaves yoga of "does yoga and spin".
    """
    left: dict[str, facts.FactOp] = {}
    for statement in noted:
        ended = statements.ended(statement)
        read = statements.parse(ended or statement)
        if not (ended or read.against):
            continue
        gone = read.named | read.scope
        for fact in profile:
            old = statements.parse(fact.statement)
            alike = read.kind == old.kind and statements.LIKE in (read.kind, old.kind)
            does = read.verb in (old.verb, *read.named)  # "spin" of "does spin"
            alike = alike or (read.kind == old.kind and does)
            if alike and not old.against and gone < statements.content(fact.statement):
                if rest := lists.without(fact.statement, gone):
                    left[fact.id] = _gone(fact, rest)
    return tuple(left.values())


def _meant(
    request: forgetting.ForgetRequest, profile: Sequence[facts.Fact], at: tuple[int, int]
) -> list[facts.Fact]:
    """The facts that a request asks to have forgotten."""
    if request.every:
        return list(profile)
    if not request.name:
        if request.before:
            return _told_before(request.before, profile)
        last = facts.of_last_turn(profile, at)
        asked_then = any(changes.asks(fact.source.quote) for fact in last)
        return [] if request.it and asked_then else last
    if request.abroad:
        return [fact for fact in profile if abroad.names(request.name, _as_told(fact))]
    hits = _naming(request.name, request.wide, profile)
    if request.loose:
        hits = [fact for fact in hits if request.memory and not facts.is_safety(fact)]
    return hits


def _dismissed(heard: str, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    """The facts that the words dismiss by what they are called; safety only by a sure cue."""
    return [
        fact
        for one in dismissals.dismissed(heard)
        for fact in profile
        if _called(one.named, _worded(fact.statement))
        and (one.sure or not facts.is_safety(fact))
        and (one.edible or fact.category != "food")
    ]


def _as_told(fact: facts.Fact) -> str:
    return f"{fact.statement} {fact.source.quote}"


def _gone(fact: facts.Fact, left: str) -> facts.FactOp:
    """The fact is taken back, or what is `left` of it takes its place."""
    kind = facts.REVISE if left else facts.RETRACT
    old = fact.statement
    return facts.FactOp(kind, left or None, fact.slot, old, fact.polarity, "stated", 1.0)


def comes_back(statement: str, forgotten: str, besides: frozenset[str]) -> bool:
    """Whether a statement says again what was just asked to be forgotten.

    Or the opposite, of which the words `besides` the request say nothing: to forget that somebody
    likes techno is not to hear that they dislike it.
    """
    new, old = statements.parse(statement), statements.parse(forgotten)
    shared = new.named & old.named
    alike = len(shared) >= statements.AKIN * max(min(len(new.named), len(old.named)), 1)
    turned = new.against != old.against
    if turned:
        return alike and not new.named & besides
    return alike and new.numbers == old.numbers


def unclear(heard: str, profile: Sequence[facts.Fact], at: tuple[int, int]) -> bool:
    """Whether the words ask to have "that" forgotten, and nothing tells what it is."""
    return any(
        request.unclear and not facts.of_last_turn(profile, at)
        for request in forgetting.requests(heard)
    )


def _told_before(sentence: str, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    """The facts that a sentence names; none where it asks, or speaks of something else."""
    if sentence.endswith("?"):
        return []
    heard = frozenset(words.content(sentence))
    named = ((fact, own) for fact in profile if (own := _told(fact)))
    told = [
        fact
        for fact, own in named
        if sum(one in heard or words.kindred(one, heard) for one in own) >= 0.8 * len(own)
    ]
    return told or _named_by(idioms.front(sentence), False, profile)


def _told(fact: facts.Fact) -> frozenset[str]:
    """Stems by which a fact is told; a verb alone is not enough: "the school run" is no sport."""
    read = statements.parse(fact.statement)
    return read.named | read.scope if read.named <= {read.verb} else read.named


def _naming(rest: str, wide: bool, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    """The facts that words name as a whole, else those that each part of "jazz and soul" names."""
    whole = _named_by(rest, wide, profile)
    parts = _LISTED.split(rest)
    if len(parts) == 1 or (whole and not wide):
        return whole
    hits = whole + [fact for part in parts for fact in _named_by(part, wide, profile)]
    return list({fact.id: fact for fact in hits}.values())


def _named_by(rest: str, wide: bool, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    said = statements.content(person.third_person(rest))
    wanted = said - _ANY or said
    if not wanted:
        return []
    by_words = [
        fact
        for fact in profile
        if _called(wanted, _worded(fact.statement))
        and words.stem(statements.parse(fact.statement).whose) in wanted | {""}
    ]
    if by_words and not (wide or said & _ANY):
        return by_words
    called = frozenset(words.content(rest)) - _ANY
    about = topics.named(called, wide) if len(called) == 1 else []
    if about:
        by_topic = [fact for fact in profile if any(topics.covers(one, fact) for one in about)]
    else:
        by_topic = [fact for fact in profile if wanted <= _topic_of(fact.slot, wide)]
    found = by_words + [fact for fact in by_topic if fact not in by_words]
    return found or [fact for fact in profile if _answered(wanted, fact, profile)]


def _called(wanted: frozenset[str], own: frozenset[str]) -> bool:
    return all(word in own or words.kindred(word, own) for word in wanted)


def _answered(wanted: frozenset[str], fact: facts.Fact, profile: Sequence[facts.Fact]) -> bool:
    """Whether a fact was told in words that named what it is: "favourite colour? teal"."""
    alone = all(other is fact or other.source != fact.source for other in profile)
    rest = frozenset(words.content(fact.source.quote)) - frozenset(words.content(fact.statement))
    return alone and wanted <= rest and 2 * len(wanted) > len(rest)


def _worded(statement: str) -> frozenset[str]:
    """The words by which a fact is called: "my nut allergy" is "allergic to nuts"."""
    if statements.parse(statement).kind == statements.ALLERGY:
        return frozenset(words.content(statement))
    return statements.content(statement)


def _topic_of(path: str, wide: bool) -> frozenset[str]:
    """The words by which a slot is called; of a whole topic also those of its category."""
    category, _, name = path.partition("/")
    text = name.replace("_", " ")
    for group in taxonomy.Taxonomy.load().categories:
        slots = {slot.path: slot for slot in group.subcategories}
        if path in slots:
            text += f" {slots[path].name}"
            if wide:
                text += f" {group.name} {category}"
    return statements.content(text)
