"""The profile part of a prompt: which facts go in, and their text.

Training renders the statements of an episode; the agent first chooses among its facts, then
renders the chosen statements the same way.
"""

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pa_jax.english import statements
from pa_jax.profile import decay, facts, update

EMPTY = "(empty)"

_BULLET = "- "


def render(lines: Sequence[str], *, max_chars: int) -> str:
    """One "- statement" line each in the order given (oldest first), EMPTY when there is none.

    The text has at most `max_chars` characters: allergies are kept first, then the newest
    statements, and one that does not fit is left out whole. A statement is data: whatever breaks
    lines inside it becomes a space, so that it can neither open a second line nor imitate another
    part of the prompt.
    """
    if max_chars < len(EMPTY):
        raise ValueError(
            f"max_chars={max_chars} has no room for {EMPTY!r}; allow {len(EMPTY)} or more."
        )
    kept: dict[int, str] = {}
    room = max_chars + 1  # the last line ends without a line break
    order = sorted(range(len(lines)), key=lambda n: (not _is_allergy(lines[n]), -n))
    for number in order:
        line = _line(lines[number])
        if line and len(line) + 1 <= room:
            kept[number] = line
            room -= len(line) + 1
    return "\n".join(kept[number] for number in sorted(kept)) if kept else EMPTY


def _is_allergy(statement: str) -> bool:
    return statements.parse(statement).kind == statements.ALLERGY


def choose(
    profile: Iterable[facts.Fact],
    *,
    now: datetime.datetime,
    relevance: Callable[[facts.Fact], float],
    max_tokens: int,
    count: Callable[[str], int],
) -> tuple[facts.Fact, ...]:
    """The facts that matter most within a token budget, safety first, as `render` takes them.

    Safety facts (facts.is_safety) go before all others. Then a fact matters by `relevance` (0 or
    more; a constant function where nothing is asked) times its certainty at `now`, then by how new
    it is. One that does not fit is left out whole, and a less important one may take its room.
    `count` gives the tokens of a text: what is counted at the end is the rendered text, so the
    budget holds however tokens join.
    """
    if count(EMPTY) > max_tokens:
        raise ValueError(
            f"max_tokens={max_tokens} has no room for {EMPTY!r}; allow {count(EMPTY)} or more."
        )

    def weight(fact: facts.Fact) -> tuple[bool, float, datetime.datetime, str]:
        certain = decay.confidence_at(fact, now=now)
        return facts.is_safety(fact), relevance(fact) * certain, fact.recorded_at, fact.id

    chosen: list[facts.Fact] = []
    room = max_tokens
    for fact in sorted(profile, key=weight, reverse=True):
        tokens = count(_line(fact.statement) + "\n")
        if tokens <= room:
            chosen.append(fact)
            room -= tokens
    while chosen and count(_text(chosen)) > max_tokens:
        chosen.pop()
    return tuple(sorted(chosen, key=_shown))


def _shown(fact: facts.Fact) -> tuple[Any, ...]:
    """Sorts facts as a prompt shows them: safety first, each part oldest first."""
    return not facts.is_safety(fact), update.order(fact)


def _line(statement: str) -> str:
    """The statement's line, "" for one without words."""
    words = statement.split()
    return _BULLET + " ".join(words) if words else ""


def _text(chosen: Iterable[facts.Fact]) -> str:
    lines = [_line(fact.statement) for fact in sorted(chosen, key=_shown)]
    return "\n".join(lines)
