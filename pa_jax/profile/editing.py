"""Facts in the user's own words: what one written by hand becomes, new or in another's place."""

from collections.abc import Iterable, Sequence

from pa_jax.english import person, statements
from pa_jax.profile import facts, placement, turns, update


class WrongStatement(ValueError):
    """Words that cannot take a fact's place; nothing was changed."""


def statement(text: str) -> str:
    """The one sentence that the user's words make; a WrongStatement where they make none."""
    _require_short(text)
    lines = turns.clean(text).strip().splitlines()
    if len(lines) > 1:
        raise WrongStatement(f"the statement has {len(lines)} lines; write one sentence on one.")
    said = "".join(lines)
    if not any(c.isalnum() for c in said):
        raise WrongStatement("the statement has no words; write one, or forget the fact.")
    made = person.stated(said)
    if made is None:
        raise WrongStatement(
            f"{said!r:.60} is no single statement about the user; write one sentence that begins "
            "with I, My or The user."
        )
    _require_short(made)
    if statements.ended(made) is not None:
        raise WrongStatement(
            f"{made!r:.60} says what is over; write what holds now, or forget the fact."
        )
    return update.flat(made)


def added(said: str, held: Sequence[facts.Fact]) -> facts.FactOp:
    """The operation that adds a `statement`; refuses what is held already."""
    _require_new(said, held)
    return facts.FactOp(
        kind=facts.ADD,
        statement=said,
        slot=placement.place(said, held),
        replaces=None,
        polarity=statements.polarity(said),
        authority="stated",
        confidence=1.0,
    )


def revised(fact: facts.Fact, said: str, held: Iterable[facts.Fact]) -> facts.FactOp:
    """The operation that puts a `statement` in a fact's place; refuses what is held already.

    Its slot stays, unless other words than before place it elsewhere.
    """
    _require_new(said, held)
    was, now = (placement.place(text, ()) for text in (fact.statement, said))
    moved = now != was and not now.startswith(f"{facts.OTHER}/")
    return facts.FactOp(
        kind=facts.REVISE,
        statement=said,
        slot=now if moved else fact.slot,
        replaces=fact.statement,
        polarity=statements.polarity(said),
        authority="stated",
        confidence=1.0,
    )


def _require_new(said: str, held: Iterable[facts.Fact]) -> None:
    for other in held:
        if other.statement.rstrip(" .!") == said.rstrip("."):
            raise WrongStatement(
                f"fact {other.id} says that already; write something else, or forget a fact."
            )


def _require_short(text: str) -> None:
    if len(text) > facts.MAX_LINE_CHARS:
        raise WrongStatement(
            f"the statement has {len(text)} characters, at most {facts.MAX_LINE_CHARS} are "
            "kept; shorten it."
        )
