"""What the user's words of a turn say of the facts that are held: put out, given up, objected to.

relation.py asks it where a statement alone does not tell what it is to a held fact.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

from pa_jax.english import changes, endings, losses, pairs, statements
from pa_jax.profile import facts, slots


@dataclasses.dataclass(frozen=True)
class Claim:
    """A new statement, where it was placed, and the user's words of its turn."""

    statement: str
    slot: str
    polarity: str
    source: facts.Source


class Heard:
    """The words of a claim's turn, read once.

    new     the claim, parsed; `gone` and `lost`: what it tells as gone, and the head of it
    held    all that holds; `before` are those of it that the turn before the words taught, and
            `last` those of the last turn that taught any
    gives   whether the words give up anything
    """

    def __init__(self, claim: Claim, held: Sequence[facts.Fact]) -> None:
        self.claim, self.held, self.quote = claim, held, claim.source.quote
        self.new = statements.parse(claim.statement)
        self.gone, self.lost = losses.gone(claim.statement), losses.head(claim.statement)
        latest = max(map(_turn, held), default=None)
        self.last = [fact for fact in held if _turn(fact) == latest]
        self.before = facts.of_last_turn(self.last, (claim.source.session, claim.source.turn))
        self.corrects = changes.corrects(self.quote, self.new.named | self.new.scope)
        self.gives = bool(endings.given_up(self.quote))  # most words give nothing up
        self.objects = changes.objects(self.quote, self.new.named)

    @functools.cached_property
    def near(self) -> list[str]:
        """The clauses that speak of the claim, all of the words where none does."""
        return changes.near(self.quote, self.new.named | self.new.scope) or [self.quote]

    @functools.cached_property
    def turns(self) -> bool:
        """Whether those clauses tell of a change."""
        return any(map(changes.turns, self.near))

    @functools.cached_property
    def names_another(self) -> bool:
        """Whether the words name a held fact as what is over, so that they mean no other."""
        return any(map(self.put_out, parsed(self.held)))

    @functools.cached_property
    def named_over(self) -> list[frozenset[str]]:
        """What the held facts are called that are given up: "a steel wok" names no other wok."""
        called = (statements.parse(f.statement).named - _in_passing(f) for f in self.held)
        return [what for what in called if what and endings.gives_up(self.quote, what)]

    def objected(self, fact: facts.Fact, old: statements.Statement) -> bool:
        """Whether the words begin with an objection, to what was said last or last of its kind."""
        near = fact in self.before or (pairs.framed(self.new, old) and self.is_latest(fact))
        return self.objects and near

    def is_latest(self, fact: facts.Fact) -> bool:
        """Whether no later fact says the same kind of thing: of many the last is meant."""
        new = self.new
        later = (held for held in self.held if _turn(held) > _turn(fact))
        return not any(pairs.like(new, old) and pairs.apart(new, old) for old in parsed(later))

    def scrapped(self, fact: facts.Fact) -> bool:
        """Whether the words take back what the turn before taught, one thing that asked nothing."""
        return (
            self.before == [fact]
            and changes.scraps(self.quote)
            and not changes.asks(fact.source.quote)
        )

    def put_out(self, old: statements.Statement) -> bool:
        """Whether the words deny what the held statement says otherwise than the new one."""
        if not self.gives:
            return False
        differs = frozenset(old.core) - frozenset(self.new.core) | set(old.numbers)
        differs = differs or old.scope - self.new.scope
        return endings.gives_up(self.quote, differs - set(self.new.numbers))

    def gives_up(self, fact: facts.Fact, old: statements.Statement) -> bool:
        """Whether the user's words give the fact up, in the slot or category of the new one."""
        if not self.gives:
            return False
        category = self.claim.slot.partition("/")[0]
        near = fact.category in (facts.OTHER, category) or category == facts.OTHER
        does = self.new.kind in (statements.DO, statements.HABIT) and pairs.like(self.new, old)
        if not (near or does) or (self.gone and not self.lost & old.named):
            return False
        if old.kind == statements.ALLERGY and not (self.new.kind == old.kind and self.corrects):
            return False
        same_slot = self.claim.slot == fact.slot
        alike = same_slot or pairs.like(self.new, old)
        alone = len(old.named) == 1 and not alike  # one word names too much elsewhere
        what = old.named | old.scope if alone else old.named
        what = what - _in_passing(fact) or old.named | old.scope
        if what <= self.new.named:  # "at home" of "trains at home", "trains at a gym"
            what, same_slot = what | old.scope - self.new.scope, False
        if what <= self.new.named or any(what < called for called in self.named_over):
            return False
        known = statements.names(fact.statement) - self.new.named
        if known and pairs.like(self.new, old) and endings.gives_up(self.quote, known):
            return True
        name = slots.name(fact.slot) if same_slot else frozenset()
        denied = self.new.named if self.new.against else frozenset()
        return endings.gives_up(self.quote, what, name - denied)  # "no coffee" ends no sugar

    def scopes_apart(self, fact: facts.Fact, old: statements.Statement) -> bool:
        own = slots.spoken(fact.slot)
        return pairs.scopes_apart(self.new, old, own) or self.settings_apart(fact)

    def settings_apart(self, fact: facts.Fact) -> bool:
        """Whether the claim and the fact say different things of different settings."""
        own = slots.spoken(fact.slot)
        return pairs.settings_apart(self.claim.statement, fact.statement, own)


# "three coffees a day", "50 mg of topiramate"
_MEASURES = frozenset("hour day night week month year mg mcg milligram ml".split())


def _in_passing(fact: facts.Fact) -> frozenset[str]:
    """Words of a fact by which nobody calls it: "when flying", "a day"."""
    return slots.when(fact.slot) | _MEASURES


def parsed(held: Iterable[facts.Fact]) -> list[statements.Statement]:
    """The statements of facts, taken apart."""
    return [statements.parse(fact.statement) for fact in held]


def _turn(fact: facts.Fact) -> tuple[int, int]:
    return fact.source.session, fact.source.turn
