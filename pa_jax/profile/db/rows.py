"""How a dataclass lies in a table: a column a field, those of a field's own fields beside them.

Times are whole microseconds since 1970 in UTC, so that both databases keep and compare them
exactly; lists are JSON. Rows are read back unchecked: what is in them was checked before.
"""

import dataclasses
import datetime
import json
import operator
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

import pydantic
import sqlalchemy as sa

from pa_jax.profile import codec

T = TypeVar("T")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_TIMES = tuple[datetime.datetime, ...]
_NAMES = {"id": "fact_id", "user": "user_id", "by.session": "by_session", "by.turn": "by_turn"}


class Time(sa.TypeDecorator[datetime.datetime]):
    """An aware time in UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        return _micros

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        return _moment


def _micros(time: datetime.datetime | None) -> int | None:
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def _moment(micros: int | None) -> datetime.datetime | None:
    return None if micros is None else _EPOCH + micros * _MICROSECOND


class Listed(sa.TypeDecorator[tuple]):
    """A tuple of a kind, as JSON."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._json, self._read = pydantic.TypeAdapter(kind), _reader(kind)

    def process_bind_param(self, value: tuple | None, dialect: Any) -> str | None:
        return None if value is None else self._json.dump_json(value).decode()

    def process_result_value(self, value: str | None, dialect: Any) -> tuple | None:
        return None if value is None else self._read(json.loads(value))


_SQL = {str: sa.Text, int: sa.Integer, float: sa.Double, datetime.datetime: Time}  # else Listed


class Layout(Generic[T]):
    """A dataclass as a row; `names` are its columns, as they have to be selected.

    Left out are times of stages, each of which has a column that is named elsewhere.
    """

    def __init__(self, of: type[T]) -> None:
        self._of = of
        fields = {name: field for name, field in _fields(of).items() if field.kind != _TIMES}
        inner = {n: f.kind for n, f in fields.items() if dataclasses.is_dataclass(f.kind)}
        paths = {name: field for name, field in fields.items() if name not in inner}
        self._plain = tuple(paths)
        self._inner: list[tuple[str, Any, tuple[str, ...]]] = []
        for name, kind in inner.items():
            parts = _fields(kind)
            paths |= {f"{name}.{part}": field for part, field in parts.items()}
            self._inner.append((name, kind, tuple(parts)))
        self.names = tuple(_NAMES.get(path, path.rpartition(".")[2]) for path in paths)
        self._fields = tuple(paths.values())
        self._values = operator.attrgetter(*paths)

    def columns(self, *, key: Sequence[str]) -> list[sa.Column]:
        """The columns, but that of the user."""
        return [
            sa.Column(
                name,
                _SQL.get(field.kind) or Listed(field.kind),
                primary_key=name in key,
                autoincrement=False,
                nullable=field.optional,
            )
            for name, field in zip(self.names, self._fields, strict=True)
            if name != "user_id"
        ]

    def row(self, item: T) -> dict[str, Any]:
        """The columns that an item decides."""
        return dict(zip(self.names, self._values(item), strict=True))

    def item(self, row: Any, **more: Any) -> T:
        """What a row has whose first columns are `names`; `more` are fields that were left out."""
        values = iter(row)  # each zip takes as many as it has names
        made = codec.unchecked(self._of, zip(self._plain, values, strict=False))
        for name, of, parts in self._inner:
            more[name] = codec.unchecked(of, zip(parts, values, strict=False))
        vars(made).update(more)
        return made


@dataclasses.dataclass(frozen=True)
class _Field:
    kind: Any
    optional: bool


def _fields(of: Any) -> dict[str, _Field]:
    """The fields of a dataclass: of what kind each is beside None, and whether it may be None."""
    hints = typing.get_type_hints(of)
    found = {}
    for field in dataclasses.fields(of):
        hint = hints[field.name]
        either = typing.get_origin(hint) in (typing.Union, types.UnionType)
        [kind] = set(typing.get_args(hint) if either else (hint,)) - {types.NoneType}
        found[field.name] = _Field(kind, either)
    return found


def _reader(kind: Any) -> Callable[[Any], Any]:
    """What makes of JSON data the value that it was written from, unchecked."""
    if typing.get_origin(kind) is tuple:
        read = _reader(typing.get_args(kind)[0])
        return lambda data: tuple(map(read, data))
    if dataclasses.is_dataclass(kind):
        inner = {name: _reader(field.kind) for name, field in _fields(kind).items()}
        return lambda data: codec.unchecked(
            cast(type, kind), {name: inner[name](value) for name, value in data.items()}
        )
    return lambda value: value
