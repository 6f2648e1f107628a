"""What a turn's operations make of a profile: new facts, changed facts and a receipt each.

A profile is what holds now of what was ever told or inferred. Nothing in it is overwritten: a fact
that ends keeps its place in history, with the time until which it was held to be true and the fact
that took its place. `apply` knows no clock and no database: what it makes follows from the facts
that hold before a turn, what the user had forgotten, the turn's operations and the time. So a turn
that is done again after a crash makes the same facts, under the same ids (SESSION.TURN.OP), and
training grows profiles by the same rules as serving does (agent/inference/training_profile.py).

Two ideas carry the rules. What users state outranks what a model infers, whatever its confidence:
a guess never ends what was said, or one bad snippet could end an allergy. And what one turn says
stands together: of two statements in one breath neither takes the other's place (`fresh`).

The rules, in the order in which they are asked:

ADD
1. "The user used to X" ends the held fact X; where none is held, it goes into history only.
2. What the user had retracted comes back only when it is stated, never by inference.
3. What the new statement is to each fact held before this turn is decided in one place
   (relation.decide, or a model behind the same signature); the reasons go into the receipt.
4. The same is reinforced: more certain, newer, stated if either was. It is not stored twice,
   whatever its slot. What refines a fact or has nothing to do with it stands beside it.
5. What it opposes or replaces stands against it. A stated statement ends that. An inferred one
   never ends a stated fact, however old; it ends an inferred one that is no more certain than
   itself. Otherwise it is refused, and an inferred fact that withstood it is weakened by it.
6. Bounds: a slot holds MAX_PER_SLOT facts beside stated ones and MAX_STATED in all, `other` as a
   whole MAX_OTHER and MAX_STATED. Beyond, the least certain inferred one goes, then the least
   certain stated one; a stated safety fact never does. What goes is counted in the receipt.

REVISE is ADD, with `replaces` among what stands against the new statement; one that is not
held makes it a plain ADD. It names what it ends, so the words of its turn end nothing more. A
stated one is kept as it is worded: what says the same in other words gives way to it. RETRACT ends
a held fact by the same rank (rule 5).

Age alone ends nothing: confidence fades (decay.py), and counts where two inferences meet (rule 5)
and where there is no room for all (rule 6).
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Annotated

from pa_jax.english import pairs, statements, words
from pa_jax.profile import codec, decay, facts, heard, relation, turns

MAX_PER_SLOT = 8
MAX_OTHER = 48
MAX_STATED = 256
INFERRED_CEILING = 0.95  # repeating itself does not make an inference certain

ADDED = "added"
REINFORCED = "reinforced"
REVISED = "revised"
SUPERSEDED = "superseded"
WEAKENED = "weakened"
RETRACTED = "retracted"
ENDED = "ended"
CROWDED = "crowded out"
UNDONE = "undone"
RESTORED = "restored"
REFUSED = "refused"
UNKNOWN = "unknown"
# The last two are of profile/undo.py: an addition taken back, and a fact as it was before.
EVENTS = (ADDED, REINFORCED, SUPERSEDED, WEAKENED, RETRACTED, ENDED, CROWDED, UNDONE, RESTORED)
OUTCOMES = (ADDED, REINFORCED, REVISED, RETRACTED, ENDED, REFUSED, UNKNOWN)


@dataclasses.dataclass(frozen=True)
class Change:
    """A fact as it is from now on, and what happened to it (one of EVENTS)."""

    fact: facts.Fact
    event: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one operation.

    op       its place among the operations of the turn
    outcome  one of OUTCOMES
    fact_id  the fact that holds its statement, or that it ended; None where there is none
    closed   ids of the facts that it superseded
    reason   why it was refused, or why it closed or joined others; never the user's words
    """

    op: codec.Count
    outcome: Annotated[codec.Text, codec.one_of(OUTCOMES)]
    fact_id: codec.Text | None
    closed: tuple[codec.Text, ...]
    reason: turns.Cleaned


