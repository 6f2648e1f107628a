"""Data that came from outside, read with checks: what is wrong is named by where it stands."""

import datetime
from collections.abc import Callable
from typing import Any

MAX_INTEGER = 2**31 - 1


class Entry:
    """A JSON object that knows where it stands in the import."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{where} is a {type(data).__name__}; it must be an object.")
        self._data = data
        self.where = where

    def take(self, key: str, kind: type, *, optional: bool = False) -> Any:
        if key not in self._data:
            raise ValueError(f"{self.where} has no {key!r}; export the profile again.")
        value: Any = self._data[key]
        if optional and value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ValueError(
                f"{self.where}.{key} is a {type(value).__name__}; it must be of {kind.__name__}."
            )
        if isinstance(value, str) and not _stores(value):
            raise ValueError(f"{self.where}.{key} has a character that no database stores.")
        if type(value) is int and not 0 <= value <= MAX_INTEGER:
            raise ValueError(f"{self.where}.{key}={value}; it must be from 0 to {MAX_INTEGER}.")
        return value

    def entries(self, key: str) -> "list[Entry]":
        items = self.take(key, list)
        return [Entry(item, f"{self.where}.{key}[{n}]") for n, item in enumerate(items)]

    def entry(self, key: str) -> "Entry":
        return Entry(self.take(key, dict), f"{self.where}.{key}")

    def time(self, key: str, *, optional: bool = False) -> Any:
        text = self.take(key, str, optional=optional)
        return None if text is None else _time(f"{self.where}.{key}", text)

    def times(self, key: str) -> tuple[datetime.datetime, ...]:
        return tuple(
            _time(f"{self.where}.{key}[{n}]", text) for n, text in enumerate(self.texts(key))
        )

    def texts(self, key: str) -> tuple[str, ...]:
        items = self.take(key, list)
        if not all(isinstance(item, str) and _stores(item) for item in items):
            raise ValueError(f"{self.where}.{key} must be a list of texts that databases store.")
        return tuple(items)

    def nothing(self, key: str) -> Any:
        return self.take(key, type(None))

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        text = self.take(key, str)
        if text not in allowed:
            raise ValueError(
                f"{self.where}.{key}={text!r:.40}: choose one of {', '.join(allowed)}."
            )
        return text

    def build(self, make: Callable[[], Any]) -> Any:
        """What `make` returns; its complaints say where."""
        try:
            return make()
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from error


def _stores(text: str) -> bool:
    """Whether databases store the text: NUL and half a surrogate pair are refused."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def _time(where: str, text: str) -> datetime.datetime:
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{where}={text!r:.40} is no ISO 8601 time.") from error
    if time.utcoffset() != datetime.timedelta(0):
        raise ValueError(f"{where}={text!r:.40} is not in UTC; end it in +00:00.")
    return time.replace(tzinfo=datetime.UTC)
