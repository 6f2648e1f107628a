"""A whole profile as JSON-able data, and back: what `export` gives and `import_` takes.

    {"format": "pa_jax.profile", "version": 1, "user": ID,
     "facts":  [a version of a fact each: the fields of Fact, "version", "event",
                "by": {"session", "turn"}, "known_from", "known_to"],
     "turns":  [{"session", "turn", "applied_at", "receipts"}],
     "labels": [{"name", "sightings", "first_seen", "last_seen", "promoted_at"}]}

Times are ISO 8601 in UTC. What is read is checked as a whole before anything is stored.
"""

import dataclasses
import datetime
import json
from collections.abc import Callable
from typing import Any

from pa_jax.profile import facts, promote, update, wording

FORMAT = "pa_jax.profile"
VERSION = 1
MAX_INTEGER = 2**31 - 1
MAX_ID_CHARS = 100


@dataclasses.dataclass(frozen=True)
class Record:
    """A version of a fact: what the store said from `known_from` until `known_to`.

    version  counts from 0 for each fact
    event    what made this version (update.EVENTS)
    by       (session, turn) that made it; where the fact was learnt is `fact.source`
    """

    fact: facts.Fact
    version: int
    event: str
    by: tuple[int, int]
    known_from: datetime.datetime
    known_to: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class AppliedTurn:
    """A turn that was applied, and what became of its operations."""

    session: int
    turn: int
    applied_at: datetime.datetime
    receipts: tuple[update.Receipt, ...]


@dataclasses.dataclass(frozen=True)
class Profile:
    """All that a store holds about one user."""

    user: str
    records: tuple[Record, ...]
    turns: tuple[AppliedTurn, ...]
    labels: tuple[promote.Label, ...]


def order(record: Record) -> tuple[Any, ...]:
    """Sorts records as they became known."""
    return record.known_from, update.order(record.fact), record.version


def dump(profile: Profile) -> dict[str, Any]:
    """The data of a profile."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "user": profile.user,
        "facts": [_record_data(record) for record in profile.records],
        "turns": [
            _plain(turn) | {"receipts": receipts_data(turn.receipts)} for turn in profile.turns
        ],
        "labels": [_plain(label) for label in profile.labels],
    }


def receipts_data(receipts: tuple[update.Receipt, ...]) -> list[dict[str, Any]]:
    """Receipts as data."""
    return [_plain(receipt) | {"closed": list(receipt.closed)} for receipt in receipts]


def load(data: Any) -> Profile:
    """The profile in exported data or its JSON text; a ValueError says where it is wrong."""
    if isinstance(data, str | bytes):
        try:
            data = json.loads(data)
        except ValueError as error:
            raise ValueError(
                f"profile import is no JSON ({error}); was it written to its end? Export it again."
            ) from error
    top = _Entry(data, "profile import")
    if (top.take("format", str), top.take("version", int)) != (FORMAT, VERSION):
        raise ValueError(
            f"profile import has format {data['format']!r} version {data['version']!r}; this "
            f"pa_jax reads {FORMAT!r} version {VERSION}; convert it, or upgrade pa_jax."
        )
    user = top.take("user", str)
    profile = Profile(
        user,
        tuple(_record(entry, user) for entry in top.entries("facts")),
        tuple(_turn(entry) for entry in top.entries("turns")),
        tuple(_label(entry) for entry in top.entries("labels")),
    )
    _require_unique("turns", [(turn.session, turn.turn) for turn in profile.turns])
    _require_unique("labels", [label.name for label in profile.labels])
    _require_chains(profile)
    return profile


def receipts(data: Any) -> tuple[update.Receipt, ...]:
    """Receipts from data."""
    return tuple(_receipt(_Entry(entry, "receipt")) for entry in data)


# to data


def _plain(item: Any) -> dict[str, Any]:
    fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    return {name: _text(value) for name, value in fields.items()}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value


def _record_data(record: Record) -> dict[str, Any]:
    data = _plain(record.fact) | {"source": _plain(record.fact.source)}
    del data["user"]  # said once, at the top
    return data | {
        "version": record.version,
        "event": record.event,
        "by": {"session": record.by[0], "turn": record.by[1]},
        "known_from": _text(record.known_from),
        "known_to": _text(record.known_to),
    }


# from data


class _Entry:
    """A JSON object that knows where it stands in the import."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{where} is a {type(data).__name__}; it must be an object.")
        self._data = data
        self.where = where

    def take(self, key: str, kind: type, *, optional: bool = False) -> Any:
        if key not in self._data:
            raise ValueError(f"{self.where} has no {key!r}; export the profile again.")
        value = self._data[key]
        if optional and value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ValueError(
                f"{self.where}.{key} is a {type(value).__name__}; it must be of {kind.__name__}."
            )
        if kind is str and ("\0" in value or not _encodes(value)):
            raise ValueError(f"{self.where}.{key} has a character that no database stores.")
        if kind is int and not 0 <= value <= MAX_INTEGER:
            raise ValueError(f"{self.where}.{key}={value}; it must be from 0 to {MAX_INTEGER}.")
        return value

    def entries(self, key: str) -> "list[_Entry]":
        items = self.take(key, list)
        return [_Entry(item, f"{self.where}.{key}[{n}]") for n, item in enumerate(items)]

    def entry(self, key: str) -> "_Entry":
        return _Entry(self.take(key, dict), f"{self.where}.{key}")

    def time(self, key: str, *, optional: bool = False) -> Any:
        text = self.take(key, str, optional=optional)
        if text is None:
            return None
        try:
            time = datetime.datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{self.where}.{key}={text!r:.40} is no ISO 8601 time.") from error
        if time.utcoffset() != datetime.timedelta(0):
            raise ValueError(f"{self.where}.{key}={text!r:.40} is not in UTC; end it in +00:00.")
        return time.replace(tzinfo=datetime.UTC)

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


