"""How a turn is answered: from the stage that the journal has to the next one, up to the reply.

The answer is written from what was known when the turn was received; its words are in the prompt
anyway. Beside it, in another thread and on the same engine, the turn's snippet is inferred and
applied, and with what is known then it is decided whether to ask. Each step keeps its own result
before the next begins and reads what earlier ones kept, and the answer reads nothing of this turn
but its words, so it makes no difference where a process ended and another went on.
"""

import concurrent.futures
import contextlib
import contextvars
import dataclasses
import datetime
import functools
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from absl import logging

from pa_jax.agent import avoid, handle
from pa_jax.agent.asking import needs as needing
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import draft
from pa_jax.dialogue import schema
from pa_jax.english import words
from pa_jax.infer.serving import micro_batcher, scheduler
from pa_jax.profile import facts, forget, store, turns

RECENT = 32  # turns of a session that are looked at, more than any prompt shows
_TICK = datetime.timedelta(microseconds=1)


@runtime_checkable
class Infers(Protocol):
    """What inferencer.Inferencer does."""

    def infer(
        self, turns: Sequence[draft.Observed], *, now: datetime.datetime, seed: int
    ) -> list[draft.Inferred]: ...


@runtime_checkable
class Decides(Protocol):
    """What proactive.Proactive does."""

    def needs_of(self, requests: Sequence[rule.Request]) -> list[rule.Weights]: ...

    def decide(
        self, requests: Sequence[rule.Request], *, now: datetime.datetime
    ) -> list[rule.Decision]: ...


@runtime_checkable
class Prompting(Protocol):
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
    """What a Scheduler does: a ticket is iterated for pieces of text, and may be cancelled."""

    @property
    def submit(self) -> Callable[..., Any]: ...


@dataclasses.dataclass(frozen=True)
class Parts:
    """What answers a turn: the models behind four narrow doors."""

    infers: Infers
    decides: Decides
    prompts: Prompting
    serves: Serves


