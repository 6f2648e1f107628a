"""Continuous batching: requests of many threads decode side by side on one model, text streams out.

A worker thread owns the device. Between two chunks it frees the rows of requests that have ended
and lets waiting ones in, first come, first served; nobody waits for the longest reply.
"""

import atexit
import collections
import dataclasses
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from pa_jax.core import keys
from pa_jax.infer import forest, sampler, sampling
from pa_jax.infer.serving import detokenize, ruled_out
from pa_jax.infer.serving.slots import DecodeSlots, RowRequest


class Busy(RuntimeError):
    """The queue is full: try again later."""


class Closed(RuntimeError):
    """No request is taken or answered any more."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A reply. ids and float32 logprobs hold every token drawn, the end token too; text does not.

    reason    end (an end token), stop (a stop string; the ids go up to the one that completed it),
              length (max_new_tokens), cancelled, deadline
    finished  the model ended it, or a stop string: False where it was cut
    """

    ids: list[int]
    logprobs: np.ndarray
    text: str
    finished: bool
    reason: str


@dataclasses.dataclass(frozen=True)
class Occupancy:
    """How busy a Scheduler is, and the tokens it has drawn since it began."""

    running: int
    waiting: int
    tokens: int


class Ticket:
    """One request. Iterate for its text piece by piece (one consumer), or wait for result()."""

    def __init__(
        self,
        request: RowRequest,
        text: detokenize.Detokenizer,
        until: float,
        leave: Callable[["Ticket"], None],
    ) -> None:
        """`until` is the deadline on time.monotonic; `leave` is called when it is cancelled."""
        self.request, self.until = request, until
        self._text, self._leave = text, leave
        self._changed = threading.Condition()
        self._pieces: collections.deque[str] = collections.deque()
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._given: list[str] = []
        self._outcome: Finished | BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next piece of text; raises what went wrong after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._outcome is not None)
            if self._pieces:
                return self._pieces.popleft()
            if isinstance(self._outcome, Finished):
                raise StopIteration
            raise self._failure()

    def result(self, timeout: float | None = None) -> Finished:
        """The whole reply; raises TimeoutError after `timeout` seconds, or what went wrong."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._outcome is not None, timeout):
                raise TimeoutError(f"no reply within {timeout} s; wait longer or cancel() it.")
            if isinstance(self._outcome, Finished):
                return self._outcome
            raise self._failure()

    def cancel(self) -> None:
        """End it now with what it has; its row is free for the next chunk. Twice does no harm."""
        self.end("cancelled")
        self._leave(self)

    @property
    def ended(self) -> bool:
        """Whether result() returns or raises at once."""
        return self._outcome is not None

    def add(self, ids: Sequence[int], logprobs: Sequence[float], *, last: str | None) -> int:
        """Take new tokens; `last` is the reason why no more come, None while more do.

        How many were taken: all but those after a stop string, none of one that has ended.
        """
        with self._changed:
            if self.ended:
                return 0
            piece, stopped = self._text.add(ids, last=last is not None)
            if stopped is not None:
                ids, last = ids[:stopped], "stop"
            self._ids += ids
            self._logprobs += logprobs[: len(ids)]
            if piece:
                self._given.append(piece)
                self._pieces.append(piece)
            if last is not None:
                self._finish(last)
            self._changed.notify_all()
            return len(ids)

    def end(self, outcome: str | BaseException) -> None:
        """End it with what it has given out, for that reason, or with an error, if it has not."""
        with self._changed:
            if isinstance(outcome, BaseException):
                self._outcome = self._outcome or outcome
            elif not self.ended:
                self._finish(outcome)
            self._changed.notify_all()

    def _finish(self, reason: str) -> None:
        logprobs = np.array(self._logprobs, np.float32)
        text, finished = "".join(self._given), reason in ("end", "stop")
        self._outcome = Finished(self._ids, logprobs, text, finished, reason)

    def _failure(self) -> BaseException:
        if isinstance(self._outcome, Closed):
            return Closed(*self._outcome.args)
        failure = RuntimeError(f"the reply was lost: decoding stopped with {self._outcome!r}.")
        failure.__cause__ = self._outcome if isinstance(self._outcome, BaseException) else None
        return failure


class Scheduler:
    """Decodes up to `rows` requests at once; further ones wait, at most `queue` of them."""

    def __init__(
        self,
        model: Any,
        *,
        mesh: jax.sharding.Mesh | None = None,
        rows: int,
        trunk: int,
        slots: int,
        chunk: int,
        queue: int = 64,
        root: Sequence[int] = (),
    ) -> None:
        """`model` is a LoadedModel. Prompts have up to `trunk` tokens, replies up to `slots`.

        Of prompts that begin with `root`, only what follows it is computed.

        `chunk` tokens are drawn between two looks at who ended and who waits. A worker thread
        starts; close() ends it.
        """
        self.model, self.queue = model, queue
        run = sampler.Sampler(model, mesh=mesh, root=root)
        self._slots = DecodeSlots(run, rows=rows, trunk=trunk, slots=slots, chunk=chunk)
        self._device = threading.Lock()  # held while programs run
        self._changed = threading.Condition()  # guards what follows
        self._waiting: collections.deque[Ticket] = collections.deque()
        self._running: dict[int, Ticket] = {}
        self._tokens = 0
        self._open = True  # requests are taken
        self._closed: BaseException | None = None  # why none is answered
        self._worker = threading.Thread(target=self._work, name="scheduler", daemon=True)
        self._worker.start()
        atexit.register(self.close)  # a thread inside a program must not outlive the interpreter

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        prompt_ids: Sequence[int],
        *,
        max_new_tokens: int,
        temperature: float,
        seed: int,
        top_k: int = 0,
        top_p: float = 1.0,
        penalty: float = 1.0,
        adapters: bool = True,
        avoid: Sequence[str] = (),
        stop: Sequence[str] = (),
        deadline: float | None = None,
        wait_seconds: float = 0.0,
    ) -> Ticket:
        """Ask for a reply; from any thread, returns as soon as there is room for it.

        That is waited for `wait_seconds`, then Busy is raised.
        The tokens are those of Sampler.generate([prompt_ids], n=1, stream=keys.Stream.GENERATE)
        whoever else is served; without `adapters` they are the base's, and a `penalty` above 1
        keeps them from saying the same again (sampling.discouraged). No text of `avoid` is drawn.
        Text ends before the first `stop` string. After `deadline` seconds it is cut where it is.
        Raises Busy, Closed, or ValueError on bad values.
        """
        batched, prompt, vocab = self._slots, tuple(prompt_ids), self.model.config.vocab
        if not prompt or min(prompt) < 0 or max(prompt) >= vocab:
            raise ValueError(
                f"a prompt of {len(prompt)} tokens: at least one is needed, "
                f"all of 0 to {vocab - 1}."
            )
        forest.fit(len(prompt), batched.widths, what="prompt")
        if not 1 <= max_new_tokens <= batched.slots:
            raise ValueError(f"max_new_tokens={max_new_tokens}: allowed are 1 to {batched.slots}.")
        sampling.check(temperature, top_k, top_p, penalty)
        keys.check_seed(seed)
        top_k = min(top_k, vocab)
        never = ruled_out.sequences(self.model.tokenizer, avoid)
        request = RowRequest(
            prompt, max_new_tokens, seed, temperature, top_k, top_p, penalty, adapters, never
        )
        text = detokenize.Detokenizer(self.model.tokenizer, stop)
        until = math.inf if deadline is None else time.monotonic() + deadline
        ticket = Ticket(request, text, until, self._leave)
        with self._changed:
            self._changed.wait_for(lambda: not self._open or self._room(), wait_seconds)
            if not self._open:
                raise Closed("no request is taken any more: " + self._why()) from self._closed
            if not self._room():
                raise Busy(
                    f"{batched.rows} requests run and {self.queue} wait, no more are allowed; "
                    "try again later."
                )
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        seed: int,
        wait_seconds: float,
    ) -> list[Finished]:
        """A reply a prompt, side by side and beside those of others; each waits for room."""
        how: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        tickets = [self.submit(prompt, **how, wait_seconds=wait_seconds) for prompt in prompts]
        return [ticket.result() for ticket in tickets]

    def warm_up(self) -> None:
        """Compile every program, so that no request waits for one; before the first of them."""
        with self._device:
            if self.load().running:
                raise RuntimeError("requests are running; call warm_up() before the first of them.")
            self._slots.warm_up()

    def load(self) -> Occupancy:
        """How busy it is now."""
        with self._changed:
            return Occupancy(len(self._running), len(self._waiting), self._tokens)

    @property
    def longest(self) -> tuple[int, int]:
        """Tokens of the longest prompt, and of the longest reply."""
        return max(self._slots.widths), self._slots.slots

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the worker; None while all is well or after close()."""
        return None if isinstance(self._closed, Closed) else self._closed

    def close(self, *, drain: float = 0.0) -> None:
        """Take no more requests, let the present ones go on for `drain` seconds, end the rest.

        What is left ends with Closed. Twice does no harm.
        """
        with self._changed:
            self._open = False
            self._changed.wait_for(
                lambda: self._closed or not (self._waiting or self._running), drain
            )
            self._closed = self._closed or Closed("closed before this reply was done.")
            self._changed.notify_all()
        self._worker.join()
        atexit.unregister(self.close)

    def _room(self) -> bool:
        return len(self._waiting) + len(self._running) < self._slots.rows + self.queue

    def _why(self) -> str:
        return "closed." if self.failure is None else f"decoding stopped with {self.failure!r}."

    def _leave(self, ticket: Ticket) -> None:
        """Forget a ticket that was cancelled."""
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            self._running = {row: t for row, t in self._running.items() if t is not ticket}
            self._changed.notify_all()

    def _work(self) -> None:
        try:
            while self._awake():
                with self._device:
                    self._let_in()
                    self._draw()
        finally:  # an error goes on to threading.excepthook; every ticket hears of it first
            self._end_all(sys.exc_info()[1])

    def _awake(self) -> bool:
        """Waits for something to do; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting or self._running)
            return self._closed is None

    def _end_all(self, error: BaseException | None) -> None:
        with self._changed:
            self._open = False
            self._closed = error or self._closed
            left = [*self._running.values(), *self._waiting]
            self._running, self._waiting = {}, collections.deque()
            self._changed.notify_all()
        assert self._closed is not None  # the thread ends in no other way
        for ticket in left:
            ticket.end(self._closed)

    def _let_in(self) -> None:
        """Prefill waiting prompts into free rows, and give out the first token of each."""
        for _ in range(self._slots.rows):  # a bound: those that run must not starve
            joining = self._joining()
            if not joining:
                return
            first = self._slots.admit({row: t.request for row, t in joining.items()})
            for row, (token, logprob, done) in first.items():
                self._give(row, joining[row], [token], [logprob], done)

    def _joining(self) -> dict[int, Ticket]:
        """The next tickets to prefill together, now running; those past their deadline end."""
        with self._changed:
            now = time.monotonic()
            late = [t for t in (*self._running.values(), *self._waiting) if t.until <= now]
            for ticket in late:
                ticket.end("deadline")
            self._running = {row: t for row, t in self._running.items() if not t.ended}
            self._waiting = collections.deque(t for t in self._waiting if not t.ended)
            free = [row for row in range(self._slots.rows) if row not in self._running]
            count = min(len(free), len(self._waiting), self._slots.together)
            joining = {row: self._waiting.popleft() for row in free[:count]}
            self._running |= joining
            self._changed.notify_all()
            return joining

    def _draw(self) -> None:
        """A chunk more of every running request."""
        with self._changed:
            running, eager = dict(self._running), bool(self._waiting)
        if not running:
            return
        drawn = self._slots.advance(list(running), eager=eager)
        for row, ticket in running.items():
            new = slice(0, int(drawn.count[row]))
            ids, logprobs = drawn.ids[row, new].tolist(), drawn.logprobs[row, new].tolist()
            self._give(row, ticket, ids, logprobs, bool(drawn.done[row]))

    def _give(
        self, row: int, ticket: Ticket, ids: list[int], logprobs: list[float], done: bool
    ) -> None:
        """New tokens to their ticket; the row of one that has ended is free."""
        last = None
        if done:
            last = "end" if ids[-1] in self._slots.ends else "length"
        taken = ticket.add(ids, logprobs, last=last)
        with self._changed:
            self._tokens += taken
            if ticket.ended and self._running.get(row) is ticket:
                del self._running[row]
                self._changed.notify_all()
