"""What a new statement is to a held fact: the one place where that is decided.

`decide` does it by words (english); what decides by a model has the same signature, and is handed
to update.apply in its place.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from pa_jax.english import changes, statements, words
from pa_jax.profile import facts, taxonomy

SAME = "same"  # says what is known
REFINES = "refines"  # says more of what is known; both stand
OPPOSITE = "opposite"  # contradicts it
REPLACES = "replaces"  # stands in its place: another value of `one`, or what the words give up
UNRELATED = "unrelated"
KINDS = (SAME, REFINES, OPPOSITE, REPLACES, UNRELATED)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A new statement, where it was placed, and the user's words of its turn."""

    statement: str
    slot: str
    polarity: str
    source: facts.Source


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a claim is to one held fact, one of KINDS, and why; never the user's words."""

    kind: str
    reason: str


Decider = Callable[[Claim, Sequence[facts.Fact]], Sequence[Decision]]

_NO = Decision(UNRELATED, "")


def decide(claim: Claim, held: Sequence[facts.Fact]) -> list[Decision]:
    """What the claim is to each held fact, by rules over English words."""
    last = max(((f.source.session, f.source.turn) for f in held), default=None)
    new = statements.parse(claim.statement)
    said = _Said(claim, new, last)
    return [said.against(fact) for fact in held]


