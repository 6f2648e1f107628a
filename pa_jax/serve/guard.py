"""What every request goes through first: host, origin, address, key, share and body; headers.

Where the server has keys, nothing of a request without one is read beyond its head, and only what
is for everyone answers it: the page, the schema, whether the server is well.

What is remembered of texts is a request's own (english/memory.py).

Without API keys the server trusts whoever reaches it, so it must not be reached by a web page of
another site: the Host must be one of this machine's own names (a rebound DNS name is not), and an
Origin, where the browser sends one, must be the server itself.
"""

import asyncio
import urllib.parse
from collections.abc import Callable, Collection

from starlette import datastructures, types

from pa_jax.english import memory
from pa_jax.serve import errors, keys, limits, shares

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
CONTENT_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
# The pages that show the API's reference put their styles in as they go.
_REFERENCE = {
    path: f"{CONTENT_POLICY}; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "worker-src 'self' blob:"
    for path in ("/docs", "/redoc")
}
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_IMPORT = "/import"
_NEED_A_KEY = ("/v1/", "/metrics")
# What Guard puts into a request's scope for those behind it, and the connection in front of it.
ACCESS, SHARE = "pa_jax.access", "pa_jax.share"


class Guard:
    """ASGI middleware; `hosts` are the names that a Host header may have, None for any.

    `known` are the server's keys, None for one that takes everyone; `parts` what each has in use.
    """

    def __init__(
        self,
        app: types.ASGIApp,
        cfg: limits.Limits,
        hosts: Collection[str] | None,
        known: keys.Keys | None,
        parts: shares.Shares,
    ) -> None:
        self.app, self.cfg, self.hosts = app, cfg, hosts
        self.known, self.parts = known, parts

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def dressed(message: types.Message) -> None:
            if message["type"] == "http.response.start":
                policy = _REFERENCE.get(scope["path"], CONTENT_POLICY)
                headers = HEADERS | {"Content-Security-Policy": policy}
                datastructures.MutableHeaders(scope=message).update(headers)
            await send(message)

        try:
            self._check(scope)
            access = self._access(scope)
            if access is None:
                await self.app(scope, _Read(b"", receive), dressed)
                return
            share = self.parts.of(access)
            scope.update({ACCESS: access, SHARE: share})
            # Threads and tasks of this request take over what it remembers, others do not.
            with memory.apart(), share.request(), share.body() as add:
                body = await self._body(receive, self._most(scope), add)
                if body is not None:
                    await self.app(scope, _Read(body, receive), dressed)
        except errors.ApiError as error:
            made = error.response()
            made.headers["Connection"] = "close"  # its body may still be on the way
            await made(scope, receive, dressed)

    def _access(self, scope: types.Scope) -> keys.Access | None:
        """What the request's key opens; None without one, where none is needed."""
        if self.known is None:
            return keys.EVERYONE
        sent = datastructures.Headers(scope=scope).get("authorization", "")
        kind, _, key = sent.partition(" ")
        found = self.known.access(key.strip()) if kind.lower() == "bearer" else None
        if found is None and scope["path"].startswith(_NEED_A_KEY):
            raise keys.unknown()
        return found

    async def _body(
        self, receive: types.Receive, most: int, add: Callable[[int], None]
    ) -> bytes | None:
        """The whole body, `add`ed up as it comes; None where the client left before its end."""
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self.cfg.body_seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    add(len(message.get("body", b"")))
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise _too_large(most)
        except TimeoutError:
            raise errors.ApiError(
                408,
                f"the body did not arrive within {self.cfg.body_seconds:g} s; send it faster.",
                code="too_slow",
            ) from None
        return bytes(body)

    def _check(self, scope: types.Scope) -> None:
        headers = datastructures.Headers(scope=scope)
        if self.hosts is not None:
            _require_own(headers, self.hosts)
        for what in (scope.get("raw_path") or b"", scope["query_string"]):
            try:
                urllib.parse.unquote_to_bytes(what).decode()
            except UnicodeDecodeError as error:
                raise errors.ApiError(
                    400, f"the address is not UTF-8 ({error.reason}).", code="invalid_utf8"
                ) from error
        if "content-length" in headers and "transfer-encoding" in headers:
            raise errors.ApiError(
                400,
                "Content-Length and Transfer-Encoding exclude each other; send one of them.",
                code="ambiguous_length",
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._most(scope):
            raise _too_large(self._most(scope))

    def _most(self, scope: types.Scope) -> int:
        imports = scope["path"].endswith(_IMPORT)
        return self.cfg.import_bytes if imports else self.cfg.body_bytes


class _Read:
    """`receive` of a request whose body is there: the body, then news of the client."""

    def __init__(self, body: bytes, receive: types.Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> types.Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _too_large(most: int) -> errors.ApiError:
    message = f"the body is larger than {most} bytes; send less."
    return errors.ApiError(413, message, code="too_large")


def _require_own(headers: datastructures.Headers, hosts: Collection[str]) -> None:
    host = headers.get("host", "")
    if _name(host) not in hosts:
        raise errors.ApiError(
            403,
            f"Host {ascii(host[:80])} is not this server's; use one of {', '.join(hosts)}, or "
            "start it with API keys.",
            code="foreign_host",
        )
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise errors.ApiError(
            403,
            f"a page of {ascii(origin[:80])} may not use a server without API keys; start it with "
            "keys.",
            code="foreign_origin",
        )


def _name(host: str) -> str:
    """A Host header without its port, in lower case."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).lower()
