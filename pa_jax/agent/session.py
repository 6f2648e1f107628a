"""What a user meets: a session answers, asks, and keeps what it learnt; any number at a time.

A message becomes a turn, and a turn goes through five stages (profile/turns.py):

    received   its words are in the journal; from here on it is not lost
    inferred   what they tell of the user, as operations on the profile
    applied    the operations, by the rules of profile/update.py, in one transaction
    decided    whether a question is worth its cost, given what is known by now
    replied    the answer as it was heard, and the question if it was put

The answer is written meanwhile, from what was known when the turn was received: who waits for it
waits for one generation and not for two, and its prompt has the turn's own words anyway
(agent/turn.py). What the turn taught serves the question, and the next answer.

Each stage keeps what it made before the next one begins, and reads what earlier ones kept. So a
process may end anywhere: the next message of the user, or `resume`, finds the turn in the journal
and finishes it from the stage that it reached. The store applies a turn once, however often it is
told to. Commands (add, edit, forget, undo) are turns without words: what they do to the profile is
given, and nothing is inferred or said.

Turns of one user come one after the other, over threads and processes: the profile that a turn is
read against must be the one that the turn before left. Turns of different users share the models'
batches.
"""

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Generator, Iterator, Sequence

from pa_jax.agent import handle
from pa_jax.agent.asking import rule
from pa_jax.agent.turn import (
    RECENT,
    AgentConfig,
    Answering,
    Decides,
    Infers,
    Parts,
    Prompting,
    Serves,
)
from pa_jax.english import refusals
from pa_jax.profile import editing, facts, store, turns, update
from pa_jax.profile.db import erasure, journal

Facts = tuple[facts.Fact, ...]


@dataclasses.dataclass(frozen=True)
class Reply:
    """A turn's answer, and what came of the turn.

    text      the generated answer, then the question on its own line
    asked     slot of the question, None where nothing is asked; `question` are its words
    why       why it was asked, or was not
    updates   facts that the turn changed, and how
    refused   why operations were refused; `dropped` why statements of the snippet did not count
    words     what the user said, as it was kept; with `session` and `turn`, where it stands
    times     when each of turns.STAGES was reached, by the agent's clock
    """

    text: str
    asked: str | None
    question: str | None
    why: str
    updates: tuple[update.Change, ...]
    refused: tuple[str, ...]
    dropped: tuple[str, ...]
    words: str
    session: int
    turn: int
    times: tuple[datetime.datetime, ...]


class NoSuchTurn(LookupError):
    """There is no turn that another could take the place of."""


class Agent:
    """Profiles, models and the clock; sessions are opened on it."""

    def __init__(
        self,
        profiles: store.ProfileStore,
        infers: Infers,
        decides: Decides,
        prompts: Prompting,
        serves: Serves,
        *,
        clock: Callable[[], datetime.datetime],
        cfg: AgentConfig,
    ) -> None:
        """Takes an Inferencer, a Proactive, a Responder, a Scheduler, which it leaves open.

        `clock` gives aware times in UTC.
        """
        self.profiles, self.clock, self.cfg = profiles, clock, cfg
        self.parts = Parts(infers, decides, prompts, serves)
        self.answering = Answering(profiles, self.parts, clock=clock, cfg=cfg)

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def session(self, user_id: str, number: int | None = None) -> "Session":
        """A session of a user: a new one, or an earlier one by its number."""
        return Session(self, user_id, number)

    def close(self) -> None:
        """Takes no more turns; those under way get through. Twice does no harm."""
        self.answering.close()


