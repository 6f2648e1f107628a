"""The words that a statement may rest on: those of its turn, and of what they name."""

from collections.abc import Sequence

from pa_jax.english import changes, endings, memory, pairs, stance, statements, words
from pa_jax.profile import facts


def heard(
    quote: str, held: Sequence[facts.Fact], before: Sequence[facts.Fact], statement: str
) -> frozenset[str] | None:
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
    waited = any(pairs.awaited(statement, fact.statement, quote) for fact in held)
    if waited or any(_denied(new, fact, quote) for fact in before):
        return said | own
    named = [parts for parts in known if parts & said or set() < own - parts <= said | _DIGITS]
    if changes.puts_right(quote) and not own & said:  # "none, I mean none"
        named += [parts for parts in known if parts.issuperset(new.core)]
    return said.union(*named)


def _denied(new: statements.Statement, fact: facts.Fact, quote: str) -> bool:
    """Whether a statement denies what the turn before taught, and words of an end go with it.

    "It's cancelled for good" names nothing. Of an allergy the words themselves must deny.
    """
    old = statements.parse(fact.statement)
    if new.against == old.against or not new.named <= _worded(fact.statement):
        return False
    if changes.asks(quote) or (facts.is_safety(fact) and not stance.denials(quote)):
        return False
    return changes.is_new(quote) or bool(endings.given_up(quote))


@memory.remembered(4096)
def _worded(text: str) -> frozenset[str]:
    """The content words of a text, and its numbers in digits."""
    return statements.content(text) | frozenset(words.numbers(text))


_DIGITS = frozenset(map(words.stem, words.NUMBERS))  # written out: they count as digits