@dataclasses.dataclass(frozen=True)
class Update:
    """`facts` hold afterwards, oldest first; `changes` has each fact that is not as it was.

    `wire.Update` is how HTTP shows it.
    """

    facts: tuple[facts.Fact, ...]
    changes: tuple[Change, ...]
    receipts: tuple[Outcome, ...]


def place(op: facts.FactOp) -> tuple[str, str]:
    """Category and subcategory of an operation; a proposed label in its one spelling."""
    category, _, name = op.slot.partition("/")
    return category, words.label(name) if category == facts.OTHER else name


def flat(statement: str) -> str:
    """A statement as it is stored: one line, no control characters."""
    return words.clean(statement, facts.MAX_LINE_CHARS)


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
    decide: relation.Decider = relation.decide,
) -> Update:
    """The profile after one turn; `held` is all that holds before it.

    A new fact's id is "SESSION.TURN.OP", so the same turn always makes the same facts.
    `forgotten` has the topics (statements.topic) that the user had retracted.
    """
    source = dataclasses.replace(source, quote=words.clean(source.quote, facts.MAX_LINE_CHARS))
    turn = _Taking(held, user, source, now, forgotten, decide)
    receipts = tuple(turn.take(place, op) for place, op in enumerate(ops))
    after = sorted(turn.held.values(), key=order)
    return Update(tuple(after), tuple(turn.changes.values()), receipts)


