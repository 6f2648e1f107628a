"""What a caller misspelt: a name that a route does not read is refused, with the nearest one."""

import difflib
from collections.abc import Sequence

import fastapi
from fastapi import exceptions
from starlette import routing

_SHOWN_CHARS = 60
_MEANT = dict.fromkeys(("completions", "responses", "chat", "generate"), "/v1/chat/completions")


def require_known_query(request: fastapi.Request) -> None:
    """Refuses a query parameter that the route does not read, or that comes twice."""
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    for name, value in given:
        said = ""
        if name not in known:
            said = unknown(name, known)
        elif names.count(name) > 1:
            said = f"stands {names.count(name)} times; give it once"
        if said:
            wrong = {"type": "value_error", "loc": ("query", name), "msg": said, "input": value}
            raise exceptions.RequestValidationError([wrong])


def fields(request: fastapi.Request) -> list[str]:
    """The fields of the body that the route reads."""
    body = request.scope["route"].body_field
    return [] if body is None else list(body.field_info.annotation.model_fields)


def no_address(request: fastapi.Request) -> str:
    """What to say of an address that is none, with the nearest that is one."""
    path = request.scope["path"]
    paths = request.app.openapi()["paths"]
    meant = _MEANT.get(path.rstrip("/").rpartition("/")[2])
    alike = [meant] if meant else difflib.get_close_matches(path, paths, 1, cutoff=0.5)
    nearest = f"; the nearest is {alike[0]}" if alike else ""
    return f"{ascii(path[:_SHOWN_CHARS])} is no address of this server{nearest}. /docs lists all."


def methods(request: fastapi.Request) -> list[str]:
    """The methods that are answered at an address, by whichever route; files have two."""
    found = [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST")
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is routing.Match.FULL
    ]
    return list(dict.fromkeys(found)) or ["GET", "HEAD"]


def unknown(name: str, known: Sequence[str]) -> str:
    """What to say of a name that is none of the known ones."""
    alike = difflib.get_close_matches(name.lower(), known, 1)
    if alike:
        return f"nothing here is called so; the nearest is {alike[0]!r}"
    names = ", ".join(map(repr, known))
    return f"nothing here is called so; {f'there is {names}' if known else 'leave it out'}"