class Session:
    """One conversation of one user.

    `wire.Session` is how HTTP shows it.

    `number` is None until its first turn. A turn that was cut off is finished before the next one;
    when `respond` returns, all it tells has been kept.
    """

    def __init__(self, agent: Agent, user: str, number: int | None) -> None:
        self.agent, self.user, self.number = agent, user, number

    def respond(self, text: str, asked_by: handle.ReplyHandle | None = None) -> Reply:
        """The reply to what the user says."""
        stream = self.stream(text, asked_by)
        for _ in stream:
            pass
        return stream.reply

    def stream(
        self, text: str, asked_by: handle.ReplyHandle | None = None, *, replaces: int | None = None
    ) -> "ReplyStream":
        """The reply in pieces, as they come, the way its caller wants it.

        With `replaces`, a turn's number, that turn is answered anew where it is the last one and
        says the same. Else it and those after it are taken back, with what they taught, and this
        is said instead.
        """
        if not turns.clean(text).strip():
            raise ValueError("the message has no words; say something.")
        return ReplyStream(self._turn(text, asked_by, replaces))

    def resume(self) -> tuple[Reply, ...]:
        """Finishes the user's turns that were cut off, of any session; their replies."""
        with self._turns():
            return tuple(self._unfinished(handle.ReplyHandle()))

    def said(self) -> tuple[turns.Turn, ...]:
        """What was said in this session so far."""
        if self.number is None:
            return ()
        return self._journal.turns_of(self.user, session=self.number)

    def profile(self) -> tuple[facts.Fact, ...]:
        """What is known of the user now, oldest first."""
        now = self.agent.profiles.present(self.user, self.agent.clock())
        return self.agent.profiles.facts(self.user, now=now)

    def forget(self, fact_id: str, asked_by: handle.ReplyHandle | None = None) -> Reply:
        """Retracts a fact by its id; its history stays until the user is erased."""

        def retracted(fact: facts.Fact, _: Facts) -> facts.FactOp:
            belief = (fact.polarity, "stated", 1.0)
            return facts.FactOp(facts.RETRACT, None, fact.slot, fact.statement, *belief)

        return self._changed(fact_id, retracted, asked_by)

    def add(self, statement: str, asked_by: handle.ReplyHandle | None = None) -> Reply:
        """Adds a fact that the user writes.

        Raises an editing.WrongStatement where it is not one new sentence about the user.
        """
        said = editing.statement(statement)
        with self._alone(asked_by):
            return self._finish(self._begun("", ops=(editing.added(said, self.profile()),)))

    def undo(self, turn: tuple[int, int], asked_by: handle.ReplyHandle | None = None) -> Reply:
        """Takes back what a turn, (session, number), changed in the profile; undo.py has the rules.

        Raises an undo.CannotUndo where it changed nothing, or what it changed was changed since.
        """
        with self._alone(asked_by):
            now = self.agent.clock()
            made = self.agent.profiles.undo(self.user, turn, session=self.number, now=now)
            self.number = made.session
            return self._reply(made)

    def edit(
        self, fact_id: str, statement: str, asked_by: handle.ReplyHandle | None = None
    ) -> Reply:
        """Puts what the user writes in the place of a fact, which stays in history.

        Raises an editing.WrongStatement where it is not one new sentence about the user.
        """
        said = editing.statement(statement)
        return self._changed(
            fact_id, lambda fact, held: editing.revised(fact, said, held), asked_by
        )

    def erase(self) -> erasure.Receipt:
        """Deletes all that is known of the user, and all that was said; waits for a turn."""
        return self.agent.profiles.erase(self.user)

    # inside a turn of the user

    @property
    def _journal(self) -> journal.Journal:
        return self.agent.profiles.journal

    def _turns(self) -> contextlib.AbstractContextManager[None]:
        return self.agent.profiles.turn_of(self.user, wait_seconds=self.agent.cfg.wait_seconds)

    @contextlib.contextmanager
    def _alone(self, asked_by: handle.ReplyHandle | None) -> Iterator[None]:
        """The user's turn, once those that were cut off are finished."""
        with self._turns():
            for _ in self._unfinished(asked_by or handle.ReplyHandle()):
                pass
            yield

    def _turn(
        self, text: str, asked_by: handle.ReplyHandle | None, replaces: int | None
    ) -> Generator[str, None, Reply]:
        # A generator: the user's turn is held from the first piece that is asked for until the turn
        # is kept or the stream is closed. What is kept then is Answering.carry_on's matter.
        who = asked_by or handle.ReplyHandle()
        with self._alone(who):
            begun = self._begun(text) if replaces is None else self._instead(text, replaces)
            turn = yield from self.agent.answering.carry_on(begun, who)
            return self._reply(turn)

    def _instead(self, text: str, number: int) -> turns.Turn:
        """The turn that takes the place of an earlier one of this session, and of those after."""
        said = [turn for turn in self.said() if turn.words]
        earlier = [turn for turn in said if turn.turn < number]
        later = said[len(earlier) :]
        if not later or later[0].turn != number:
            raise NoSuchTurn(f"session {self.number} has no turn {number} with words; say it anew.")
        # The last turn, said again in the same words: what it taught stays, its answer is new.
        if len(later) == 1 and later[0].words == turns.clean(text):
            return self._journal.reopen(later[0])
        declined, now = _declined(text, earlier), self.agent.clock()
        return self.agent.profiles.say_instead(later, text, declined=declined, now=now)

    def _changed(
        self,
        fact_id: str,
        change: Callable[[facts.Fact, Facts], facts.FactOp],
        asked_by: handle.ReplyHandle | None,
    ) -> Reply:
        """A command's turn: what `change` makes of a fact that holds, given all that do."""
        with self._alone(asked_by):
            held = self.profile()
            fact = next((fact for fact in held if fact.id == fact_id), None)
            if fact is None:
                raise LookupError(f"no fact {fact_id!r:.60} holds; profile() lists those that do.")
            return self._finish(self._begun("", ops=(change(fact, held),)))

    def _begun(self, text: str, *, ops: tuple[facts.FactOp, ...] | None = None) -> turns.Turn:
        recent: Sequence[turns.Turn] = ()
        if self.number is not None:
            recent = self._journal.last(self.user, self.number, RECENT)
        turn = self._journal.begin(
            self.user,
            text,
            session=self.number,
            declined=_declined(text, recent),
            ops=ops,
            now=self.agent.clock(),
        )
        self.number = turn.session
        return turn

    def _unfinished(self, who: handle.ReplyHandle) -> Iterator[Reply]:
        """Finishes what was cut off, one after the other, for as long as the caller waits."""
        for turn in self._journal.unfinished(self.user):
            yield self._finish(turn, who.behind())

    def _finish(self, turn: turns.Turn, who: handle.ReplyHandle | None = None) -> Reply:
        stream = ReplyStream(self._carried_on(turn, who))
        for _ in stream:
            pass
        return stream.reply

    def _carried_on(
        self, turn: turns.Turn, who: handle.ReplyHandle | None
    ) -> Generator[str, None, Reply]:
        turn = yield from self.agent.answering.carry_on(turn, who)
        return self._reply(turn)

    def _reply(self, turn: turns.Turn) -> Reply:
        applied = self.agent.profiles.applied(self.user, turn.source)
        return Reply(
            text=turn.reply or "",
            asked=turn.asked,
            question=turn.question,
            why=turn.why or "",
            updates=applied.changes,
            refused=tuple(
                receipt.reason for receipt in applied.receipts if receipt.outcome == update.REFUSED
            ),
            dropped=turn.dropped or (),
            words=turn.words,
            session=turn.session,
            turn=turn.turn,
            times=turn.times,
        )


def _declined(text: str, before: Sequence[turns.Turn]) -> str | None:
    """What words decline to be asked: the question of the last turn before them, or all."""
    if refusals.declined_all(text):
        return rule.ANY
    said = [turn for turn in before if turn.words]
    asked = said[-1].asked if said else None
    return asked if asked and refusals.declined(text) else None


class ReplyStream:
    """Pieces of a reply; `reply` is there after the last one.

    close() ends it early: what was said until then is the reply.
    """

    def __init__(self, pieces: Generator[str, None, Reply]) -> None:
        self._pieces = pieces
        self._reply: Reply | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        except StopIteration as end:
            self._reply = self._reply or end.value
            raise StopIteration from None

    @property
    def reply(self) -> Reply:
        """The whole reply; a RuntimeError before the last piece was taken."""
        if self._reply is None:
            raise RuntimeError("the reply is not done; take every piece of the stream first.")
        return self._reply

    def close(self) -> None:
        """Listens no longer."""
        self._pieces.close()