def _encodes(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _record(entry: _Entry, user: str) -> Record:
    source, by = entry.entry("source"), entry.entry("by")
    statement, quote = entry.take("statement", str), source.take("quote", str)
    if statement != update.flat(statement) or len(quote) > update.MAX_QUOTE_CHARS:
        raise ValueError(
            f"{entry.where}: a statement is one line of at most {update.MAX_STATEMENT_CHARS} "
            f"characters without control characters, a quote at most {update.MAX_QUOTE_CHARS}."
        )
    name = entry.take("id", str)
    if len(name) > MAX_ID_CHARS:
        raise ValueError(f"{entry.where}.id has {len(name)} characters; allow {MAX_ID_CHARS}.")
    category, subcategory = entry.take("category", str), entry.take("subcategory", str)
    entry.build(lambda: facts.require_slot("subcategory", f"{category}/{subcategory}"))
    fact = entry.build(
        lambda: facts.Fact(
            id=name,
            user=user,
            category=category,
            subcategory=subcategory,
            statement=statement,
            polarity=entry.take("polarity", str),
            authority=entry.take("authority", str),
            confidence=entry.take("confidence", float),
            valid_from=entry.time("valid_from"),
            valid_to=entry.time("valid_to", optional=True),
            recorded_at=entry.time("recorded_at"),
            source=facts.Source(source.take("session", int), source.take("turn", int), quote),
            superseded_by=entry.take("superseded_by", str, optional=True),
        )
    )
    return Record(
        fact,
        entry.take("version", int),
        entry.choice("event", update.EVENTS),
        (by.take("session", int), by.take("turn", int)),
        entry.time("known_from"),
        entry.time("known_to", optional=True),
    )


def _turn(entry: _Entry) -> AppliedTurn:
    return AppliedTurn(
        entry.take("session", int),
        entry.take("turn", int),
        entry.time("applied_at"),
        tuple(_receipt(receipt) for receipt in entry.entries("receipts")),
    )


def _receipt(entry: _Entry) -> update.Receipt:
    closed = entry.take("closed", list)
    if not all(isinstance(name, str) for name in closed):
        raise ValueError(f"{entry.where}.closed must be a list of fact ids.")
    return update.Receipt(
        entry.take("op", int),
        entry.choice("outcome", update.OUTCOMES),
        entry.take("fact_id", str, optional=True),
        tuple(closed),
        entry.take("reason", str),
    )


def _label(entry: _Entry) -> promote.Label:
    name = entry.take("name", str)
    if name != wording.label(name):
        raise ValueError(
            f"{entry.where}.name={name!r:.80} is not in its one spelling {wording.label(name)!r}."
        )
    return promote.Label(
        name,
        entry.take("sightings", int),
        entry.time("first_seen"),
        entry.time("last_seen"),
        entry.time("promoted_at", optional=True),
    )


def _require_unique(what: str, keys: list[Any]) -> None:
    if len(set(keys)) < len(keys):
        raise ValueError(f"profile import: two of its {what} are the same; export it again.")


def _require_chains(profile: Profile) -> None:
    """Versions of a fact follow one another without a gap, and point at facts that are there."""
    chains: dict[str, list[Record]] = {}
    for record in sorted(profile.records, key=lambda record: record.version):
        chains.setdefault(record.fact.id, []).append(record)
    for name, chain in chains.items():
        ends = [record.known_to for record in chain]
        starts = [record.known_from for record in chain[1:]]
        successors = {record.fact.superseded_by for record in chain} - {None}
        if [record.version for record in chain] != list(range(len(chain))):
            raise ValueError(f"profile import: fact {name!r:.40} lacks a version; export it again.")
        if ends != [*starts, None]:
            raise ValueError(
                f"profile import: the versions of fact {name!r:.40} do not follow one another "
                "(known_to of each is known_from of the next, None for the last)."
            )
        if not successors <= chains.keys():
            raise ValueError(
                f"profile import: fact {name!r:.40} is superseded by one that is not in it."
            )
