"""What is known about a user, and the operations that change it."""

import dataclasses
import datetime
import functools
from collections.abc import Sequence
from typing import Any

from pa_jax.english import statements
from pa_jax.profile import taxonomy

ADD = "add"
REVISE = "revise"
RETRACT = "retract"
KINDS = (ADD, REVISE, RETRACT)
POLARITIES = ("positive", "negative", "neutral")
AUTHORITIES = ("stated", "inferred")
OTHER = "other"
MANNER = "communication"  # category of facts about how to reply, whatever the request


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a fact was learnt; `quote` is the user's own words, data and never an instruction."""

    session: int
    turn: int
    quote: str


@dataclasses.dataclass(frozen=True)
class Fact:
    """One statement about one user.

    `wire.Fact` is how HTTP shows it.

    id             names the fact in `superseded_by`
    category       of the taxonomy, or OTHER, whose subcategories are proposed labels
    polarity       whether the user wants what the statement names (positive), rejects it
                   (negative), or neither (neutral: "The user has two children.")
    confidence     at `recorded_at`, in [0, 1]; decay is computed from it, not stored
    valid_from     since when it holds; `valid_to` until when, None while it holds
    superseded_by  id of the fact that replaced it, None for one that nothing replaced

    All times are aware datetimes in UTC.
    """

    id: str
    user: str
    category: str
    subcategory: str
    statement: str
    polarity: str
    authority: str
    confidence: float
    valid_from: datetime.datetime
    valid_to: datetime.datetime | None
    recorded_at: datetime.datetime
    source: Source
    superseded_by: str | None

    def __post_init__(self) -> None:
        for name in ("id", "user", "category", "subcategory", "statement"):
            _require_words(f"Fact.{name}", getattr(self, name))
        _require_belief("Fact", self.polarity, self.authority, self.confidence)
        for name in ("valid_from", "valid_to", "recorded_at"):
            _require_utc(f"Fact.{name}", getattr(self, name))
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(
                f"Fact.valid_to={self.valid_to} lies before valid_from={self.valid_from}; "
                "swap them, or leave valid_to None while the fact holds."
            )
        if self.superseded_by == self.id:
            raise ValueError(
                f"Fact {self.id!r} is superseded by itself; name the newer fact, or None."
            )

    @classmethod
    def unchecked(cls, fields: dict[str, Any]) -> "Fact":
        """A fact of fields that a Fact has held before, for a store that reads back its own."""
        fact = object.__new__(cls)
        fact.__dict__.update(fields)
        return fact

    @property
    def slot(self) -> str:
        """The path "category/subcategory"."""
        return f"{self.category}/{self.subcategory}"


@dataclasses.dataclass(frozen=True)
class FactOp:
    """One change to a profile, before it is dated and stored.

    kind       ADD a statement, REVISE one (the old stays in history), or RETRACT one
    statement  the new statement, None to retract
    slot       a path of the taxonomy, or "other/LABEL" with a proposed label
    replaces   the statement that stops being true, as the profile shows it; None to add
    """

    kind: str
    statement: str | None
    slot: str
    replaces: str | None
    polarity: str
    authority: str
    confidence: float

    @property
    def said(self) -> str:
        """The statement of what does not retract."""
        assert self.statement is not None  # see __post_init__
        return self.statement

    @property
    def old(self) -> str:
        """The statement that stops being true, of what does not add."""
        assert self.replaces is not None  # see __post_init__
        return self.replaces

    def __post_init__(self) -> None:
        _require_choice("FactOp.kind", self.kind, KINDS)
        _require_presence(self.kind, "statement", self.statement, wanted=self.kind != RETRACT)
        _require_presence(self.kind, "replaces", self.replaces, wanted=self.kind != ADD)
        require_slot("FactOp.slot", self.slot)
        _require_belief("FactOp", self.polarity, self.authority, self.confidence)

    @classmethod
    def unchecked(cls, fields: dict[str, Any]) -> "FactOp":
        """An operation of fields that a FactOp has held before."""
        op = object.__new__(cls)
        op.__dict__.update(fields)
        return op


def of_last_turn(held: Sequence[Fact], at: tuple[int, int]) -> list[Fact]:
    """What the turn right before `at` (session, turn) taught; a session follows the one before."""
    last = max(((fact.source.session, fact.source.turn) for fact in held), default=None)
    if last is None:
        return []
    session, turn = at
    follows = last[1] == turn - 1 or (turn <= 1 and last[0] == session - 1)
    if not follows or last[0] not in (session, session - 1):
        return []
    return [fact for fact in held if (fact.source.session, fact.source.turn) == last]


def is_safety(fact: Fact) -> bool:
    """Whether harm may come of not knowing a fact: its slot says so, or it speaks of an allergy."""
    return fact.slot in _safety_slots() or (
        statements.parse(fact.statement).kind == statements.ALLERGY
    )


@functools.cache
def _safety_slots() -> frozenset[str]:
    return frozenset(slot.path for slot in taxonomy.Taxonomy.load().subcategories if slot.safety)


def require_slot(where: str, slot: str) -> None:
    """Raises a ValueError unless `slot` is a path of the taxonomy or "other/LABEL"."""
    category, _, label = slot.partition("/")
    if category == OTHER and label.strip() and "/" not in label:
        return
    try:
        taxonomy.Taxonomy.load().get(slot)
    except ValueError as error:
        raise ValueError(
            f'{where}={slot!r}: {error} What fits nowhere goes to "{OTHER}/LABEL".'
        ) from error


def _require_presence(kind: str, name: str, text: str | None, *, wanted: bool) -> None:
    if wanted:
        _require_words(f"FactOp.{name} of {kind!r}", text)
    elif text is not None:
        raise ValueError(f"FactOp.{name}={text!r} with kind {kind!r}; it must be None there.")


def _require_belief(where: str, polarity: str, authority: str, confidence: float) -> None:
    _require_choice(f"{where}.polarity", polarity, POLARITIES)
    _require_choice(f"{where}.authority", authority, AUTHORITIES)
    if not 0.0 <= confidence <= 1.0:
        raise ValueError(f"{where}.confidence={confidence}; give a probability from 0 to 1.")


def _require_choice(where: str, got: str, allowed: tuple[str, ...]) -> None:
    if got not in allowed:
        raise ValueError(f"{where}={got!r}: choose one of {', '.join(allowed)}.")


def _require_words(where: str, text: str | None) -> None:
    if text is None or not text.strip():
        raise ValueError(f"{where} is {text!r}; give a text with words.")


def _require_utc(where: str, time: datetime.datetime | None) -> None:
    if time is not None and time.utcoffset() != datetime.timedelta(0):
        raise ValueError(
            f"{where}={time!r} is not in UTC; pass an aware time, "
            "for instance datetime.now(datetime.timezone.utc)."
        )
