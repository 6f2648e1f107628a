"""A whole profile as JSON-able data, and back: what `export` gives and `import_` takes.

    {"format": "pa_jax.profile", "version": 2, "user": ID,
     "facts":  [a version of a fact each: the fields of Fact, "version", "event",
                "by": {"session", "turn"}, "known_from", "known_to"],
     "turns":  [{"session", "turn", "applied_at", "receipts"}],
     "labels": [{"name", "sightings", "first_seen", "last_seen", "promoted_at"}],
     "journal": [the fields of turns.Turn]}

Version 1 had no journal. Times are ISO 8601 in UTC. What is read is checked as a whole before
anything is stored.
"""

import dataclasses
import datetime
import functools
import json
import math
from typing import Any

from pa_jax.english import words
from pa_jax.profile import entries, facts, promote, turns, update

FORMAT = "pa_jax.profile"
VERSION = 2
READABLE = (1, 2)
MAX_ID_CHARS = 100


@dataclasses.dataclass(frozen=True)
class Record:
    """A version of a fact: what the store said from `known_from` until `known_to`.

    `wire.Record` is how HTTP shows it; a `heldout.Record` is what an evaluation keeps.

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
    receipts: tuple[update.Outcome, ...]


_Turn = turns.Turn  # Profile has a field of the module's name


@dataclasses.dataclass(frozen=True)
class Profile:
    """All that a store holds about one user."""

    user: str
    records: tuple[Record, ...]
    turns: tuple[AppliedTurn, ...]
    labels: tuple[promote.Label, ...]
    journal: tuple[_Turn, ...]


def order(record: Record) -> tuple[Any, ...]:
    """Sorts records as they became known."""
    return record.known_from, update.order(record.fact), record.version


def dump(profile: Profile) -> dict[str, Any]:
    """The data of a profile."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "user": profile.user,
        "facts": [record_data(record) for record in profile.records],
        "turns": [
            _plain(turn) | {"receipts": receipts_data(turn.receipts)} for turn in profile.turns
        ],
        "labels": [_plain(label) for label in profile.labels],
        "journal": [_journal_data(turn) for turn in profile.journal],
    }


def fact_data(fact: facts.Fact) -> dict[str, Any]:
    """A fact as data, without its user."""
    data = _plain(fact) | {"source": _plain(fact.source)}
    del data["user"]  # said once, at the top
    return data


def record_data(record: Record) -> dict[str, Any]:
    """A version of a fact as data."""
    return fact_data(record.fact) | {
        "version": record.version,
        "event": record.event,
        "by": {"session": record.by[0], "turn": record.by[1]},
        "known_from": _text(record.known_from),
        "known_to": _text(record.known_to),
    }


def receipts_data(receipts: tuple[update.Outcome, ...]) -> list[dict[str, Any]]:
    """Receipts as data."""
    return [_plain(receipt) | {"closed": list(receipt.closed)} for receipt in receipts]


def ops_data(ops: tuple[facts.FactOp, ...]) -> list[dict[str, Any]]:
    """Operations as data."""
    return [_plain(op) for op in ops]


def needs_data(needs: tuple[tuple[str, float], ...]) -> list[dict[str, Any]]:
    """What a request depends on, as data."""
    return [{"slot": slot, "weight": weight} for slot, weight in needs]


def load(data: Any) -> Profile:
    """The profile in exported data or its JSON text; a ValueError says where it is wrong."""
    if isinstance(data, str | bytes):
        try:
            data = json.loads(data)
        except ValueError as error:
            raise ValueError(
                f"profile import is no JSON ({error}); was it written to its end? Export it again."
            ) from error
    top = entries.Entry(data, "profile import")
    version = top.take("version", int)
    if top.take("format", str) != FORMAT or version not in READABLE:
        raise ValueError(
            f"profile import has format {data['format']!r} version {data['version']!r}; this "
            f"pa_jax reads {FORMAT!r} versions {READABLE}; convert it, or upgrade pa_jax."
        )
    user = top.take("user", str)
    profile = Profile(
        user,
        tuple(_record(entry, user) for entry in top.entries("facts")),
        tuple(_turn(entry) for entry in top.entries("turns")),
        tuple(_label(entry) for entry in top.entries("labels")),
        tuple(_journal_turn(entry, user) for entry in _journal_entries(top, version)),
    )
    _require_unique("turns", [(turn.session, turn.turn) for turn in profile.turns])
    _require_unique("journal", [(turn.session, turn.turn) for turn in profile.journal])
    _require_unique("labels", [label.name for label in profile.labels])
    _require_chains(profile)
    return profile


def receipts(data: Any) -> tuple[update.Outcome, ...]:
    """Receipts from data."""
    return tuple(_receipt(entries.Entry(entry, "receipt")) for entry in data)


# to data


def _plain(item: Any) -> dict[str, Any]:
    fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    return {name: _text(value) for name, value in fields.items()}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value


