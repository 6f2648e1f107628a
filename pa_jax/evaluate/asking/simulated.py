"""Simulated users who answer questions: truthfully, or not at all.

A user's preferences are those that its synthetic dialogue would show (data/synth/users, held-out
split), and for every other slot a value drawn from the same split's values, or from all of the
slot's where the split has none. Some slots a user will not talk about, on some there is no
preference.
"""

import dataclasses
import random
from collections.abc import Mapping, Sequence

from pa_jax.data import requests
from pa_jax.data.synth import truth, users
from pa_jax.profile import facts, taxonomy

RETICENT = 0.08  # share of slots that a user declines to talk about
INDIFFERENT = 0.12  # share of slots on which a user has no preference

_REFUSALS = ("I'd rather not say.", "Skip that one, please.", "That's private.")
_EITHER = ("No preference there.", "Either is fine with me.", "I don't mind.")


@dataclasses.dataclass(frozen=True)
class Person:
    """Who answers, and what is true.

    values    slot -> what the user prefers
    reticent  slots that the user declines to talk about
    wants     the requests of one session, in order
    """

    id: str
    values: Mapping[str, str]
    reticent: frozenset[str]
    wants: tuple[requests.Request, ...]

    def statement(self, slot: str) -> str | None:
        """The gold statement of a slot, None where there is nothing to learn."""
        if slot in self.reticent or slot not in self.values:
            return None
        place = taxonomy.Taxonomy.load().get(slot)
        return truth.statement(place, self.values[slot], truth.LIKE)

    def gold(self, request: requests.Request) -> tuple[str, ...]:
        """What a perfectly informed answer to a request would know."""
        said = (self.statement(slot) for slot in request.slots)
        return tuple(statement for statement in said if statement is not None)

    def reply(self, slot: str) -> str:
        """The words with which the user answers a question about a slot."""
        pick = truth.digest("reply", self.id, slot)
        if slot in self.reticent:
            return _REFUSALS[pick % len(_REFUSALS)]
        if slot not in self.values:
            return _EITHER[pick % len(_EITHER)]
        when = taxonomy.Taxonomy.load().get(slot).when
        return f"{truth.capital(self.values[slot])} {when}, please."

    def learnt(self, slot: str) -> tuple[facts.FactOp, ...]:
        """The operations of a perfect inferencer on that answer."""
        statement = self.statement(slot)
        if statement is None:
            return ()
        return (facts.FactOp(facts.ADD, statement, slot, None, "positive", "stated", 1.0),)


def knowing(slot: str, value: str) -> Person:
    """A user of whom one preference is given."""
    return Person("knowing", {slot: value}, frozenset(), ())


def open_book(seed: int) -> Person:
    """A user who has a preference on every slot and talks about each."""
    rng = random.Random(truth.digest("open book", seed))
    slots = taxonomy.Taxonomy.load().subcategories
    values = {slot.path: rng.choice(slot.values) for slot in slots}
    return Person(f"open-{seed}", values, frozenset(), ())


def people(
    count: int, *, seed: int, wants: Sequence[requests.Request], requests_each: int
) -> list[Person]:
    """`count` users who each make `requests_each` of the requests that depend on something."""
    wants = [request for request in wants if request.slots]
    return [_person(seed, index, wants, requests_each) for index in range(count)]


def _person(seed: int, index: int, wants: list[requests.Request], requests_each: int) -> Person:
    rng = random.Random(truth.digest("asking", seed, index))
    own = truth.values_of("heldout")
    values, reticent = {}, set()
    for slot in taxonomy.Taxonomy.load().subcategories:
        drawn = rng.random()
        value = rng.choice(own.get(slot.path, slot.values))
        if drawn < RETICENT:
            reticent.add(slot.path)
        elif drawn >= RETICENT + INDIFFERENT:
            values[slot.path] = value
    for fact in users.facts(seed, index, "heldout"):
        if fact.polarity == truth.LIKE:
            values[fact.slot] = fact.value
            reticent.discard(fact.slot)
    return Person(
        f"asked-{seed}-{index}",
        values,
        frozenset(reticent),
        tuple(rng.sample(wants, requests_each)),
    )