@dataclasses.dataclass(frozen=True)
class AgentConfig:
    """How turns are answered.

    max_new_tokens, temperature, top_k, top_p, penalty    of an answer (Scheduler.submit)
    together        turns of different users that are inferred, or decided, in one batch
    gather_seconds  how long the first of them waits for others
    wait_seconds    for another session of the same user, or for room in the engine's queue
    attempts        how often the models may fail on a turn before it goes without them
    seed            of the engine's draws
    avoid           whether answers never name what the profile rules out (agent/avoid): for small
                    models, which do so whatever their prompt says; larger ones can warn of it
    """

    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    penalty: float
    together: int
    gather_seconds: float
    wait_seconds: float
    attempts: int
    seed: int
    avoid: bool = False


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
        together: dict[str, Any] = {"most": cfg.together, "wait_seconds": cfg.gather_seconds}
        self._infer = micro_batcher.MicroBatcher(
            lambda observed: parts.infers.infer(observed, now=clock(), seed=cfg.seed), **together
        )
        self._needs = micro_batcher.MicroBatcher(parts.decides.needs_of, **together)
        self._decide = micro_batcher.MicroBatcher(
            lambda asked: parts.decides.decide(asked, now=clock()), **together
        )
        self._saying: dict[tuple[str, int, int], list[str]] = {}  # of turns under way
        self._beside = concurrent.futures.ThreadPoolExecutor(
            cfg.together, thread_name_prefix="learn"
        )

    def close(self) -> None:
        """Ends the threads that learn and batch; turns under way get through."""
        self._beside.shutdown()
        self._needs.close()
        self._infer.close()
        self._decide.close()

    def carry_on(
        self, turn: turns.Turn, asked_by: handle.ReplyHandle | None = None
    ) -> Generator[str, None, turns.Turn]:
        """Takes a turn from its stage to its reply, whose pieces are yielded; the finished turn.

        Where the caller stops listening, what was said until then is the reply.
        """
        # Two threads work on the turn: this one hands out the answer, `learning` infers, applies
        # and decides. The order below holds for each way in which a turn can end:
        # - It runs through. What was said is kept behind everything else, as the last stage.
        # - The caller stops listening (GeneratorExit, at a yield) or presses Ctrl-C: that is no
        #   failure. What was said until then is the reply, and the turn is finished.
        # - Something fails, here or in `learning`: nothing is caught. The turn stays at the stage
        #   that it reached, and the user's next message, or a resume, goes on from there.
        # In each case the user's next turn may begin as soon as this returns or raises, so nothing
        # of this one may run on behind it: hence the wait in `finally`.
        who = asked_by or handle.ReplyHandle()
        who.turn = turn
        if turn.reached(turns.REPLIED):
            return turn
        past = self._journal.last(turn.user, turn.session, RECENT)
        past = tuple(earlier for earlier in past if earlier.turn < turn.turn and earlier.words)
        with self._heard(turn) as said:
            pieces: Iterable[str] = ()
            learning, asked = None, False
            scores: dict[str, needing.Scores] = {}  # of this turn's words, wanted twice
            try:
                # The answer is asked for first: somebody waits for it, nobody for the snippet.
                if self._worth_a_try(turn) and not who.left:
                    with self._tried(turn):
                        pieces = self._submitted(turn, past, who, scores)
                remembers = contextvars.copy_context()  # as this thread does
                learnt = functools.partial(self._learnt, turn, past, who.context, scores)
                learning = self._beside.submit(remembers.run, learnt)
                yield from self._spoken(turn, pieces, learning, said)
                question = learning.result().question  # or what went wrong there is raised
                if question and not who.left:
                    asked = True  # before the yield: who leaves at it has got the question
                    yield turns.join("".join(said), question)[len("".join(said)) :]
            except (GeneratorExit, KeyboardInterrupt):
                # Kept here and not below: a generator that is closed never gets there.
                if learning is not None:  # else nothing was said: the turn is answered later
                    self._kept(learning.result(), said, asked)
                raise
            finally:
                if who.ticket is not None:  # of an answer that is done this does nothing
                    who.ticket.cancel()
                # It is still the user's turn.
                concurrent.futures.wait([learning] if learning else [])
            return self._kept(learning.result(), said, asked)

    @contextlib.contextmanager
    def _heard(self, turn: turns.Turn) -> Iterator[list[str]]:
        """Inside, what is said of the turn can be asked for: until the journal has it."""
        place = (turn.user, turn.session, turn.turn)
        self._saying[place] = []
        try:
            yield self._saying[place]
        finally:
            del self._saying[place]

    def said(self, turn: turns.Turn) -> str | None:
        """What was said so far of a turn that is being answered here; None for any other."""
        said = self._saying.get((turn.user, turn.session, turn.turn))
        return None if said is None else "".join(said)

    def _kept(self, turn: turns.Turn, said: Sequence[str], asked: bool) -> turns.Turn:
        """The turn as it was heard: a question that nobody was put is none."""
        return self._journal.replied(turn, "".join(said), asked=asked, now=self._clock())

    def _spoken(
        self,
        turn: turns.Turn,
        pieces: Iterable[str],
        learning: concurrent.futures.Future,
        said: list[str],
    ) -> Iterator[str]:
        """The answer piece by piece, also put into `said`; ends early when `learning` fails."""
        room = turns.MAX_TEXT_CHARS  # no more is kept
        with self._tried(turn):
            for piece in pieces:
                # Into `said` before it is handed out: if the caller leaves at the yield, this piece
                # is among what was said.
                before = said[-1][-1:] if said else ""  # what a joiner joins to
                said.append(turns.clean(before + piece)[len(before) :][:room])
                room -= len(said[-1])
                yield said[-1]
                if not room:
                    return
                if learning.done() and learning.exception() is not None:
                    return

    # what is learnt and decided while the answer is written

    def _learnt(
        self,
        turn: turns.Turn,
        past: Sequence[turns.Turn],
        before: str,
        scores: dict[str, needing.Scores],
    ) -> turns.Turn:
        """The turn, decided; `before` is what its first words answer."""
        if not turn.reached(turns.INFERRED):
            turn = self._inferred(turn, past, before)
        if not turn.reached(turns.APPLIED):
            now = max(self._clock(), turn.times[0] + _TICK)  # not known when it was received
            self._profiles.apply(turn.user, turn.ops or (), turn.source, now=now)
            turn = self._journal.applied(turn, now=self._clock())
        if not turn.reached(turns.DECIDED):
            turn = self._decided(turn, past, scores)
        return turn

    def _inferred(self, turn: turns.Turn, past: Sequence[turns.Turn], before: str) -> turns.Turn:
        found = draft.Inferred("", (), ())
        if self._worth_a_try(turn):
            context = (past[-1].reply or "") if past else before
            seen = draft.Observed(
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

    def _decided(
        self, turn: turns.Turn, past: Sequence[turns.Turn], scores: dict[str, needing.Scores]
    ) -> turns.Turn:
        found = rule.Decision((), 1.0, 0.0, None, None, "")
        if self._worth_a_try(turn):
            with self._tried(turn):
                found = self._decide(self._request(turn, past, self._held(turn), scores))
        return self._journal.decided(
            turn,
            needs=found.needs,
            asked=found.slot,
            question=found.question,
            why=found.why,
            now=self._clock(),
        )

    def _request(
        self,
        turn: turns.Turn,
        past: Sequence[turns.Turn],
        profile: tuple[facts.Fact, ...],
        scores: dict[str, needing.Scores],
    ) -> rule.Request:
        ever = self._journal.asked(turn.user)
        here = [number for session, number in ever.places if session == turn.session]
        return rule.Request(
            words=turn.words,
            profile=profile,
            asked=ever.asked,
            declined=ever.declined,
            questions=len(here),
            since=turn.turn - here[-1] if here else 0,
            open=_open(past),
            scores=scores,
        )

    # the answer

    def _submitted(
        self,
        turn: turns.Turn,
        past: Sequence[turns.Turn],
        who: handle.ReplyHandle,
        scores: dict[str, needing.Scores],
    ) -> Iterable[str]:
        """The answer's pieces; waits for room in the engine's queue."""
        cfg, known = self._cfg, self._known(turn)
        needs = self._needs(self._request(turn, past, known, scores))
        history = [*who.before, *_history(past)]
        prompt = self._parts.prompts.prompt(
            known, history, turn.words, needs=needs, now=turn.times[0], system=who.system
        )
        how: dict[str, Any] = {
            "max_new_tokens": cfg.max_new_tokens,
            "temperature": cfg.temperature,
            "top_k": cfg.top_k,
            "top_p": cfg.top_p,
            "penalty": cfg.penalty,
            "adapters": False,  # they were trained to write snippets
            "seed": zlib.crc32(f"{cfg.seed}/{turn.user}/{turn.session}/{turn.turn}".encode()),
        }
        if cfg.avoid:
            how["avoid"] = avoid.texts(avoid.words_of(known, turn.words))
        submit = functools.partial(self._parts.serves.submit, prompt, **how | who.how)
        return who.ticket_of(submit, wait_seconds=cfg.wait_seconds)

    def _known(self, turn: turns.Turn) -> tuple[facts.Fact, ...]:
        """What was known when the turn was received, without what its words take back."""
        known = self._profiles.as_of(turn.user, turn.times[0])
        heard = words.clean(turn.words, draft.MAX_HEARD)
        gone = {op.replaces for op in forget.asked(heard, known, (turn.session, turn.turn))}
        return tuple(fact for fact in known if fact.statement not in gone)

    # what they share

    def _held(self, turn: turns.Turn) -> tuple[facts.Fact, ...]:
        now = self._profiles.present(turn.user, self._clock())
        return self._profiles.facts(turn.user, now=now)

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
        except (GeneratorExit, KeyboardInterrupt, scheduler.Busy, scheduler.Closed):
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