class _Said:
    """A claim, read once, compared with one fact after the other."""

    def __init__(
        self, claim: Claim, new: statements.Statement, last: tuple[int, int] | None
    ) -> None:
        self.claim, self.new, self.last = claim, new, last
        self.quote = claim.source.quote
        self.passing = new.passing or changes.passing(self.quote, new.named)
        self.adds = changes.adds(self.quote, new.named)

    def against(self, fact: facts.Fact) -> Decision:
        new, old = self.new, statements.parse(fact.statement)
        if words_equal(self.claim.statement, fact.statement):
            return Decision(SAME, "the same words")
        if new.whose != old.whose:
            return _NO
        for rule in (self._same, self._opposite, self._replaces, self._refines):
            decision = rule(fact, old)
            if decision is not None:
                return decision
        return _NO

    # the rules, in the order in which they are asked

    def _same(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        new = self.new
        alike = new.kind == old.kind and new.about == old.about
        if alike and new.against == old.against and new.past == old.past:
            return Decision(SAME, "says the same")
        return None

    def _opposite(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        new = self.new
        if not _comparable(new, old) or new.passing:
            return None
        if new.past != old.past and new.against == old.against:
            over = new.kind == old.kind and new.about == old.about and new.past
            return Decision(OPPOSITE, "is told as past") if over else None
        core, held = frozenset(new.core), frozenset(old.core)
        if new.against == old.against:
            if new.over and new.over == held and old.over == core:
                return Decision(OPPOSITE, "prefers the other way round")
            return None
        if old.exceptions and core <= old.exceptions and not new.scope:
            return Decision(OPPOSITE, "is an exception no more")
        if new.exceptions or old.exceptions:
            return None
        apart = new.scope - old.scope - _slot_words(fact.slot)
        if apart:  # what holds in one situation only stands beside what holds in all
            return None
        if core == held and (new.numbers == old.numbers or new.against):
            return Decision(OPPOSITE, "says the opposite")
        if new.against and core and core < held and not new.numbers:
            return self._denied(old)
        return None

    def _denied(self, old: statements.Statement) -> Decision | None:
        """A general denial ends what it covers: "has no car" a red one; not tastes."""
        plain = (statements.HAVE, statements.HABIT, statements.DO)
        if self.new.kind in plain and old.kind in plain:
            return Decision(OPPOSITE, "denies it in general")
        return None

    def _replaces(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        claim, new = self.claim, self.new
        if self.passing:
            return None
        one = claim.slot == fact.slot and holds_one(claim.slot)
        corrected = self._corrected(fact, old)
        if corrected is not None:
            return corrected
        if one:
            return self._in_one(fact, old)
        if self._gives_up(fact, old):
            return Decision(REPLACES, "the words give it up")
        if _another_number(new, old) and not self._scopes_apart(fact, old):
            return Decision(REPLACES, "another number")
        other = claim.slot.startswith(facts.OTHER) or fact.category == facts.OTHER
        if (
            other
            and new.named & old.named
            and _parallel(new, old)
            and changes.announces(self.quote, new.named)
        ):
            return Decision(REPLACES, "the words announce a change")
        return None

    def _in_one(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        """Another value of a slot that holds one."""
        new = self.new
        if self.adds:
            return None
        if self._scopes_apart(fact, old) and not self._gives_up(fact, old):
            return None
        if not new.against and not old.against:
            return Decision(REPLACES, "its slot holds one")
        states = new.kind in (statements.HAVE, statements.BE, statements.DO)
        if states and new.kind == old.kind and frozenset(new.core) & frozenset(old.core):
            return Decision(REPLACES, "its slot holds one")
        return None

    def _corrected(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        """What the words of a correction put right: what they name, or what was said last."""
        if not changes.corrects(self.quote):
            return None
        latest = (fact.source.session, fact.source.turn) == self.last
        beside = _parallel(self.new, old) or _another_number(self.new, old)
        in_one = self.claim.slot == fact.slot and holds_one(self.claim.slot)
        differs = frozenset(old.core) - frozenset(self.new.core) | set(old.numbers)
        named = changes.gives_up(self.quote, differs)
        if (beside and (latest or named)) or (in_one and latest):
            return Decision(REPLACES, "is corrected")
        return None

    def _gives_up(self, fact: facts.Fact, old: statements.Statement) -> bool:
        """Whether the user's words give the fact up, in the slot or category of the new one."""
        category = self.claim.slot.partition("/")[0]
        near = facts.OTHER in (category, fact.category) or category == fact.category
        if not near or old.kind == statements.ALLERGY and self.new.kind != statements.ALLERGY:
            return False
        same_slot = self.claim.slot == fact.slot
        alone = len(old.named) == 1 and not same_slot  # one word names too much elsewhere
        what = old.named | old.scope if alone else old.named
        what = what - _slot_when(fact.slot) or old.named | old.scope
        if what <= self.new.named:
            return False
        name = _slot_name(fact.slot) if same_slot else frozenset()
        return changes.gives_up(self.quote, what, name)

    def _refines(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        new = self.new
        if new.kind != old.kind or new.against != old.against or not old.core:
            return None
        more = len(new.core) + len(new.numbers) + len(new.scope) > len(old.core) + len(
            old.numbers
        ) + len(old.scope)
        if more and frozenset(old.core) <= frozenset(new.core) and old.scope <= new.scope:
            return Decision(REFINES, "says more of the same")
        return None

    def _scopes_apart(self, fact: facts.Fact, old: statements.Statement) -> bool:
        """Whether the new statement holds in a situation of which the held one does not speak."""
        own = _slot_words(fact.slot)
        new, held = self.new.scope - own, old.scope - own
        return bool(new - held)


def heard(quote: str, held: Sequence[facts.Fact]) -> frozenset[str] | None:
    """The content words that a statement may rest on, None where they cannot tell.

    Those of the user's words, and of the held facts that the words name in part: "I meant Hanna,
    not Anna" rests on "a daughter called Anna". Words in another language cannot be compared.
    """
    if not words.is_english(quote):
        return None
    said = statements.content(quote) | frozenset(words.numbers(quote))
    named = [parts for fact in held if (parts := statements.content(fact.statement)) & said]
    return said.union(*named)


def words_equal(a: str, b: str) -> bool:
    """Whether two statements are the same words, case and marks apart."""
    return words.tokens(a) == words.tokens(b)


def holds_one(slot: str) -> bool:
    """Whether a slot holds one value at a time; labels under OTHER hold many."""
    found = _slot(slot)
    return found is not None and found.holds == taxonomy.ONE


def _comparable(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether one can contradict the other: an allergy is no dislike, a cat is no love of cats."""
    if statements.ALLERGY in (new.kind, old.kind):
        return new.kind == old.kind
    if new.kind == old.kind:
        return new.kind != statements.HABIT or new.verb == old.verb
    plain = {new.kind, old.kind} <= {statements.LIKE, statements.HABIT, statements.DO}
    return plain


def _another_number(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements differ in a number alone; works have numbers in their names."""
    if new.kind != old.kind or new.against != old.against:
        return False
    if new.kind in (statements.LIKE, statements.ALLERGY):
        return False
    people = frozenset(new.core) & _NAMED_APART
    return (
        bool(new.numbers and old.numbers)
        and new.numbers != old.numbers
        and frozenset(new.core) == frozenset(old.core)
        and not people
    )


_NAMED_APART = frozenset("son daughter child brother sister call nam".split())


def _parallel(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements are alike but for one word: "a daughter called Anna", "... Hanna"."""
    one, other = frozenset(new.core), frozenset(old.core)
    return (
        new.kind == old.kind
        and new.against == old.against
        and bool(one & other)
        and max(len(one - other), len(other - one)) == 1
    )


@functools.lru_cache(maxsize=1024)
def _slot(path: str) -> taxonomy.Subcategory | None:
    """The slot at a path, None under OTHER and for one that the taxonomy has no more."""
    found = (slot for slot in taxonomy.Taxonomy.load().subcategories if slot.path == path)
    return next(found, None)


@functools.lru_cache(maxsize=1024)
def _slot_words(path: str) -> frozenset[str]:
    """What the texts of a slot speak of: no situation of its own in that slot."""
    slot = _slot(path)
    if slot is None:
        return frozenset()
    texts = (slot.name, slot.definition, slot.question, slot.when, *slot.values)
    text = " ".join(texts)
    return frozenset(words.content(text, frozenset())) | frozenset(words.numbers(text))


@functools.lru_cache(maxsize=1024)
def _slot_when(path: str) -> frozenset[str]:
    slot = _slot(path)
    return frozenset(words.content(slot.when)) if slot else frozenset()


@functools.lru_cache(maxsize=1024)
def _slot_name(path: str) -> frozenset[str]:
    slot = _slot(path)
    return frozenset(words.content(slot.name)) if slot else frozenset()
