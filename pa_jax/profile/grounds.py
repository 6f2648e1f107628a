"""The words that a statement may rest on: those of its turn, and of what they name."""

from collections.abc import Sequence

from pa_jax.english import changes, memory, pairs, statements, words
from pa_jax.profile import facts


def heard(quote: str, held: Sequence[facts.Fact], statement: str) -> frozenset[str] | None:
    """The content words that a statement may rest on, None where they cannot tell.

    Those of the user's words, and of the held facts that the words name in part: "I meant Hanna,
    not Anna" rests on "a daughter called Anna". Also of those beside which all that is new was
    heard: "I meant six". Words in another language cannot be compared.
    """
    if not words.is_english(quote):
        return None
    said, own = _worded(quote), _worded(statement)
    known = [_worded(fact.statement) for fact in held]
    new = statements.parse(statement)
    if any(pairs.awaited(new, fact.statement, quote) for fact in held):
        return said | own
    named = [parts for parts in known if parts & said or set() < own - parts <= said | _DIGITS]
    if changes.puts_right(quote) and not own & said:  # "none, I mean none"
        named += [parts for parts in known if parts.issuperset(new.core)]
    return said.union(*named)


@memory.remembered(4096)
def _worded(text: str) -> frozenset[str]:
    """The content words of a text, and its numbers in digits."""
    return statements.content(text) | frozenset(words.numbers(text))


_DIGITS = frozenset(map(words.stem, words.NUMBERS))  # written out: they count as digits
