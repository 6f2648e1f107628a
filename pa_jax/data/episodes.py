"""A dialogue as single turns: the Markov decision process that training walks."""

import dataclasses
import zlib
from collections.abc import Sequence

from pa_jax.data import numbered
from pa_jax.dialogue import schema, snippet


class Steps(numbered.Numbered[schema.Episode]):
    """One episode a turn; its profile is what the gold of earlier turns says and none took back.

    All turns are read once; an episode is made when it is asked for.
    """

    def __init__(self, dialogue: schema.Dialogue) -> None:
        super().__init__(len(dialogue.turns), self._at)
        self._dialogue = dialogue
        # (statement, first turn that knows it, first turn that does not any more), oldest first
        self._known: list[tuple[str, int, int]] = []
        never = len(dialogue.turns)
        places: dict[str, int] = {}  # of what holds
        session: int | None = None
        for number, turn in enumerate(dialogue.turns):
            if session is not None and turn.session < session:
                raise ValueError(
                    f"Dialogue {dialogue.id}: turn {number} is of session {turn.session} after "
                    f"session {session}; sessions must come in order. Sort the turns by session."
                )
            session = turn.session
            for statement in turn.retires:
                if statement in places:
                    place = places.pop(statement)
                    self._known[place] = (statement, self._known[place][1], number + 1)
            for statement in _statements(turn.gold, f"{dialogue.id}/{number}"):
                if statement not in places:
                    places[statement] = len(self._known)
                    self._known.append((statement, number + 1, never))

    def _at(self, number: int) -> schema.Episode:
        turn = self._dialogue.turns[number]
        before = self._dialogue.turns[number - 1] if number else None
        answers = before is not None and turn.session == before.session
        return schema.Episode(
            id=f"{self._dialogue.id}/{number}",
            user_id=self._dialogue.user_id,
            profile=tuple(text for text, begin, end in self._known if begin <= number < end),
            context=before.assistant if before and answers else "",
            user=turn.user,
            gold=turn.gold,
            slot=turn.slot,
            kind=turn.kind,
        )


def strangers(
    episodes: Sequence[schema.Episode], share: float
) -> numbered.Numbered[schema.Episode]:
    """Episodes of which a share, always the same ones, comes from users of whom nothing is known.

    What the turn tells is the same. Their prompts begin alike up to the turn, so that a row of a
    device, which holds a beginning once, has room for twice as many.
    """

    def make(index: int) -> schema.Episode:
        one = episodes[index]
        stranger = zlib.crc32(one.id.encode()) < share * 2**32
        return dataclasses.replace(one, profile=()) if stranger else one

    return numbered.Numbered(len(episodes), make)


def decompose(dialogue: schema.Dialogue) -> list[schema.Episode]:
    """The episodes of a dialogue, all of them."""
    return list(Steps(dialogue))


def _statements(gold: str | None, name: str) -> tuple[str, ...]:
    if gold is None:
        return ()
    parsed = snippet.parse(gold)
    if isinstance(parsed, snippet.ParseFailure):
        raise ValueError(
            f"Turn {name}: gold {gold!r} is no snippet ({parsed.reason}); it must be one to "
            f"{snippet.MAX_STATEMENTS} lines of text, {snippet.NOTHING!r} or None."
        )
    return parsed.statements
