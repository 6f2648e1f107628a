"""A whole profile as JSON-able data, and back: what `export` gives and `import_` takes.

    {"format": "pa_jax.profile", "version": 2, "user": ID,
     "facts":   [the fields of Record],
     "turns":   [the fields of AppliedTurn],
     "labels":  [the fields of promote.Label],
     "journal": [the fields of turns.Turn]}

Version 1 had no journal. Times are ISO 8601 in UTC. What is read is checked as a whole before
anything is stored; codec.py has the kinds of fields.
"""

import dataclasses
import json
from typing import Annotated, Any

import pydantic

from pa_jax.profile import codec, facts, promote, turns, update

FORMAT = "pa_jax.profile"
VERSION = 2
READABLE = (1, 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(facts.Fact):
    """A version of a fact: what the store said from `known_from` until `known_to`.

    `wire.Record` is how HTTP shows it; a `heldout.Record` is what an evaluation keeps.

    version  counts from 0 for each fact
    event    what made this version (update.EVENTS)
    by       the turn that made it; where the fact was learnt is `source`
    """

    version: codec.Count
    event: Annotated[codec.Text, codec.one_of(update.EVENTS)]
    by: facts.Place
    known_from: codec.Moment
    known_to: codec.Moment | None

    @property
    def fact(self) -> facts.Fact:
        """The fact as it was in this version."""
        fields = {name: getattr(self, name) for name in _FACT_FIELDS}
        return codec.unchecked(facts.Fact, fields)


_FACT_FIELDS = tuple(field.name for field in dataclasses.fields(facts.Fact))


@dataclasses.dataclass(frozen=True)
class AppliedTurn:
    """A turn that was applied, and what became of its operations."""

    session: codec.Count
    turn: codec.Count
    applied_at: codec.Moment
    receipts: tuple[update.Outcome, ...]


_Turn = turns.Turn  # Profile has a field of the module's name


def _in_taxonomy(record: Record) -> Record:
    """Refuses a place that is no slot; a fact that stands in a store may be of a slot of before."""
    facts.require_slot("subcategory", record.slot)
    if record.category == facts.OTHER:
        facts.spelt(record.subcategory)
    return record


@dataclasses.dataclass(frozen=True)
class Profile:
    """All that a store holds about one user."""

    user: codec.Text
    records: Annotated[
        tuple[Annotated[Record, pydantic.AfterValidator(_in_taxonomy)], ...],
        pydantic.Field(alias="facts"),
    ]
    turns: tuple[AppliedTurn, ...]
    labels: tuple[promote.Label, ...]
    journal: tuple[_Turn, ...]


@dataclasses.dataclass(frozen=True)
class _Head:
    format: codec.Text
    version: codec.Count


def order(record: Record) -> tuple[Any, ...]:
    """Sorts records as they became known."""
    return record.known_from, update.order(record), record.version


def dump(profile: Profile) -> dict[str, Any]:
    """The data of a profile."""
    return {"format": FORMAT, "version": VERSION} | codec.dump(profile)


def load(data: Any) -> Profile:
    """The profile in exported data or its JSON text; a ValueError says where it is wrong."""
    if isinstance(data, str | bytes):
        try:
            data = json.loads(data)
        except ValueError as error:
            raise ValueError(
                f"profile import is no JSON ({error}); was it written to its end? Export it again."
            ) from error
    head = codec.load(_Head, data, "profile import")
    if head.format != FORMAT or head.version not in READABLE:
        raise ValueError(
            f"profile import has format {head.format!r} version {head.version!r}; this "
            f"pa_jax reads {FORMAT!r} versions {READABLE}; convert it, or upgrade pa_jax."
        )
    if head.version == 1:
        data = data | {"journal": []}
    profile = codec.load(Profile, {part: _owned(data, part) for part in data}, "profile import")
    _require_unique("turns", [(turn.session, turn.turn) for turn in profile.turns])
    _require_unique("journal", [(turn.session, turn.turn) for turn in profile.journal])
    _require_unique("labels", [label.name for label in profile.labels])
    _require_chains(profile)
    return profile


def _owned(data: dict[str, Any], part: str) -> Any:
    """A part of the data, each of its entries with the user, who is named once at the top."""
    items, user = data[part], {"user": data.get("user")}
    if not isinstance(items, list):
        return items
    return [item | user if isinstance(item, dict) else item for item in items]


def _require_unique(what: str, keys: list[Any]) -> None:
    if len(set(keys)) < len(keys):
        raise ValueError(f"profile import: two of its {what} are the same; export it again.")


def _require_chains(profile: Profile) -> None:
    """Versions of a fact follow one another without a gap, and point at facts that are there."""
    chains: dict[str, list[Record]] = {}
    for record in sorted(profile.records, key=lambda record: record.version):
        chains.setdefault(record.id, []).append(record)
    for name, chain in chains.items():
        ends = [record.known_to for record in chain]
        starts = [record.known_from for record in chain[1:]]
        successors = {record.superseded_by for record in chain} - {None}
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
