"""What answers a chat request, in a thread: a turn of a user's, or a plain completion."""

import dataclasses
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from pa_jax.agent import handle, session
from pa_jax.dialogue import schema, template
from pa_jax.infer.serving import scheduler
from pa_jax.profile import turns
from pa_jax.profile.db import journal
from pa_jax.serve import errors, profiles, wire

REASONS = {
    "end": "stop",
    "stop": "stop",
    "cancelled": "stop",
}  # of a Finished; else "length"
_LOOKED_AT = 8  # sessions of a user, when a request does not say which one goes on


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens of the prompt, and those drawn for all choices."""

    prompt: int
    reply: int


@dataclasses.dataclass(frozen=True)
class Piece:
    """Text of a choice."""

    choice: int
    text: str


class Plain:
    """A completion of the messages as they are; nothing is looked up or kept."""

    kind = "plain"

    def __init__(
        self,
        engine: scheduler.Scheduler,
        messages: Sequence[schema.Message],
        how: dict[str, Any],
        n: int,
    ) -> None:
        self._engine, self._messages, self._how, self._n = engine, tuple(messages), how, n
        self._tickets: list[scheduler.Ticket] = []

    def prepare(self) -> None:
        """Hands it to the engine; an ApiError where it cannot."""
        words = self._engine.model.tokenizer
        try:
            ids = template.encode_chat(words, self._messages, add_generation_prompt=True)
        except ValueError as error:
            raise errors.ApiError(
                400, f"{error}", code="invalid_value", param="messages"
            ) from error
        longest = self._engine.longest[0]
        if len(ids) > longest:
            raise errors.ApiError(
                400,
                f"the messages take {len(ids)} tokens, at most {longest} are allowed; send fewer.",
                code="context_length_exceeded",
                param="messages",
            )
        try:
            for i in range(self._n):
                how = self._how | {"seed": (self._how["seed"] + i) % wire.SEEDS}
                self._tickets.append(self._engine.submit(ids, **how))
        except (scheduler.Busy, scheduler.Closed):
            self.leave()
            raise

    def __iter__(self) -> Iterator[Piece]:
        for i, ticket in enumerate(self._tickets):
            for piece in ticket:
                yield Piece(i, piece)

    def leave(self) -> None:
        """Ends it where it is; from any thread."""
        for ticket in self._tickets:
            ticket.cancel()

    def reasons(self) -> list[str]:
        """Why each choice ended."""
        return [REASONS.get(ticket.result().reason, "length") for ticket in self._tickets]

    def usage(self) -> Usage:
        """What it took."""
        drawn = sum(len(ticket.result().ids) for ticket in self._tickets)
        return Usage(len(self._tickets[0].request.prompt), drawn)

    def begun(self) -> None:
        """Nothing is kept of it."""

    def made(self) -> None:
        """Nothing came of it besides its text."""


class SessionTurn:
    """A turn of a user's session."""

    kind = "turn"

    def __init__(
        self,
        agent: session.Agent,
        user: str,
        place: tuple[int | None, int | None],
        messages: Sequence[schema.Message],
        how: dict[str, Any],
    ) -> None:
        """`place` is the session that goes on, and the turn of it that this takes the place of.

        A session None is the one that the messages show, or a new one; a turn None is none.
        """
        self._agent, self._user, self._how = agent, user, how
        self._number, self._replaces = place
        self._system = "\n".join(m.content for m in messages if m.role == "system")
        *self._earlier, self._last = [m for m in messages if m.role != "system"]
        self._handle = handle.ReplyHandle()
        self._stream: session.ReplyStream | None = None

    def prepare(self) -> None:
        """Finds its session; an ApiError where there is no such one."""
        book, user, number = self._agent.profiles.journal, self._user, self._number
        before: Sequence[schema.Message] = ()
        if number is not None and not book.last(user, number, 1):
            raise errors.ApiError(
                404,
                f"user {user!r:.60} has no session {number}; leave it out to begin one.",
                code="session_not_found",
                param="session",
            )
        if self._replaces is not None:
            said = self._agent.session(user, number).said()
            if all(turn.turn != self._replaces or not turn.words for turn in said):
                raise _no_turn(number, self._replaces)
            self._how = {"seed": secrets.randbelow(wire.SEEDS)} | self._how  # not the same again
        if number is None and self._earlier:
            number = continued(book, user, self._earlier)
            before = () if number is not None else self._earlier
        self._handle = handle.ReplyHandle(self._how, before, self._system)
        talk = self._agent.session(user, number)
        self._stream = talk.stream(self._last.content, self._handle, replaces=self._replaces)

    @property
    def _begun(self) -> session.ReplyStream:
        assert self._stream is not None  # `prepare` came first
        return self._stream

    def __iter__(self) -> Iterator[Piece]:
        try:
            for piece in self._begun:
                yield Piece(0, piece)
        except session.NoSuchTurn:  # it was taken back while this waited
            raise _no_turn(self._number, self._replaces) from None

    def leave(self) -> None:
        """Ends it where it is; from any thread. What was said until now is the reply."""
        self._handle.leave()

    def reasons(self) -> list[str]:
        """Why it ended."""
        ticket = self._handle.ticket
        if ticket is None:
            return ["stop"]
        reason = ticket.result().reason
        if reason == "cancelled" and not self._handle.left:
            return ["length"]  # as much as a turn keeps
        return [REASONS.get(reason, "length")]

    def usage(self) -> Usage:
        """What the reply took; what was inferred and decided before it is not counted."""
        ticket = self._handle.ticket
        if ticket is None:
            return Usage(0, 0)
        return Usage(len(ticket.request.prompt), len(ticket.result().ids))

    def begun(self) -> dict[str, Any] | None:
        """Where the turn stands, once it has begun."""
        turn = self._handle.turn
        return None if turn is None else {"session": turn.session, "turn": turn.turn}

    def made(self) -> dict[str, Any]:
        """What came of the turn besides its reply, once it is done."""
        made = profiles.turn_made(self._begun.reply, now=self._agent.clock())
        return made.model_dump(mode="json")


def _no_turn(number: int | None, turn: int | None) -> errors.ApiError:
    message = f"session {number} has no turn {turn} with words; leave out replaces to say it anew."
    return errors.ApiError(404, message, code="turn_not_found", param="replaces")


def continued(book: journal.Journal, user: str, messages: Sequence[schema.Message]) -> int | None:
    """The user's latest session in which exactly these messages were said, None for none."""
    shown = [(m.role, turns.clean(m.content)) for m in messages]
    for number in book.sessions(user, _LOOKED_AT):
        said = [turn for turn in book.last(user, number, len(shown) + 1) if turn.words]
        kept = [
            (role, text)
            for turn in said
            for role, text in (("user", turn.words), ("assistant", turn.reply))
        ]
        if kept == shown:
            return number
    return None
