"""Who is let in next: keys by turns, and within a key first come, first served."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncGenerator, Callable

from pa_jax.serve import shares


class Turnstile:
    """So many places for all keys together; for one event loop."""

    def __init__(self, places: int, most: Callable[[shares.Share], int]) -> None:
        """`most` says how many of them one key may have, the same for all keys of a server."""
        self._places, self._free, self._most = places, places, most
        self._running: collections.Counter[str] = collections.Counter()
        self._waiting: dict[str, collections.deque[tuple[asyncio.Future[None], int]]] = {}

    @contextlib.asynccontextmanager
    async def held(self, share: shares.Share, cost: int) -> AsyncGenerator[None, None]:
        """Inside, the caller has `cost` places, or all that its key may have."""
        cost = min(cost, self._most(share), self._places)
        let_in = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(share.name, collections.deque())
        queue.append((let_in, cost))
        self._let_in(share)
        try:
            await let_in
            yield
        finally:
            if let_in.done() and not let_in.cancelled():
                self._free += cost
                self._running[share.name] -= cost
            else:
                with contextlib.suppress(ValueError):  # passed over meanwhile
                    queue.remove((let_in, cost))
            self._let_in(share)

    def _let_in(self, share: shares.Share) -> None:
        """Lets in whom there is room for, a request of each key by turns."""
        most = self._most(share)
        skipped = 0
        while skipped < len(self._waiting):
            name, queue = next(iter(self._waiting.items()))
            del self._waiting[name]  # it goes behind the others
            while queue and queue[0][0].cancelled():
                queue.popleft()
            if not queue:
                continue
            self._waiting[name] = queue
            let_in, cost = queue[0]
            if self._running[name] + cost > most:
                skipped += 1
                continue
            if cost > self._free:
                self._waiting = {name: self._waiting.pop(name)} | self._waiting
                return  # it is its turn: nobody else takes what comes free
            queue.popleft()
            skipped = 0
            self._free -= cost
            self._running[name] += cost
            let_in.set_result(None)
