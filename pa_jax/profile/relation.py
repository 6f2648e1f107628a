"""What a new statement is to a held fact: the one place where that is decided.

`decide` does it by words (english); what decides by a model has the same signature, and is handed
to update.apply in its place.
"""

import dataclasses
from collections.abc import Callable, Sequence

from pa_jax.english import (
    changes,
    degrees,
    endings,
    frames,
    losses,
    pairs,
    person,
    stance,
    statements,
    words,
)
from pa_jax.profile import circumstances, facts, heard, placement, slots

SAME = "same"  # says what is known
REFINES = "refines"  # says more of what is known; both stand
OPPOSITE = "opposite"  # contradicts it
REPLACES = "replaces"  # stands in its place: another value of `one`, or what the words give up
UNRELATED = "unrelated"
KINDS = (SAME, REFINES, OPPOSITE, REPLACES, UNRELATED)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a claim is to one held fact, one of KINDS, and why; never the user's words."""

    kind: str
    reason: str


Decider = Callable[[heard.Claim, Sequence[facts.Fact]], Sequence[Decision]]

_NO = Decision(UNRELATED, "")


def decide(claim: heard.Claim, held: Sequence[facts.Fact]) -> list[Decision]:
    """What the claim is to each held fact, by rules over English words."""
    said = _Said(heard.Heard(claim, held))
    return [said.against(fact) for fact in held]


