"""Kinds of fields: how a value is checked when it comes from outside, and how JSON writes it.

What is kept of a user is described once, by frozen dataclasses whose fields are of these kinds:
`facts.Fact`, `portable.Record` and the others that they lead to. From those fields come the export
and the import (portable.py), the tables and their rows (db/tables.py), and what HTTP shows
(serve/wire.py). So a new field is one line in its dataclass, and a migration.

A dataclass that Python code makes checks itself (`__post_init__`); what stands here besides is
checked by `load` alone, and nothing is by `unchecked`, for a store that reads back its own.
"""

import datetime
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import pydantic

T = TypeVar("T")
MAX_INTEGER = 2**31 - 1
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_WANTED = {"dataclass_type": "an object", "tuple_type": "a list"}  # else as pydantic says it


def one_of(allowed: Sequence[str]) -> pydantic.AfterValidator:
    """Of a text: one of these."""

    def checked(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r:.40}: choose one of {', '.join(allowed)}.")
        return text

    return pydantic.AfterValidator(checked)


def at_most(characters: int) -> pydantic.AfterValidator:
    """Of a text: no longer than that."""

    def checked(text: str) -> str:
        if len(text) > characters:
            raise ValueError(f"it has {len(text)} characters; allow {characters}.")
        return text

    return pydantic.AfterValidator(checked)


def _storable(text: str) -> str:
    """Refuses NUL and half a surrogate pair."""
    if _UNSTORABLE.search(text):
        raise ValueError("it has a character that no database stores.")
    return text


def _counted(number: int) -> int:
    if not 0 <= number <= MAX_INTEGER:
        raise ValueError(f"{number!r:.40}; it must be from 0 to {MAX_INTEGER}.")
    return number


def _moment(value: Any) -> datetime.datetime:
    if not isinstance(value, str | datetime.datetime):
        raise ValueError(f"it is a {type(value).__name__}; it must be an ISO 8601 time in UTC.")
    try:
        time = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"{value!r:.40} is no ISO 8601 time.") from error
    if time.utcoffset() != datetime.timedelta(0):
        raise ValueError(f"{str(value)!r:.40} is not in UTC; end it in +00:00.")
    return time.replace(tzinfo=datetime.UTC)


# What a field may be. None of them tells the HTTP schema more than the plain type.
Text = Annotated[str, pydantic.Strict(), pydantic.AfterValidator(_storable)]
Count = Annotated[int, pydantic.Strict(), pydantic.AfterValidator(_counted)]
Number = Annotated[float, pydantic.Strict()]
Moment = Annotated[
    datetime.datetime,
    pydantic.BeforeValidator(_moment),
    pydantic.PlainSerializer(datetime.datetime.isoformat, return_type=str),
]
Owner = Annotated[Text, pydantic.Field(exclude=True)]  # said once, around what is the user's


@functools.cache
def _adapter(of: Any) -> Any:
    return pydantic.TypeAdapter(of)


def dump(item: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON-able data."""
    of: Any = type(item)
    return _adapter(of).dump_python(item, mode="json", by_alias=True)


def load(of: type[T], data: Any, where: str) -> T:
    """What the data says; a ValueError names the first place that is wrong, and how."""
    kind: Any = of
    try:
        return _adapter(kind).validate_python(data)
    except pydantic.ValidationError as error:
        raise ValueError(_told(error.errors(include_url=False)[0], where)) from error


def unchecked(of: type[T], fields: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> T:
    """A dataclass of fields that one has held before."""
    made = object.__new__(of)
    made.__dict__.update(fields)
    return made


def _told(error: Any, where: str) -> str:
    *path, last = error["loc"] or (None,)
    within = where + "".join(map(_step, path))
    here = within if last is None else within + _step(last)
    kind, got = error["type"], error["input"]
    if kind == "missing":
        return f"{within} has no {last!r}; export the profile again."
    if kind == "value_error":
        return f"{here}: {error['ctx']['error']}"
    wanted = _WANTED.get(kind, error["msg"].removeprefix("Input should be "))
    return f"{here} is a {type(got).__name__}; it must be {wanted}."


def _step(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"
