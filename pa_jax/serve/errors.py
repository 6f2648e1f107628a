"""What goes wrong, in OpenAI's shape: {"error": {"message", "type", "code", "param"}}."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastapi
import starlette.exceptions
from absl import logging
from fastapi import exceptions, responses

from pa_jax.agent import handle
from pa_jax.dialogue import template
from pa_jax.infer.serving import scheduler
from pa_jax.profile.db import connect
from pa_jax.serve import slips

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_SHOWN_CHARS = 60  # of what was got
_PLAIN = {  # pydantic's names of faults -> what belongs there
    "missing": "is needed; give it",
    "string_type": "a text belongs here",
    "list_type": "a list belongs here",
    "bool_type": "true or false belongs here",
    "int_type": "a whole number belongs here",
    "int_from_float": "a whole number belongs here",
    "int_parsing": "a whole number belongs here",
    "float_type": "a number belongs here",
    "model_type": "a JSON object belongs here",
    "model_attributes_type": "a JSON object belongs here",
    "dict_type": "a JSON object belongs here",
    "too_short": "at least {min_length} must be given",
    "too_long": "at most {max_length} may be given",
    "literal_error": "choose one of {expected}",
    "greater_than_equal": "{ge} or more is allowed",
    "greater_than": "more than {gt} is allowed",
    "less_than_equal": "{le} or less is allowed",
    "less_than": "less than {lt} is allowed",
    "finite_number": "a finite number belongs here",
    "string_too_short": "at least {min_length} characters must be given",
    "string_too_long": "at most {max_length} characters are allowed",
}
_SLIP = "extra_forbidden"  # pydantic's name of a field that a model has not


class ApiError(Exception):
    """An answer that is an error; `message` says what was got, what is allowed and what to do."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The error as data."""
        usual = "invalid_request_error" if self.status < 500 else "server_error"
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, usual),
                "code": self.code,
                "param": self.param,
            }
        }

    def response(self) -> responses.Response:
        """The error as a response."""
        return responses.JSONResponse(self.body(), self.status, headers=self.headers)


def busy(message: str, *, retry_after: float, status: int = 429) -> ApiError:
    """Too much at once: try again after so many seconds."""
    seconds = str(max(round(retry_after), 1))
    message = f"{message} Try again in {seconds} s."
    return ApiError(status, message, code="busy", headers={"Retry-After": seconds})


def of(error: BaseException) -> ApiError:
    """What a caller is told of an error; one that nobody expected is logged and not told."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, template.Refused):
        return ApiError(400, f"{error}", code="invalid_value", param="messages")
    if isinstance(error, scheduler.Busy):
        return busy(f"{error}", retry_after=1.0)
    if isinstance(error, scheduler.Closed | handle.Left):
        return busy("the server is shutting down.", retry_after=5.0, status=503)
    if isinstance(error, connect.StoreError):
        return busy(f"{error}", retry_after=2.0, status=503)
    if type(error) is LookupError:  # not a KeyError, which is a fault of ours
        message = "the user was erased while this was answered; send it again to begin anew."
        return ApiError(409, message, code="erased_meanwhile")
    logging.error("a request failed", exc_info=error)
    message = "the server failed on this request; its log says why."
    return ApiError(500, message, code="internal_error")


def install(app: fastapi.FastAPI) -> None:
    """Has an app answer every error in this shape."""
    own: dict[type[Exception], Callable[..., Any]] = {
        exceptions.RequestValidationError: _invalid,
        starlette.exceptions.HTTPException: _http,
    }
    for kind, answer in own.items():
        app.add_exception_handler(kind, answer)
    for kind in (
        ApiError,
        template.Refused,
        scheduler.Busy,
        scheduler.Closed,
        handle.Left,
        connect.StoreError,
        LookupError,
        Exception,
    ):
        app.add_exception_handler(kind, _any)


async def _any(_: fastapi.Request, error: Exception) -> responses.Response:
    return of(error).response()


async def _http(
    request: fastapi.Request, error: starlette.exceptions.HTTPException
) -> responses.Response:
    """What FastAPI itself refuses: unknown paths, wrong methods, bodies that are no JSON."""
    code = _CODES.get(error.status_code, "invalid_body")
    said, headers = f"{error.detail}", error.headers
    if error.status_code == 404:
        said = slips.no_address(request)
    elif error.status_code == 405:
        headers = {"Allow": ", ".join(slips.methods(request))}  # the error's has one route's
        said = f"{request.method} is not answered at this address; use {headers['Allow']}."
    elif error.status_code == 400:
        said = "the body cannot be read; send JSON in UTF-8, not nested without end."
    return ApiError(error.status_code, said, code=code, headers=headers).response()


async def _invalid(
    request: fastapi.Request, error: exceptions.RequestValidationError
) -> responses.Response:
    """The first thing that is wrong with a request; what was got is shown as plain ASCII."""
    # A name that nobody knows, before what is missing for it; then, of the branches of a union, the
    # one that got furthest, or was of the right kind: their names are our own.
    first = max(
        error.errors(),
        key=lambda one: (
            one["type"] == _SLIP,
            len(_named(one["loc"])),
            not one["type"].endswith("_type"),
        ),
    )
    where = ascii(".".join(_named(first["loc"]))[:_SHOWN_CHARS])[1:-1]
    if first["type"] == "json_invalid":
        message = f"the body is no JSON: {first.get('ctx', {}).get('error', first['msg'])}."
        return ApiError(400, message, code="invalid_json").response()
    kind = first["type"]
    if kind in ("too_short", "too_long") and isinstance(first.get("input"), str):
        kind = f"string_{kind}"
    said = _PLAIN.get(kind, "{msg}").format(
        msg=first["msg"].removeprefix("Value error, "), **first.get("ctx", {})
    )
    if first["type"] == _SLIP:
        said = slips.unknown(where, slips.fields(request))
    elif isinstance(first.get("input"), bytes):
        said = "send JSON, with the header Content-Type: application/json"
    elif where.endswith(".content") and first["type"].endswith("_type"):
        said = 'give a text, or a list of parts {"type": "text", "text": ...}'
    got = "" if first["type"] == "missing" else f" (got {_shown(first.get('input'))})"
    message = f"{where or 'body'}: {said}{got}."
    return ApiError(400, message, code="invalid_value", param=where or None).response()


def _named(loc: Sequence[str | int]) -> list[str]:
    """The path of a field; what pydantic calls a branch of a union is no part of it."""
    inside = loc[1:] if loc and loc[0] in ("body", "query", "path") else loc
    return [str(part) for part in inside if loc[0] != "body" or "[" not in str(part)]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return ascii(value[:_SHOWN_CHARS])
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return ascii(value)
    if isinstance(value, int):
        return ascii(value) if abs(value) < 10**20 else "a huge number"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    return "bytes" if isinstance(value, bytes) else f"a {type(value).__name__}"