class _Said:
    """A claim, read once, compared with one fact after the other."""

    def __init__(self, said: heard.Heard) -> None:
        claim, new, quote = said.claim, said.new, said.quote
        self.said, self.claim, self.new, self.held, self.quote = said, claim, new, said.held, quote
        self.favourite = stance.favourite(claim.statement)
        self.settles = circumstances.tells(claim.statement, claim.slot)
        self.bearer = person.bearer(claim.statement)
        self.rethought = endings.rethought(quote)
        self.passing = new.passing or changes.passing(quote, new.named)
        self.adds = changes.adds(quote, new.named | new.scope)
        self.anew = changes.is_new(quote) or changes.resumes(quote)

    def against(self, fact: facts.Fact) -> Decision:
        old = statements.parse(fact.statement)
        if words.tokens(self.claim.statement) == words.tokens(fact.statement):
            return Decision(SAME, "the same words")
        told = [other.statement for other in self.held] if self.said.lost else []
        if told and losses.of(self.said.gone, self.said.lost, fact.statement, told):
            return Decision(OPPOSITE, "is told as gone")
        if pairs.awaited(self.claim.statement, fact.statement, self.quote):
            return Decision(REPLACES, "has come by now")
        if pairs.is_one_of(self.bearer, self.new, old):
            return Decision(OPPOSITE, "has one by now")
        if self.bearer != person.bearer(fact.statement):
            return self._person_corrected(fact, old) or _NO
        if pairs.bygone(self.claim.statement, fact.statement) and not self.said.corrects:
            return _NO
        for rule in (self._turned, self._same, self._opposite, self._replaces, self._refines):
            decision = rule(fact, old)
            if decision is not None:
                return decision
        return _NO

    # the rules, in the order in which they are asked

    def _turned(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        new = self.claim.statement
        if degrees.cured(new, fact.statement, self.quote):
            return Decision(OPPOSITE, "is fine again")
        if not self.adds and pairs.instead(new, fact.statement):
            return Decision(REPLACES, "is named as what it stands in place of")
        if not self.adds and degrees.another(new, fact.statement):
            return Decision(REPLACES, "another degree")
        return None

    def _same(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        new = self.new
        alike = new.kind == old.kind and new.about == old.about
        alike = alike and pairs.one_measure(new, old)
        if alike and new.against == old.against and new.past == old.past:
            return Decision(SAME, "says the same")
        return None

    def _opposite(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        new = self.new
        if new.passing:
            return None
        if frames.left_open(self.claim.statement, fact.statement):
            return Decision(OPPOSITE, "one says that none is set")
        if not pairs.comparable(new, old):
            return None
        if new.past != old.past and new.against == old.against:
            over = new.kind == old.kind and new.about == old.about and new.past
            return Decision(OPPOSITE, "is told as past") if over else None
        core, held = frozenset(new.core), frozenset(old.core)
        if new.kind != old.kind:  # "never uses X", "likes X"
            core, held = new.named, old.named
        if new.against == old.against:
            if new.over and new.over == held and old.over == core:
                return Decision(OPPOSITE, "prefers the other way round")
            return None
        if old.exceptions and core <= old.exceptions and not new.scope:
            return Decision(OPPOSITE, "is an exception no more")
        if new.exceptions or old.exceptions:
            return None
        if statements.LIKE in (old.barred and new.kind, new.barred and old.kind):
            return None  # one may like what one may not do
        apart = new.scope - old.scope - slots.spoken(fact.slot)
        # what holds in one situation only stands beside what holds in all
        if apart and not (old.against and self.anew):
            return None
        if core == held and (new.numbers == old.numbers or new.against):
            return Decision(OPPOSITE, "says the opposite")
        if new.against and core and core < held and not new.numbers:
            return self._denied(old)
        # "Has no car" is over with a red car, "does not eat gluten" not with gluten-free bread.
        same_head = new.core[-len(old.core) :] == old.core or old.core == (old.verb,)
        has = new.kind == statements.HAVE and pairs.came(self.quote)
        done = old.against and held and held < core and same_head and (has or self.anew)
        return self._denied(old) if done and not apart and not facts.is_safety(fact) else None

    def _denied(self, old: statements.Statement) -> Decision | None:
        """A general denial ends what it covers: "has no car" a red one; not tastes, but wishes.

        So does what is done by now the denial: "cooks every evening" that one never does.
        """
        plain = (statements.HAVE, statements.HABIT, statements.DO)
        ends = self.new.verb in _ENDING and old.kind in plain
        wishes = all(read.verb.split()[-1:] in _WANTING for read in (self.new, old))
        if wishes or ends or (self.new.kind in plain and old.kind in plain):
            return Decision(OPPOSITE, "denies it in general")
        return None

    def _replaces(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        if self.bearer and pairs.another_age(self.claim.statement, fact.statement, self.quote):
            return Decision(REPLACES, "another age")
        new = self.new
        if self.passing and not (old.passing and pairs.another_number(new, old)):
            return None
        if fact in self.said.before and not self.adds and pairs.respelt(new, old):
            return Decision(REPLACES, "is spelt anew")
        corrected = self._corrected(fact, old)
        if corrected is not None:
            return corrected
        beside = self.adds and not circumstances.moves(self.quote)  # "moved out, too"
        if self.settles and not beside and not self.said.scopes_apart(fact, old):
            slot, of_old = self.claim.slot, fact.slot
            reason = circumstances.over(
                self.claim.statement, slot, fact.statement, of_old, self.quote
            )
            if reason:
                return Decision(REPLACES, reason)
        if self._takes_over(fact, old):
            return Decision(REPLACES, "the words announce a change")
        if not self.adds and frames.another_value(self.claim.statement, fact.statement, self.quote):
            return Decision(REPLACES, "its frame holds one")
        alone = self.favourite and not (self.adds or new.scope)
        if alone and self.favourite == stance.favourite(fact.statement):
            return Decision(REPLACES, "there is one favourite")
        if self._one_slot(fact):
            return self._in_one(fact, old)
        if self.said.gives_up(fact, old) or (
            self.rethought and pairs.rethought(new, old, self.rethought)
        ):
            return Decision(REPLACES, "the words give it up")
        anew = changes.is_new(self.quote) or "new" in words.tokens(self.quote)
        if anew and pairs.another_holder(self.claim.statement, fact.statement):
            return Decision(REPLACES, "there is one at a time")
        anew = self.anew or self.said.gives or self.said.corrects
        if anew and not self.adds and pairs.other_detail(self.claim.statement, fact.statement):
            return Decision(REPLACES, "changes a detail")
        if not self.adds and pairs.counted(self.new, old, fact.statement):
            return Decision(REPLACES, "is counted")
        if self._another_number(old) and not self.said.scopes_apart(fact, old):
            return Decision(REPLACES, "another number")
        return None

    def _one_slot(self, fact: facts.Fact) -> bool:
        return self.claim.slot == fact.slot and slots.holds_one(fact.slot)

    def _another_number(self, old: statements.Statement) -> bool:
        """Whether a number alone differs; of two children without names each has an age."""
        of_one = not self.bearer or "call" in old.core or set(old.core) == {self.bearer}
        anew = of_one or (changes.is_new(self.quote) and not self.adds)
        return anew and pairs.another_number(self.new, old)

    def _takes_over(self, fact: facts.Fact, old: statements.Statement) -> bool:
        """Whether the words tell of a change, and the statements differ in little: "teaches on
        Mondays", "teaches on Tuesdays". Tastes and what holds many need plain words for it.
        """
        new = self.new
        if self.bearer or self.adds:
            return False
        other = facts.OTHER in (fact.category, self.claim.slot.partition("/")[0])
        wish = new.kind == statements.LIKE and new.verb in pairs.WISHES
        instead = " instead" in self.claim.statement
        turned = self.said.turns or (wish and self.said.objected(fact, old)) or instead
        aims = pairs.aims(self.claim.statement, fact.statement)
        if (wish and pairs.like(new, old)) or aims:
            if self.said.put_out(old) or (
                self.said.before == [fact] and changes.rethinks(self.quote)
            ):
                return True
        if not pairs.framed(new, old):
            same = not other and self.claim.slot == fact.slot
            close = same or (other and bool(frozenset(new.core) & frozenset(old.core)))
            wished = wish and pairs.like(new, old) and pairs.apart(new, old)
            return turned and close and wished and self.said.is_latest(fact)
        if self.said.put_out(old):
            return True
        if self.said.names_another:
            return False
        if not other and self.claim.slot != fact.slot:  # "paper books" is filed unlike "e-books"
            just = self.said.before == [fact] and new.kind != statements.LIKE
            return turned and pairs.like(new, old) and (just or new.core[-1] == old.core[-1])
        if new.kind == statements.LIKE and not wish:
            return other and pairs.parallel(new, old) and turned
        newly = any(map(changes.is_new, self.said.near))
        if wish and newly and pairs.parallel(new, old) and new.core[-1] == old.core[-1]:
            return True
        plain = not (other or slots.holds_one(fact.slot) or pairs.other_time(new, old))
        if plain and turned:
            return self.said.is_latest(fact)
        return turned or (not (plain or aims) and newly)  # "now" of a plan ends no other

    def _in_one(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        """Another value of a slot that holds one."""
        new = self.new
        claim, known = self.claim.statement, fact.statement
        only = pairs.supposes(claim) and not pairs.supposes(known)
        if self.adds or only or not self._answers(fact, old):
            return None
        if circumstances.studies_on(claim, known, self.quote):
            return None
        # a loss is no other value, nor is what turns another fact, which stood beside this one
        if (self.said.lost or pairs.flips(new, heard.parsed(self.held))) and not self.said.gives_up(
            fact, old
        ):
            return None
        aims = pairs.purpose(claim), pairs.purpose(known)
        if new.kind == statements.HAVE and all(aims) and not aims[0] & aims[1]:
            return None
        if self.said.scopes_apart(fact, old) and not self.said.gives_up(fact, old):
            return None
        if pairs.refines(new, old):
            return None
        if not new.against and not old.against:
            return Decision(REPLACES, "its slot holds one")
        states = new.kind in (statements.HAVE, statements.BE, statements.DO)
        if states and new.kind == old.kind and frozenset(new.core) & frozenset(old.core):
            return Decision(REPLACES, "its slot holds one")
        return None

    def _answers(self, fact: facts.Fact, old: statements.Statement) -> bool:
        """Whether both answer one question, as what a slot holds may not: "gets up", "goes to bed".

        Beyond stances they share a word, or the words tell of a change, or both were surely placed.
        """
        new = self.new
        shared = (new.scope | set(new.core)) & (old.scope | set(old.core))
        if statements.LIKE == new.kind == old.kind or shared:
            return True
        if changes.is_new(self.quote) or self.said.gives_up(fact, old):
            return True
        if new.kind == statements.LIKE and new.verb not in pairs.WISHES:
            return False  # who loves a dish of it keeps a diet
        sure = all(placement.cue(s) == fact.slot for s in (self.claim.statement, fact.statement))
        return sure and (new.kind != old.kind or new.kind == statements.BE)

    def _corrected(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        """What the words of a correction put right: what they name, else what was said last."""
        if self.adds or not self.said.corrects or self.said.settings_apart(fact):
            return None
        if self.said.scrapped(fact):
            return Decision(REPLACES, "is taken back")
        named = self.said.put_out(old)
        if self.new.over and not named:  # "tables instead of lists" corrects what said lists
            return None
        latest = fact in self.said.last and not any(
            self.said.put_out(statements.parse(other.statement)) for other in self.said.last
        )
        new = self.new
        beside = pairs.parallel(new, old) or pairs.another_number(new, old)
        alone = latest and len(self.said.last) == 1 and changes.puts_right(self.quote)
        apart = max(len(set(new.core) - set(old.core)), len(set(old.core) - set(new.core)))
        swapped = pairs.like(new, old) and (named or apart <= (2 if alone else 1))
        if ((beside or self._one_slot(fact)) and (latest or named)) or (
            swapped and (alone or named)
        ):
            return Decision(REPLACES, "is corrected")
        return None

    def _person_corrected(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        """ "I said my sister, I meant my cousin": what was said of one is put right for another."""
        if not (self.said.gives and pairs.like(self.new, old) and self.said.put_out(old)):
            return None
        right = changes.puts_right(self.quote) and fact in self.said.last
        return Decision(REPLACES, "is corrected") if right else None

    def _refines(self, fact: facts.Fact, old: statements.Statement) -> Decision | None:
        return Decision(REFINES, "says more of the same") if pairs.refines(self.new, old) else None


_WANTING = (["want"], ["wants"], ["for"])  # "looks for"
_ENDING = frozenset(("stopped", "quit", "gave up", "given up"))
