"""Server-sent events to clients that may be slow or gone, and telling when one is."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette import responses, types

T = TypeVar("T")

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"


class Gone(Exception):
    """The client went away; nobody reads the answer."""


def event(data: dict[str, Any]) -> bytes:
    """One event."""
    return (
        b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
    )


async def unless_gone(receive: types.Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client goes away; then raises Gone."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        await _ended(working, leaving)


class Events(responses.StreamingResponse):
    """A stream of events; it ends, and closes its source, when the client goes or is too slow."""

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[bytes, None], *, send_seconds: float) -> None:
        super().__init__(source, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._source, self._send_seconds = source, send_seconds

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Sends it; raises TimeoutError where the client takes too long, which closes it."""

        async def patient(message: types.Message) -> None:
            async with asyncio.timeout(self._send_seconds):
                await send(message)

        streaming = asyncio.ensure_future(self.stream_response(patient))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                streaming.result()
        finally:
            await _ended(streaming, leaving)
            await self._source.aclose()


async def _gone(receive: types.Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _ended(*tasks: asyncio.Future) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
