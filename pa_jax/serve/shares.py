"""What each key has in use of a server that all keys share, and what it may not take from others.

Counts are kept for every caller; they bound one only where the server has several keys.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from pa_jax.serve import errors, keys, limits


class Share:
    """One key's part; for one event loop.

    requests, bytes  of its requests that are under way, and of their bodies
    tokens, refused  since the start
    """

    def __init__(
        self, name: str, cfg: limits.Limits, bounded: bool, clock: Callable[[], float]
    ) -> None:
        self.name, self.running = name, cfg.key_running if bounded else cfg.running
        self.reading = 1 if bounded else cfg.reading
        self.requests = self.bytes = self.tokens = self.refused = 0
        self._cfg, self._bounded, self._clock = cfg, bounded, clock
        self._left, self._at = float(cfg.key_tokens), clock()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Around one request, from its head to the end of its answer; ApiError for one too many."""
        most = self._cfg.key_running + self._cfg.key_queue
        if self._bounded and self.requests >= most:
            raise self._busy(f"{most} requests of this key run or wait, no more are allowed.", 2.0)
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextlib.contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """Inside, `add(bytes)` counts a body as it comes; ApiError where the key holds too much."""
        held = 0

        def add(count: int) -> None:
            nonlocal held
            held += count
            self.bytes += count
            if self._bounded and self.bytes > self._cfg.key_bytes:
                raise self._busy(
                    f"requests of this key hold over {self._cfg.key_bytes} bytes at once.", 2.0
                )

        try:
            yield add
        finally:
            self.bytes -= held

    def require_tokens(self) -> None:
        """ApiError where the key has used up what it may for now."""
        left = self._refilled()
        if self._bounded and left <= 0:
            rate = self._cfg.key_tokens / 60
            said = f"this key has used its {self._cfg.key_tokens} tokens a minute."
            raise self._busy(said, 1 - left / rate)

    def used(self, tokens: int) -> None:
        """Counts tokens of prompts and replies."""
        self.tokens += tokens
        self._left = self._refilled() - tokens

    def _refilled(self) -> float:
        now = self._clock()
        gained = (now - self._at) * self._cfg.key_tokens / 60
        self._left, self._at = min(self._left + gained, float(self._cfg.key_tokens)), now
        return self._left

    def _busy(self, message: str, retry_after: float) -> errors.ApiError:
        self.refused += 1
        return errors.busy(message, retry_after=retry_after)


class Shares:
    """The shares of one server's keys."""

    def __init__(
        self,
        cfg: limits.Limits,
        known: keys.Keys | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        bounded = known is not None and len(known.names) > 1
        names = (keys.EVERYONE.name,) if known is None else known.names
        self._by_name = {name: Share(name, cfg, bounded, clock) for name in names}

    def of(self, access: keys.Access) -> Share:
        """The share of a caller's key."""
        return self._by_name[access.name]

    def all(self) -> tuple[Share, ...]:
        """Every key's, in the order of the file."""
        return tuple(self._by_name.values())
