"""Two faults of a snippet that a reward may pay for: lines that are copies, and turned stances.

Both name the lines, so that a share of snippets and a look at them come from one rule. A line is
judged whether or not the whole is a snippet by the grammar.
"""

from pa_jax.dialogue import schema, snippet
from pa_jax.english import changes, person, stance, statements

AKIN = 0.6  # share of the shorter object that two statements about the same have in common


def copies(episode: schema.Episode, text: str) -> list[str]:
    """Lines that are no news: a statement of the profile that gold does not make, or a quotation.

    Quoted is the turn, as snippet.quotes has it.
    """
    held = {statements.key(line) for line in episode.profile}
    held -= {statements.key(line) for line in _lines(episode.gold or "")}
    return [
        line
        for line in _lines(text)
        if statements.key(line) in held or snippet.quotes(line, episode.user)
    ]


def wrong_stances(episode: schema.Episode, text: str) -> list[str]:
    """Lines about what gold is about, or else the turn, that stand on the other side of it.

    What a line is about is told by its likest statement of gold; where none is like it, by what the
    user says of a stance of their own.
    """
    gold = _lines(episode.gold or "")
    return [line for line in _lines(text) if _turned(line, gold, episode.user)]


def _turned(line: str, gold: list[str], user: str) -> bool:
    for known in (gold, _own(user)):
        found = [(_likeness(line, one), _same_side(line, one)) for one in known]
        likest = max(found, default=(0.0, True))  # of equally like ones, one that agrees
        if likest[0] > 0:
            return not likest[1]
    return False


def _own(user: str) -> list[str]:
    """The user's clauses with a stance of their own, as statements."""
    return [person.third_person(one) for one in changes.clauses(user) if stance.is_own(one)]


def _likeness(a: str, b: str) -> float:
    """How much of their objects two statements share, 0 where they are about different things."""
    one, other = statements.parse(a), statements.parse(b)
    shared = len(one.named & other.named)
    fewer = min(len(one.named), len(other.named))
    if one.whose != other.whose or shared < AKIN * max(fewer, 1):
        return 1.0 if _reversed(a, b) else 0.0
    return 2 * shared / (len(one.named) + len(other.named))


def _same_side(a: str, b: str) -> bool:
    sides = [statements.polarity(one) == "negative" for one in (a, b)]
    return sides[0] == sides[1] and not _reversed(a, b)


def _reversed(a: str, b: str) -> bool:
    """Whether one prefers what the other leaves for it: "tea over coffee", "coffee over tea"."""
    one, other = statements.parse(a), statements.parse(b)
    return bool(
        one.over
        and one.over == frozenset(other.core)
        and other.over == frozenset(one.core)
        and one.against == other.against
    )


def _lines(text: str) -> list[str]:
    """The lines that say something."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not snippet.is_nothing(line)]
