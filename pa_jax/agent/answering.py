"""How a turn is answered: from the stage that the journal has to the next one, up to the reply.

Each step reads what the earlier ones kept and keeps its own result before the next begins, so it
makes no difference where a process ended and another went on.
"""

import contextlib
import dataclasses
import datetime
import functools
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from absl import logging

from pa_jax.agent import caller, gather, inferencer, proactive
from pa_jax.dialogue import schema
from pa_jax.infer import live
from pa_jax.profile import facts, store, turns

RECENT = 32  # turns of a session that are looked at, more than any prompt shows


@runtime_checkable
class Infers(Protocol):
    """What inferencer.Inferencer does."""

    def infer(
        self, turns: Sequence[inferencer.Observed], *, now: datetime.datetime, seed: int
    ) -> list[inferencer.Inferred]: ...


@runtime_checkable
class Decides(Protocol):
    """What proactive.Proactive does."""

    def decide(
        self, requests: Sequence[proactive.Request], *, now: datetime.datetime
    ) -> list[proactive.Decision]: ...


@runtime_checkable
class Prompts(Protocol):
    """What responder.Responder does."""

    def prompt(
        self,
        profile: Iterable[facts.Fact],
        history: Sequence[schema.Message],
        words: str,
        *,
        needs: Iterable[tuple[str, float]],
        now: datetime.datetime,
        system: str,
    ) -> list[int]: ...


@runtime_checkable
class Serves(Protocol):
    """What live.Live does: a ticket is iterated for pieces of text, and may be cancelled."""

    def submit(self, prompt_ids: Sequence[int], **how: Any) -> Any: ...


@dataclasses.dataclass(frozen=True)
class Parts:
    """What answers a turn: the models behind four narrow doors."""

    infers: Infers
    decides: Decides
    prompts: Prompts
    serves: Serves


@dataclasses.dataclass(frozen=True)
class AgentConfig:
    """How turns are answered.

    max_new_tokens, temperature, top_k, top_p    of an answer
    together        turns of different users that are inferred, or decided, in one batch
    gather_seconds  how long the first of them waits for others
    wait_seconds    for another session of the same user, or for room in the engine's queue
    attempts        how often the models may fail on a turn before it goes without them
    seed            of the engine's draws
    """

    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    together: int
    gather_seconds: float
    wait_seconds: float
    attempts: int
    seed: int


