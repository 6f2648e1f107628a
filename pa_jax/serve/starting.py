"""Before a server serves, whoever asks is told that it is starting; nobody takes memory by asking.

Nothing is asked of a caller and nothing is read beyond a head, for no key is known yet.
"""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

from pa_jax.serve import limits

_ERROR = {
    "message": "the server is starting: it loads the model and compiles. Try again in 5 s.",
    "type": "server_error",
    "code": "starting",
    "param": None,
}
_HEAD_BYTES = 4096  # a link may hold twice as many
_ACCEPT_SECONDS = 0.05
_END_SECONDS = 1.0  # that requests under way have when the server proper takes over


@contextlib.contextmanager
def told(listening: socket.socket, cfg: limits.Limits) -> Iterator[None]:
    """Inside, every request is answered with 503, and when to try again."""
    loop, ends = asyncio.new_event_loop(), asyncio.Event()
    listening.listen()
    answering = _answering(listening.dup(), cfg, ends)
    thread = threading.Thread(target=loop.run_until_complete, args=[answering])
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()


async def _answering(listening: socket.socket, cfg: limits.Limits, ends: asyncio.Event) -> None:
    links: dict[asyncio.Task, asyncio.StreamWriter] = {}
    running: dict[asyncio.Task, asyncio.StreamWriter] = {}  # who was sent away ends a little later

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs each link in one
        link: Any = writer.transport
        link.max_size = _HEAD_BYTES  # at once; asyncio takes 256 KiB of each link
        if len(links) >= cfg.connections:
            links.pop(next(iter(links))).transport.abort()  # the oldest makes room
        links[task] = writer
        running[task] = writer
        task.add_done_callback(running.pop)
        try:
            async with asyncio.timeout(cfg.head_seconds):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head))
                writer.write_eof()
                while await reader.read(_HEAD_BYTES):
                    pass  # closed before its body was taken, a caller would not see the answer
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            links.pop(task, None)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await writer.wait_closed()
            writer.transport.abort()  # of who takes nothing of what is left to send

    server = await asyncio.start_server(one, sock=listening, limit=_HEAD_BYTES)
    await ends.wait()
    # Accept no more, let in who was just accepted, then close: closed at once, asyncio loses
    # the links it has accepted and not begun (its `Server._attach` asserts that it is open).
    asyncio.get_running_loop().remove_reader(listening)
    await asyncio.sleep(_ACCEPT_SECONDS)
    server.close()
    if links:
        await asyncio.wait(list(links), timeout=_END_SECONDS)
    while running:
        for writer in list(running.values()):
            writer.transport.abort()
        await asyncio.sleep(0.01)
    await asyncio.sleep(_ACCEPT_SECONDS)  # what was aborted last is closed


def _answer(head: bytes) -> bytes:
    health = head.split(b" ", 2)[1:2] == [b"/health"]
    body = json.dumps({"status": "starting"} if health else {"error": _ERROR})
    return (
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
