"""Before a server serves, whoever asks is told that it is starting; nobody takes memory by asking.

Nothing is asked of a caller and nothing is read beyond a head, for no key is known yet.
"""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator

from pa_jax.serve import limits

_ERROR = {
    "message": "the server is starting: it loads the model and compiles. Try again in 5 s.",
    "type": "server_error",
    "code": "starting",
    "param": None,
}
_HEAD_BYTES = 8192  # a link may hold twice as many
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
    running: set[asyncio.Task] = set()  # those that were sent away end a little later

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if len(links) >= cfg.connections:
            links.pop(next(iter(links))).transport.abort()  # the oldest makes room
        links[task] = writer
        running.add(task)
        task.add_done_callback(running.discard)
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

    server = await asyncio.start_server(one, sock=listening, limit=_HEAD_BYTES)
    await ends.wait()
    server.close()
    if links:
        await asyncio.wait(list(links), timeout=_END_SECONDS)
    for writer in links.values():
        writer.transport.abort()
    while running:
        await asyncio.sleep(0)


def _answer(head: bytes) -> bytes:
    health = head.split(b" ", 2)[1:2] == [b"/health"]
    body = json.dumps({"status": "starting"} if health else {"error": _ERROR})
    return (
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