class _Taking:
    """The profile while the operations of one turn are taken in."""

    def __init__(
        self,
        held: Iterable[facts.Fact],
        user: str,
        source: facts.Source,
        now: datetime.datetime,
        forgotten: Set[str],
        decide: relation.Decider,
    ) -> None:
        self.decide = decide
        self.held = {fact.id: fact for fact in held}
        self.changes: dict[str, Change] = {}
        self.user = user
        self.source = source
        self.now = now
        self.forgotten = forgotten
        self.fresh: set[str] = set()  # stated or confirmed in this turn

    def take(self, index: int, op: facts.FactOp) -> Outcome:
        if op.kind == facts.RETRACT:
            return self._retract(index, op)
        if len(op.said) > facts.MAX_LINE_CHARS:
            return _refusal(index, f"over {facts.MAX_LINE_CHARS} characters")
        if not flat(op.said):
            return _refusal(index, "no words")
        op = dataclasses.replace(op, statement=flat(op.said))
        past = statements.ended(op.said)
        if past is not None:
            return self._end(index, op, past)
        return self._put(index, op)

    # the kinds of operations

    def _retract(self, index: int, op: facts.FactOp) -> Outcome:
        target = self._same_words(op)
        if target is None:
            return Outcome(index, UNKNOWN, None, (), "")
        if not self._outranks(op, target):
            return _refusal(index, "a stated fact stands against an inference", target.id)
        self._close(target, RETRACTED, None)
        return Outcome(index, RETRACTED, target.id, (), "")

    def _end(self, index: int, op: facts.FactOp, past: str) -> Outcome:
        claim = dataclasses.replace(op, statement=past)
        over = [fact for fact, found in self._related(claim) if found.kind == relation.SAME]
        over = over or [
            fact
            for fact in self.held.values()
            if pairs.ends(past, fact.statement, self.source.quote)
        ]
        if not over:
            fact = dataclasses.replace(self._fact(index, op), valid_to=self.now)
            self.changes[fact.id] = Change(fact, ENDED)
            return Outcome(index, ENDED, fact.id, (), "")
        if not self._outranks(op, over[0]):
            return _refusal(index, "a stated fact stands against an inference", over[0].id)
        self._close(over[0], ENDED, None)
        return Outcome(index, ENDED, over[0].id, (), "")

    def _put(self, index: int, op: facts.FactOp) -> Outcome:
        inferred = op.authority == "inferred"
        if inferred and statements.topic(op.said) in self.forgotten:
            return _refusal(index, "the user had this forgotten")
        related = self._related(op)
        twin = next((fact for fact, found in related if found.kind == relation.SAME), None)
        against = [
            (fact, found)
            for fact, found in related
            if found.kind in (relation.OPPOSITE, relation.REPLACES) and fact.id not in self.fresh
        ]
        standing = [(fact, found) for fact, found in against if not self._outranks(op, fact)]
        if standing:
            for fact, _ in standing:
                if fact.authority == "inferred":
                    self._weaken(fact, op.confidence)
            fact, found = standing[0]
            reason = f"a more certain fact stands against it: {found.reason}"
            return _refusal(index, reason, fact.id)
        fact = self._reinforced(twin, op) if twin else self._fact(index, op)
        self.held[fact.id] = fact
        self.changes[fact.id] = Change(fact, self._event(fact, REINFORCED if twin else ADDED))
        self.fresh.add(fact.id)
        for old, _ in against:
            self._close(old, SUPERSEDED, fact.id)
        reasons = [f"{found.kind}: {found.reason}" for _, found in related if found.reason]
        reasons += self._make_room(fact)
        outcome = REVISED if against else REINFORCED if twin else ADDED
        closed = tuple(old.id for old, _ in against)
        return Outcome(index, outcome, fact.id, closed, "; ".join(dict.fromkeys(reasons)))

    # what stands against what

    def _related(self, op: facts.FactOp) -> list[tuple[facts.Fact, relation.Decision]]:
        """The held facts to which the operation is anything, and what it is to each."""
        held = tuple(self.held.values())
        revises = op.kind == facts.REVISE
        source = dataclasses.replace(self.source, quote="") if revises else self.source
        claim = heard.Claim(op.said, "/".join(place(op)), op.polarity, source)
        decisions = self.decide(claim, held)
        replaced = self._same_words(op) if revises else None
        found = []
        for fact, decision in zip(held, decisions, strict=True):
            same = decision.kind == relation.SAME
            if fact is replaced and not same:
                decision = relation.Decision(relation.REPLACES, "revised by name")
            elif same and revises and self._reworded(op, fact):
                decision = relation.Decision(relation.REPLACES, "says the same in other words")
            if decision.kind != relation.UNRELATED:
                found.append((fact, decision))
        return found

    def _reworded(self, op: facts.FactOp, old: facts.Fact) -> bool:
        """Whether the user's own wording of a fact differs from the one held before this turn."""
        own = op.authority == "stated" and old.id not in self.fresh
        return own and op.statement != old.statement

    def _outranks(self, op: facts.FactOp, old: facts.Fact) -> bool:
        if op.authority == "stated":
            return True
        if old.authority == "stated":
            return False
        return op.confidence >= decay.confidence_at(old, now=self.now)

    def _same_words(self, op: facts.FactOp) -> facts.Fact | None:
        named = flat(op.old)
        exact = self._find(lambda fact: fact.statement == named)
        key = statements.key(named)
        return exact or self._find(lambda fact: statements.key(fact.statement) == key)

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
            statement=op.said,
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

    def _make_room(self, fact: facts.Fact) -> list[str]:
        """Closes what is too much beside a new fact; says how many went, where any did."""
        other = fact.category == facts.OTHER
        members = [
            member
            for member in self.held.values()
            if (member.category == facts.OTHER if other else member.slot == fact.slot)
        ]
        stated = [member for member in members if member.authority == "stated"]
        most = MAX_OTHER if other else MAX_PER_SLOT
        gone = self._least(members, "inferred", len(members) - max(most, len(stated)))
        gone += self._least(members, "stated", len(stated) - MAX_STATED)
        for member in gone:
            self._close(member, CROWDED, None)
        return [f"{CROWDED}: {len(gone)}"] if gone else []

    def _least(
        self, members: Iterable[facts.Fact], authority: str, excess: int
    ) -> list[facts.Fact]:
        """The `excess` least certain facts of an authority, of those that may go."""
        may_go = [
            member
            for member in members
            if member.authority == authority
            and member.id not in self.fresh
            and not (authority == "stated" and facts.is_safety(member))
        ]
        may_go.sort(key=lambda member: decay.confidence_at(member, now=self.now))
        return may_go[: max(excess, 0)]


def _refusal(index: int, reason: str, fact_id: str | None = None) -> Outcome:
    return Outcome(index, REFUSED, fact_id, (), reason)