class Answering:
    """The steps of a turn, for any number of threads; turns of one user one after the other."""

    def __init__(
        self,
        profiles: store.ProfileStore,
        parts: Parts,
        *,
        clock: Callable[[], datetime.datetime],
        cfg: AgentConfig,
    ) -> None:
        self._parts = parts
        self._profiles, self._journal = profiles, profiles.journal
        self._clock, self._cfg = clock, cfg
        together = {"most": cfg.together, "wait_seconds": cfg.gather_seconds}
        self._infer = gather.Gather(
            lambda observed: parts.infers.infer(observed, now=clock(), seed=cfg.seed), **together
        )
        self._decide = gather.Gather(
            lambda asked: parts.decides.decide(asked, now=clock()), **together
        )

    def close(self) -> None:
        """Ends the threads that batch; turns under way get through."""
        self._infer.close()
        self._decide.close()

    def carry_on(
        self, turn: turns.Turn, asked_by: caller.Caller | None = None
    ) -> Generator[str, None, turns.Turn]:
        """Takes a turn from its stage to its reply, whose pieces are yielded; the finished turn.

        Where the caller stops listening, what was said until then is the reply.
        """
        who = asked_by or caller.Caller()
        who.turn = turn
        past = self._journal.last(turn.user, turn.session, RECENT)
        past = tuple(earlier for earlier in past if earlier.turn < turn.turn and earlier.words)
        if not turn.reached(turns.INFERRED):
            turn = self._inferred(turn, past, who)
        if not turn.reached(turns.APPLIED):
            self._profiles.apply(turn.user, turn.ops, turn.source, now=self._clock())
            turn = self._journal.applied(turn, now=self._clock())
        if not turn.reached(turns.DECIDED):
            turn = self._decided(turn, past)
        if not turn.reached(turns.REPLIED):
            turn = yield from self._replied(turn, past, who)
        return turn

    # the steps

    def _inferred(
        self, turn: turns.Turn, past: Sequence[turns.Turn], who: caller.Caller
    ) -> turns.Turn:
        found = inferencer.Inferred("", (), ())
        if self._worth_a_try(turn):
            context = (past[-1].reply or "") if past else who.context
            seen = inferencer.Observed(
                turn.user, turn.session, turn.turn, context, turn.words, self._held(turn)
            )
            with self._tried(turn):
                found = self._infer(seen)
        return self._journal.inferred(
            turn,
            snippet=found.text,
            ops=found.ops,
            dropped=[dropped.reason for dropped in found.dropped],
            now=self._clock(),
        )

    def _decided(self, turn: turns.Turn, past: Sequence[turns.Turn]) -> turns.Turn:
        found = proactive.Decision((), 1.0, 0.0, None, None, "")
        if self._worth_a_try(turn):
            with self._tried(turn):
                found = self._decide(self._request(turn, past))
        return self._journal.decided(
            turn,
            needs=found.needs,
            asked=found.slot,
            question=found.question,
            why=found.why,
            now=self._clock(),
        )

    def _request(self, turn: turns.Turn, past: Sequence[turns.Turn]) -> proactive.Request:
        ever = self._journal.asked(turn.user)
        here = [number for session, number in ever.places if session == turn.session]
        return proactive.Request(
            words=turn.words,
            profile=self._held(turn),
            asked=ever.asked,
            declined=ever.declined,
            questions=len(here),
            since=turn.turn - here[-1] if here else 0,
            open=_open(past),
        )

    def _replied(
        self, turn: turns.Turn, past: Sequence[turns.Turn], who: caller.Caller
    ) -> Generator[str, None, turns.Turn]:
        said: list[str] = []
        try:
            if self._worth_a_try(turn) and not who.left:
                with self._tried(turn):
                    for piece in self._submitted(turn, past, who):
                        said.append(turns.clean(piece))
                        yield said[-1]
            if turn.question:
                yield turns.join("".join(said), turn.question)[len("".join(said)) :]
        except (GeneratorExit, KeyboardInterrupt):
            who.leave()
            self._journal.replied(turn, "".join(said), now=self._clock())
            raise
        return self._journal.replied(turn, "".join(said), now=self._clock())

    def _submitted(
        self, turn: turns.Turn, past: Sequence[turns.Turn], who: caller.Caller
    ) -> Iterable[str]:
        """The answer's pieces; waits for room in the engine's queue."""
        cfg, now = self._cfg, self._clock()
        history = [*who.before, *_history(past)]
        prompt = self._parts.prompts.prompt(
            self._held(turn), history, turn.words, needs=turn.needs, now=now, system=who.system
        )
        how = {
            "max_new_tokens": cfg.max_new_tokens,
            "temperature": cfg.temperature,
            "top_k": cfg.top_k,
            "top_p": cfg.top_p,
            "seed": zlib.crc32(f"{cfg.seed}/{turn.user}/{turn.session}/{turn.turn}".encode()),
        }
        submit = functools.partial(self._parts.serves.submit, prompt, **how | who.how)
        return who.ticket_of(submit, wait_seconds=cfg.wait_seconds)

    # what they share

    def _held(self, turn: turns.Turn) -> tuple[facts.Fact, ...]:
        return self._profiles.facts(turn.user, now=self._clock())

    def _worth_a_try(self, turn: turns.Turn) -> bool:
        """Whether models look at the turn: no command, and none on which they kept failing."""
        return bool(turn.words.strip()) and turn.failures < self._cfg.attempts

    @contextlib.contextmanager
    def _tried(self, turn: turns.Turn) -> Iterator[None]:
        """Counts what the models could not do, so that no turn stops a user for good."""
        done = False
        try:
            yield
            done = True
        except (GeneratorExit, KeyboardInterrupt, live.Busy, live.Closed):
            done = True  # not the turn's fault
            raise
        finally:
            if not done:
                failures = self._journal.failed(turn).failures
                logging.warning(
                    "turn %d.%d failed for the %d. time", turn.session, turn.turn, failures
                )


def _history(past: Sequence[turns.Turn]) -> list[schema.Message]:
    """The messages of a session; a turn without a reply is none."""
    return [
        schema.Message(role, content)
        for turn in past
        if turn.reply
        for role, content in (("user", turn.words), ("assistant", turn.reply))
    ]


def _open(said: Sequence[turns.Turn]) -> str:
    """The request behind the question that comes before this turn, "" where none does."""
    words = ""
    for turn in reversed(said):
        if not turn.asked:
            break
        words = turn.words
    return words