def _journal_data(turn: turns.Turn) -> dict[str, Any]:
    data = _plain(turn)
    del data["user"]
    return data | {
        "ops": None if turn.ops is None else ops_data(turn.ops),
        "dropped": None if turn.dropped is None else list(turn.dropped),
        "needs": None if turn.needs is None else needs_data(turn.needs),
        "times": [_text(time) for time in turn.times],
    }


# from data


def _record(entry: entries.Entry, user: str) -> Record:
    source, by = entry.entry("source"), entry.entry("by")
    statement, quote = _text_of(entry, "statement"), _text_of(source, "quote")
    name = entry.take("id", str)
    if len(name) > MAX_ID_CHARS:
        raise ValueError(f"{entry.where}.id has {len(name)} characters; allow {MAX_ID_CHARS}.")
    category, subcategory = entry.take("category", str), entry.take("subcategory", str)
    entry.build(lambda: facts.require_slot("subcategory", f"{category}/{subcategory}"))
    if category == facts.OTHER:
        _require_label(f"{entry.where}.subcategory", subcategory)
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


def _text_of(entry: entries.Entry, name: str) -> str:
    """A statement or a quote; what nobody sees, as stores kept once, is dropped from it."""
    most = {"statement": update.MAX_STATEMENT_CHARS, "quote": update.MAX_QUOTE_CHARS}[name]
    text = words.seen(entry.take(name, str))
    if text != words.clean(text, most):
        raise ValueError(
            f"{entry.where}: a {name} is one line of at most {most} characters without control "
            "characters."
        )
    return text


def _require_label(where: str, name: str) -> None:
    if name != words.label(name):
        raise ValueError(f"{where}={name!r:.80} is not in its one spelling {words.label(name)!r}.")


def _turn(entry: entries.Entry) -> AppliedTurn:
    return AppliedTurn(
        entry.take("session", int),
        entry.take("turn", int),
        entry.time("applied_at"),
        tuple(_receipt(receipt) for receipt in entry.entries("receipts")),
    )


def _receipt(entry: entries.Entry) -> update.Outcome:
    closed = entry.texts("closed")
    return update.Outcome(
        entry.take("op", int),
        entry.choice("outcome", update.OUTCOMES),
        entry.take("fact_id", str, optional=True),
        closed,
        turns.clean(entry.take("reason", str)),
    )


def _label(entry: entries.Entry) -> promote.Label:
    name = entry.take("name", str)
    _require_label(f"{entry.where}.name", name)
    return promote.Label(
        name,
        entry.take("sightings", int),
        entry.time("first_seen"),
        entry.time("last_seen"),
        entry.time("promoted_at", optional=True),
    )


def _journal_entries(top: entries.Entry, version: int) -> list[entries.Entry]:
    return top.entries("journal") if version > 1 else []


def _journal_turn(entry: entries.Entry, user: str) -> turns.Turn:
    fields = {
        name: entry.take(name, str, optional=name != "words")
        for name in ("words", "declined", "snippet", "asked", "question", "why", "answer")
    }
    for name, text in fields.items():
        if text is not None and not turns.is_storable(text):
            raise ValueError(
                f"{entry.where}.{name} is not as a journal keeps it: at most "
                f"{turns.MAX_TEXT_CHARS} characters, none of them a control character."
            )
    fields = {name: None if t is None else turns.clean(t) for name, t in fields.items()}
    for name, allowed in (("declined", (None, turns.ANY)), ("asked", (None,))):
        if fields[name] not in allowed:
            entry.build(functools.partial(facts.require_slot, name, fields[name] or ""))
    reached = len(entry.take("times", list))
    inferred, decided = reached > 1, reached > turns.STAGES.index(turns.DECIDED)
    return entry.build(
        lambda: turns.Turn(
            user=user,
            session=entry.take("session", int),
            turn=entry.take("turn", int),
            failures=entry.take("failures", int),
            ops=tuple(map(_op, entry.entries("ops"))) if inferred else entry.nothing("ops"),
            dropped=_cleaned(entry.texts("dropped")) if inferred else entry.nothing("dropped"),
            needs=tuple(map(_need, entry.entries("needs"))) if decided else entry.nothing("needs"),
            times=entry.times("times"),
            **fields,
        )
    )


def _cleaned(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(turns.clean, texts))


def _op(entry: entries.Entry) -> facts.FactOp:
    texts = {name: entry.take(name, str) for name in ("kind", "slot", "polarity", "authority")}
    texts |= {name: entry.take(name, str, optional=True) for name in ("statement", "replaces")}
    confidence = entry.take("confidence", float)
    return entry.build(lambda: facts.FactOp(confidence=confidence, **texts))


def _need(entry: entries.Entry) -> tuple[str, float]:
    slot = entry.take("slot", str)
    entry.build(lambda: facts.require_slot("slot", slot))
    weight = entry.take("weight", float)
    if not 0.0 <= weight < math.inf:
        raise ValueError(f"{entry.where}.weight={weight}: give a number of 0 or more.")
    return slot, weight


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
