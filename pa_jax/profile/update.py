"""What a turn's operations make of a profile: new facts, changed facts and a receipt each.

The rules, in the order in which they are asked; everything is a function of its arguments.

ADD
1. "The user used to X" ends the held fact X; where none is held, it goes into history only.
2. What the user had retracted comes back only when it is stated, never by inference.
3. A held fact that says the same (wording.topic, and as much for or against it) is reinforced:
   more certain, newer, stated if either was. It is not stored twice, whatever its slot.
4. Against the new statement stands each fact held before this turn that says the opposite of
   the same topic, and, in a slot of the taxonomy (its values exclude each other), each positive
   fact where the new one is positive too. "I also ..." in the user's words lifts the second
   half, "from now on ..." extends it to `other`. Statements of one turn do not exclude each
   other. Facts that are neutral or negative stand side by side.
5. New against old: a stated statement supersedes what stands against it. An inferred one
   supersedes a fact that is inferred or stale (decay.is_stale) and no more certain than itself;
   a stated fact only where the user's own words announce a change ("from now on", "no longer").
   Otherwise it is refused, and an inferred fact that withstood it is weakened by it.
6. A slot holds MAX_PER_SLOT facts, `other` MAX_OTHER: beyond, the least certain one goes.

REVISE is ADD, with `replaces` among what stands against the new statement; one that is not
held makes it a plain ADD. RETRACT ends a held fact by the same rank (rule 5). A fact that ended
keeps its place in history, valid until now.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Sequence, Set

from pa_jax.profile import decay, facts, wording

MAX_STATEMENT_CHARS = 1000
MAX_QUOTE_CHARS = 1000
MAX_PER_SLOT = 8
MAX_OTHER = 48
INFERRED_CEILING = 0.95  # repeating itself does not make an inference certain

ADDED = "added"
REINFORCED = "reinforced"
REVISED = "revised"
SUPERSEDED = "superseded"
WEAKENED = "weakened"
RETRACTED = "retracted"
ENDED = "ended"
CROWDED = "crowded out"
REFUSED = "refused"
UNKNOWN = "unknown"
EVENTS = (ADDED, REINFORCED, SUPERSEDED, WEAKENED, RETRACTED, ENDED, CROWDED)
OUTCOMES = (ADDED, REINFORCED, REVISED, RETRACTED, ENDED, REFUSED, UNKNOWN)


@dataclasses.dataclass(frozen=True)
class Change:
    """A fact as it is from now on, and what happened to it (one of EVENTS)."""

    fact: facts.Fact
    event: str


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What became of one operation.

    op       its place among the operations of the turn
    outcome  one of OUTCOMES
    fact_id  the fact that holds its statement, or that it ended; None where there is none
    closed   ids of the facts that it superseded
    reason   why it was refused, "" otherwise; never the user's words
    """

    op: int
    outcome: str
    fact_id: str | None
    closed: tuple[str, ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class Update:
    """`facts` hold afterwards, oldest first; `changes` has each fact that is not as it was."""

    facts: tuple[facts.Fact, ...]
    changes: tuple[Change, ...]
    receipts: tuple[Receipt, ...]


@dataclasses.dataclass(frozen=True)
class Reach:
    """Which held facts some operations can touch: `apply` on these alone changes the same.

    `other` asks for every fact under `other`, whose number is bounded as a whole.
    """

    subcategories: frozenset[str]
    topics: frozenset[str]
    other: bool


def reach(ops: Iterable[facts.FactOp]) -> Reach:
    """The part of a profile that decides what the operations do."""
    ops = tuple(ops)
    said = [text for op in ops for text in (op.statement, op.replaces) if text is not None]
    past = [ended for text in said if (ended := wording.ended(text))]
    slots = [place(op) for op in ops]
    return Reach(
        frozenset(name for category, name in slots if category != facts.OTHER),
        frozenset(wording.topic(flat(text)) for text in said + past),
        any(category == facts.OTHER for category, _ in slots),
    )


def place(op: facts.FactOp) -> tuple[str, str]:
    """Category and subcategory of an operation; a proposed label in its one spelling."""
    category, _, name = op.slot.partition("/")
    return category, wording.label(name) if category == facts.OTHER else name


def flat(statement: str) -> str:
    """A statement as it is stored: one line, no control characters."""
    return wording.clean(statement, MAX_STATEMENT_CHARS)


def order(fact: facts.Fact) -> tuple[datetime.datetime, list[int], str]:
    """Sorts facts oldest first; those of one turn as they were said."""
    numbers = [int(part) for part in fact.id.split(".") if part.isdecimal()]
    return fact.valid_from, numbers, fact.id


def apply(
    held: Iterable[facts.Fact],
    ops: Sequence[facts.FactOp],
    *,
    user: str,
    source: facts.Source,
    now: datetime.datetime,
    forgotten: Set[str] = frozenset(),
) -> Update:
    """The profile after one turn.

    A new fact's id is "SESSION.TURN.OP", so the same turn always makes the same facts.
    `forgotten` has the topics (wording.topic) that the user had retracted.
    """
    source = dataclasses.replace(source, quote=wording.clean(source.quote, MAX_QUOTE_CHARS))
    turn = _Turn(held, user, source, now, forgotten)
    receipts = tuple(turn.take(place, op) for place, op in enumerate(ops))
    after = sorted(turn.held.values(), key=order)
    return Update(tuple(after), tuple(turn.changes.values()), receipts)


class _Turn:
    """The profile while the operations of one turn are taken in."""

    def __init__(
        self,
        held: Iterable[facts.Fact],
        user: str,
        source: facts.Source,
        now: datetime.datetime,
        forgotten: Set[str],
    ) -> None:
        self.held = {fact.id: fact for fact in held}
        self.changes: dict[str, Change] = {}
        self.user = user
        self.source = source
        self.now = now
        self.forgotten = forgotten
        self.fresh: set[str] = set()  # stated or confirmed in this turn

    def take(self, index: int, op: facts.FactOp) -> Receipt:
        if op.kind == facts.RETRACT:
            return self._retract(index, op)
        if len(op.statement) > MAX_STATEMENT_CHARS:
            return _refusal(index, f"over {MAX_STATEMENT_CHARS} characters")
        if not flat(op.statement):
            return _refusal(index, "no words")
        op = dataclasses.replace(op, statement=flat(op.statement))
        past = wording.ended(op.statement)
        if past is not None:
            return self._end(index, op, past)
        return self._put(index, op)

    # the kinds of operations

    def _retract(self, index: int, op: facts.FactOp) -> Receipt:
        target = self._same_words(op)
        if target is None:
            return Receipt(index, UNKNOWN, None, (), "")
        if not self._outranks(op, target):
            return _refusal(index, "a stated fact stands against an inference", target.id)
        self._close(target, RETRACTED, None)
        return Receipt(index, RETRACTED, target.id, (), "")

    def _end(self, index: int, op: facts.FactOp, past: str) -> Receipt:
        target = self._find(lambda fact: _says_the_same(fact, past, op.polarity))
        if target is None:
            fact = dataclasses.replace(self._fact(index, op), valid_to=self.now)
            self.changes[fact.id] = Change(fact, ENDED)
            return Receipt(index, ENDED, fact.id, (), "")
        self._close(target, ENDED, None)
        return Receipt(index, ENDED, target.id, (), "")

    def _put(self, index: int, op: facts.FactOp) -> Receipt:
        inferred = op.authority == "inferred"
        if inferred and wording.topic(op.statement) in self.forgotten:
            return _refusal(index, "the user had this forgotten")
        twin = self._find(lambda fact: _says_the_same(fact, op.statement, op.polarity))
        against = [fact for fact in self._against(op, twin) if fact.id not in self.fresh]
        standing = [fact for fact in against if not self._outranks(op, fact)]
        if standing:
            for fact in standing:
                if fact.authority == "inferred":
                    self._weaken(fact, op.confidence)
            return _refusal(index, "a more certain fact stands against it", standing[0].id)
        fact = self._reinforced(twin, op) if twin else self._fact(index, op)
        self.held[fact.id] = fact
        self.changes[fact.id] = Change(fact, self._event(fact, REINFORCED if twin else ADDED))
        self.fresh.add(fact.id)
        for old in against:
            self._close(old, SUPERSEDED, fact.id)
        self._make_room(fact)
        outcome = REVISED if against else REINFORCED if twin else ADDED
        return Receipt(index, outcome, fact.id, tuple(old.id for old in against), "")

    # what stands against what

    def _against(self, op: facts.FactOp, twin: facts.Fact | None) -> list[facts.Fact]:
        category, name = place(op)
        announced = wording.announces_change(self.source.quote)
        exclusive = op.polarity == "positive" and (
            announced or (twin is None and category != facts.OTHER)
        )
        exclusive = exclusive and not wording.adds(self.source.quote)
        replaced = self._same_words(op) if op.kind == facts.REVISE else None
        topic = wording.topic(op.statement)
        direction = _direction(op.statement, op.polarity)
        found = []
        for fact in self.held.values():
            same_slot = (fact.category, fact.subcategory) == (category, name)
            opposite = (
                wording.topic(fact.statement) == topic
                and _direction(fact.statement, fact.polarity) != direction
            )
            excluded = exclusive and same_slot and fact.polarity == "positive"
            if fact is not twin and (opposite or excluded or fact is replaced):
                found.append(fact)
        return found

    def _outranks(self, op: facts.FactOp, old: facts.Fact) -> bool:
        if op.authority == "stated" or wording.announces_change(self.source.quote):
            return True
        if old.authority == "stated" and not decay.is_stale(old, now=self.now):
            return False
        return op.confidence >= decay.confidence_at(old, now=self.now)

    def _same_words(self, op: facts.FactOp) -> facts.Fact | None:
        words = wording.key(flat(op.replaces))
        return self._find(lambda fact: wording.key(fact.statement) == words)

    def _find(self, wanted: Callable[[facts.Fact], bool]) -> facts.Fact | None:
        return next((fact for fact in self.held.values() if wanted(fact)), None)

    # changes of one fact

    def _fact(self, index: int, op: facts.FactOp) -> facts.Fact:
        category, name = place(op)
        return facts.Fact(
            id=f"{self.source.session}.{self.source.turn}.{index}",
            user=self.user,
            category=category,
            subcategory=name,
            statement=op.statement,
            polarity=op.polarity,
            authority=op.authority,
            confidence=op.confidence,
            valid_from=self.now,
            valid_to=None,
            recorded_at=self.now,
            source=self.source,
            superseded_by=None,
        )

    def _reinforced(self, fact: facts.Fact, op: facts.FactOp) -> facts.Fact:
        if fact.id in self.fresh:
            return fact  # said twice in one breath
        known = decay.confidence_at(fact, now=self.now)
        confidence = 1.0 - (1.0 - known) * (1.0 - op.confidence)
        stated = "stated" in (fact.authority, op.authority)
        return dataclasses.replace(
            fact,
            confidence=confidence if stated else max(known, min(confidence, INFERRED_CEILING)),
            authority="stated" if stated else "inferred",
            recorded_at=self.now,
            source=self.source,
        )

    def _weaken(self, fact: facts.Fact, doubt: float) -> None:
        left = decay.confidence_at(fact, now=self.now) * (1.0 - doubt)
        weaker = dataclasses.replace(fact, confidence=left, recorded_at=self.now)
        self.held[fact.id] = weaker
        self.changes[fact.id] = Change(weaker, self._event(fact, WEAKENED))

    def _close(self, fact: facts.Fact, event: str, successor: str | None) -> None:
        del self.held[fact.id]
        closed = dataclasses.replace(fact, valid_to=self.now, superseded_by=successor)
        self.changes[fact.id] = Change(closed, event)

    def _event(self, fact: facts.Fact, event: str) -> str:
        """A fact added in this turn stays an addition, whatever else the turn does to it."""
        before = self.changes.get(fact.id)
        return ADDED if before is not None and before.event == ADDED else event

    def _make_room(self, fact: facts.Fact) -> None:
        other = fact.category == facts.OTHER
        members = [
            member
            for member in self.held.values()
            if (member.category == facts.OTHER if other else member.slot == fact.slot)
        ]
        excess = len(members) - (MAX_OTHER if other else MAX_PER_SLOT)
        members = [member for member in members if member.id not in self.fresh]
        members.sort(key=lambda member: decay.confidence_at(member, now=self.now))
        for member in members[: max(excess, 0)]:
            self._close(member, CROWDED, None)


def _refusal(index: int, reason: str, fact_id: str | None = None) -> Receipt:
    return Receipt(index, REFUSED, fact_id, (), reason)


def _direction(statement: str, polarity: str) -> bool:
    """Whether a statement is for its topic; the words count before the label."""
    return not wording.negated(statement) and polarity != "negative"


def _says_the_same(fact: facts.Fact, statement: str, polarity: str) -> bool:
    if wording.topic(fact.statement) != wording.topic(statement):
        return False
    return _direction(fact.statement, fact.polarity) == _direction(statement, polarity)
