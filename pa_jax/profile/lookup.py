"""Finding facts by their words, by the user's behind them, or by their place in the taxonomy."""

from collections.abc import Iterable

from pa_jax.english import second_person, words
from pa_jax.profile import facts, taxonomy

MAX_CHARS = 200  # of what is searched for


def matching(held: Iterable[facts.Fact], text: str) -> tuple[facts.Fact, ...]:
    """The facts that have every word of `text`, or one that begins with it.

    All for no text or blanks; none for signs alone, which no word is.
    """
    wanted = words.tokens(text)
    if text.strip() and not wanted:
        return ()
    return tuple(fact for fact in held if _has(fact, wanted))


def _has(fact: facts.Fact, wanted: Iterable[str]) -> bool:
    if fact.category == facts.OTHER:
        place = fact.subcategory.replace("_", " ")
    else:
        content = taxonomy.Taxonomy.load()
        category = next(c.name for c in content.categories if c.id == fact.category)
        place = f"{category} {content.get(fact.slot).name}"
    said = second_person.told(fact.statement, fact.source.quote)
    own = words.tokens(f"{fact.statement} {said} {fact.source.quote} {place}")
    stems = frozenset(map(words.stem, own))
    return all(
        words.stem(word) in stems or any(one.startswith(word) for one in own) for word in wanted
    )
