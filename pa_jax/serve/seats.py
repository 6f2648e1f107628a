"""Places for requests that are answered by threads: so many run, so many wait, the next goes away.

The agent and the engine block; each answer has a thread of a bounded pool, and its pieces come to
the event loop by a queue that no client can fill beyond one reply. So a slow client holds a
connection, never a thread or a row of the engine.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

from pa_jax.english import memory
from pa_jax.serve import errors, limits, shares, turnstile

T = TypeVar("T")


@runtime_checkable
class Leaves(Protocol):
    """Who may be told, from any thread, that nobody waits any more."""

    def leave(self) -> None: ...


@runtime_checkable
class Answer(Leaves, Protocol):
    """What blocks: iterated in one thread, left from any."""

    def __iter__(self) -> Iterator[Any]: ...


class Seats:
    """The places of one server; for one event loop."""

    def __init__(self, cfg: limits.Limits) -> None:
        self.cfg = cfg
        self._pool = concurrent.futures.ThreadPoolExecutor(cfg.running, thread_name_prefix="answer")
        self._places = turnstile.Turnstile(cfg.running, lambda share: share.running)
        self._reads = turnstile.Turnstile(cfg.reading, lambda share: share.reading)
        self._of_user: collections.Counter[str] = collections.Counter()
        self._turns: dict[str, asyncio.Lock] = {}
        self._answers: set[Leaves] = set()
        self.inside = 0  # that run or wait

    @contextlib.asynccontextmanager
    async def _counted(self, user: str | None) -> AsyncGenerator[None, None]:
        cfg = self.cfg
        if self.inside >= cfg.running + cfg.queue:
            raise errors.busy(
                f"{cfg.running} requests run and {cfg.queue} wait, no more are allowed.",
                retry_after=2.0,
            )
        if user is not None and self._of_user[user] >= cfg.user_queue:
            raise errors.busy(
                f"{cfg.user_queue} requests of this user run or wait, no more are allowed.",
                retry_after=2.0,
            )
        self.inside += 1
        if user is not None:
            self._of_user[user] += 1
        try:
            yield
        finally:
            self.inside -= 1
            if user is not None:
                self._of_user[user] -= 1
                if not self._of_user[user]:
                    del self._of_user[user]
                    self._turns.pop(user, None)

    async def take(self, user: str | None, share: shares.Share, *, cost: int = 1) -> "Seat":
        """A place, when it is this request's turn; requests of one user follow one another.

        Keys take turns; `cost` is how many places of its key's it needs.

        Raises an ApiError (429) where too many wait, or it takes too long.
        """
        stack = contextlib.AsyncExitStack()
        try:
            await stack.enter_async_context(self._counted(user))
            async with asyncio.timeout(self.cfg.wait_seconds):
                if user is not None:
                    await stack.enter_async_context(self._turns.setdefault(user, asyncio.Lock()))
                await stack.enter_async_context(self._places.held(share, cost))
        except TimeoutError:
            await stack.aclose()
            waited = f"no place came free in {self.cfg.wait_seconds:g} s."
            raise errors.busy(waited, retry_after=5.0) from None
        except BaseException:
            await stack.aclose()
            raise
        return Seat(self, stack)

    @contextlib.asynccontextmanager
    async def reading(self, share: shares.Share) -> AsyncGenerator[None, None]:
        """Inside, it is this request's turn to read; keys take turns.

        What is read may be megabytes, and to make an answer of it takes a core for a second.
        """
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self.cfg.wait_seconds):
                    await stack.enter_async_context(self._reads.held(share, 1))
            except TimeoutError:
                waited = f"no turn to read came in {self.cfg.wait_seconds:g} s."
                raise errors.busy(waited, retry_after=5.0) from None
            yield

    async def leave(self) -> None:
        """Cuts every answer off where it is, and waits for the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)  # nothing begins any more
        for answer in tuple(self._answers):
            answer.leave()
        await asyncio.to_thread(self._pool.shutdown)

    def start(self, answer: Leaves | None, work: Callable[[], Any]) -> asyncio.Future:
        """Runs `work` in a thread of the pool; it remembers no text of another's work."""

        def alone() -> Any:
            with memory.apart():
                return work()

        future = asyncio.get_running_loop().run_in_executor(self._pool, alone)
        if answer is not None:
            self._answers.add(answer)
            future.add_done_callback(lambda _: self._answers.discard(answer))
        return future


class Seat:
    """A place of one request, until its thread has ended; one thing at a time."""

    def __init__(self, seats: Seats, held: contextlib.AsyncExitStack) -> None:
        self._seats, self._held = seats, held
        self._busy: asyncio.Future | None = None
        self._freeing: asyncio.Task | None = None

    async def run(self, function: Callable[..., T], *args: Any, waiting: Leaves | None = None) -> T:
        """The result of a blocking call; `waiting` is told when the server ends meanwhile."""
        self._busy = self._seats.start(waiting, functools.partial(function, *args))
        return await asyncio.shield(self._busy)

    async def pieces(self, answer: Answer) -> AsyncGenerator[Any, None]:
        """What the answer yields, None for each `ping_seconds` of silence; raises what it raises.

        Where the caller stops, the answer is left, and the place comes free when its thread ends.
        """
        queue: asyncio.Queue = asyncio.Queue()
        loop, done = asyncio.get_running_loop(), object()

        def work() -> None:
            for piece in answer:
                loop.call_soon_threadsafe(queue.put_nowait, piece)

        self._busy = self._seats.start(answer, work)
        self._busy.add_done_callback(lambda _: queue.put_nowait(done))
        try:
            while True:
                try:
                    async with asyncio.timeout(self._seats.cfg.ping_seconds):
                        piece = await queue.get()
                except TimeoutError:
                    piece = None
                if piece is done:
                    break
                yield piece
            await self._busy
        finally:
            if not self._busy.done():
                answer.leave()

    def ended(self, done: Callable[[], Any]) -> None:
        """Has `done` called, in the event loop, once this request's thread has ended."""
        assert self._busy is not None  # its thread has begun
        self._busy.add_done_callback(lambda _: done())

    def free(self) -> None:
        """Gives the place back as soon as its thread has ended; twice does no harm."""
        if self._freeing is None:
            self._freeing = asyncio.create_task(self._free())

    async def _free(self) -> None:
        if self._busy is not None:
            await asyncio.wait([self._busy])
            if not self._busy.cancelled():
                self._busy.exception()  # seen, wherever it was meant to go
        await self._held.aclose()
