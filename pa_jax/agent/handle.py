"""Who waits for the answer of a turn: what they want of it, what came of it, and how they leave."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pa_jax.dialogue import schema
from pa_jax.infer.serving import scheduler
from pa_jax.profile import turns

_POLL_SECONDS = 0.02  # between tries for room in a full queue


class Left(RuntimeError):
    """The caller was gone before its turn began; nothing of it was kept."""


@dataclasses.dataclass(eq=False)
class ReplyHandle:
    """One caller of one turn; `leave` may come from any thread, the rest is the turn's.

    how     options of Scheduler.submit that take the place of AgentConfig's for this answer
    before  messages of user and assistant, said elsewhere, that come before the session's own
    system  the operator's word on how to reply
    turn    the turn as it began, None before that
    ticket  the answer's, None before it was submitted
    """

    how: dict[str, Any] = dataclasses.field(default_factory=dict)
    before: Sequence[schema.Message] = ()
    system: str = ""
    turn: turns.Turn | None = None
    ticket: Any = None
    _behind: "ReplyHandle | None" = None
    _changing: Any = dataclasses.field(default_factory=threading.Lock)
    _left: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def left(self) -> bool:
        """Whether nobody waits any more."""
        return self._left.is_set()

    @property
    def context(self) -> str:
        """The message that the turn answers, as far as `before` tells, else ""."""
        last = self.before[-1] if self.before else None
        return last.content if last is not None and last.role == "assistant" else ""

    def behind(self) -> "ReplyHandle":
        """Who waits for an earlier turn before this caller's own, and leaves when it does.

        Raises Left where it has: no turn is begun, or gone on with, that nobody waits for.
        """
        if self.left:
            raise Left("nobody waits for this turn any more; it was not begun.")
        self._behind = ReplyHandle(_changing=self._changing, _left=self._left)
        return self._behind

    def leave(self) -> None:
        """Waits no longer: what was said until now is the answer. Twice does no harm."""
        with self._changing:
            self._left.set()
        for one in (self, self._behind):
            if one is not None and one.ticket is not None:
                one.ticket.cancel()

    def ticket_of(self, submit: Callable[[], Any], *, wait_seconds: float) -> Iterable[str]:
        """The pieces of what `submit` asks for; waits for room in the engine's queue."""
        until = time.monotonic() + wait_seconds
        while True:
            with self._changing:
                if self.left:
                    return ()
                try:
                    self.ticket = submit()
                    return self.ticket
                except scheduler.Busy:
                    if time.monotonic() > until:
                        raise
            self._left.wait(_POLL_SECONDS)
