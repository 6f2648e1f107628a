"""The HTTP server below the application: uvicorn, and what it leaves open."""

import os
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from absl import logging

from pa_jax.serve import limits


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
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=cfg.drain_seconds / 2,
    )
    return Server(config, cfg.drain_seconds)


def _leave() -> None:
    logging.warning("still busy when the time to end was over; left at once")
    logging.flush()
    os._exit(0)
