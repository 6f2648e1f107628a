"""The HTTP server below the application: uvicorn, and what it leaves open."""

import asyncio
import functools
import itertools
import os
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import h11
import uvicorn
from absl import logging
from uvicorn.protocols.http import h11_impl

from pa_jax.serve import guard, limits

_READ_BYTES = 16384
_NUMBERS = itertools.count()  # of connections, in their order
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Protocol(h11_impl.H11Protocol):
    """One connection: uvicorn's, with a bound on how many there are, and on how long a head takes.

    One that never showed a key is a stranger's, and makes room first.
    """

    def __init__(self, bounds: limits.Limits, **how: Any) -> None:
        super().__init__(**how)
        self._bounds, self.number = bounds, next(_NUMBERS)
        self._late: asyncio.TimerHandle | None = None

    @property
    def known(self) -> bool:
        """Whether a request on it came from somebody whom the server lets in."""
        return self.scope is not None and guard.ACCESS in self.scope

    @property
    def idle(self) -> bool:
        """Whether nothing is answered on it."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """It was opened."""
        super().connection_made(transport)
        if hasattr(transport, "max_size"):  # of what is read at once, before anybody looks at it
            transport.max_size = _READ_BYTES
        self._await_head()
        if len(self.connections) > self._bounds.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Something came."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._late is None and not self.transport.is_closing():
            self._await_head()

    def on_response_complete(self) -> None:
        """An answer was sent; the next head is waited for once it begins."""
        self._stop_waiting()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """It was closed."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._late = self.loop.call_later(self._bounds.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()

    def _make_room(self) -> None:
        others = [
            one
            for one in self.server_state.connections
            if isinstance(one, Protocol) and one is not self
        ]
        strangers = [one for one in others if not one.known]
        idle = [one for one in others if one.idle]
        oldest = min(strangers or idle or [self], key=lambda one: one.number)
        oldest.transport.abort()
        self.connections.discard(oldest)


class Server(uvicorn.Server):
    """Ends within `drain_seconds` of the first signal, whatever its threads do.

    What was acknowledged is on disk by then, so leaving at once loses nothing.
    """

    def __init__(self, config: uvicorn.Config, drain_seconds: float) -> None:
        super().__init__(config)
        self._last = threading.Timer(drain_seconds, _leave)
        self._last.daemon = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal was heard."""
        if not self._last.is_alive():
            self._last.start()
        super().handle_exit(sig, frame)


def server(app: Callable[..., Any], cfg: limits.Limits) -> Server:
    """A server of an application; requests under way get half of the time that it has to end."""
    config = uvicorn.Config(
        app,
        http=functools.partial(Protocol, cfg),  # type: ignore[arg-type]  # it only calls it
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=cfg.drain_seconds / 2,  # type: ignore[arg-type]  # for asyncio
    )
    return Server(config, cfg.drain_seconds)


def _leave() -> None:
    logging.warning("still busy when the time to end was over; left at once")
    logging.flush()
    os._exit(0)
