"""What the taxonomy says of a slot, by its path; of labels under OTHER it says nothing."""

import functools

from pa_jax.english import words
from pa_jax.profile import taxonomy


def holds_one(path: str) -> bool:
    """Whether a slot holds one value at a time; labels under OTHER hold many."""
    found = get(path)
    return found is not None and found.holds == taxonomy.ONE


def get(path: str) -> taxonomy.Subcategory | None:
    """The slot at a path, None under OTHER and for one that the taxonomy has no more."""
    return _slots().get(path)


@functools.cache
def spoken(path: str) -> frozenset[str]:
    """What the texts of a slot speak of: no situation of its own in that slot."""
    slot = get(path)
    if slot is None:
        return frozenset()
    text = " ".join((slot.name, slot.definition, slot.question, slot.when, *slot.values))
    return frozenset(words.content(text, frozenset())) | frozenset(words.numbers(text))


def when(path: str) -> frozenset[str]:
    """Stems of the situation that the slot itself speaks of."""
    slot = get(path)
    return frozenset(words.content(slot.when)) if slot else frozenset()


def name(path: str) -> frozenset[str]:
    """Stems of the slot's name."""
    slot = get(path)
    return frozenset(words.content(slot.name)) if slot else frozenset()


@functools.cache
def _slots() -> dict[str, taxonomy.Subcategory]:
    return {slot.path: slot for slot in taxonomy.Taxonomy.load().subcategories}
