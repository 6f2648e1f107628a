"""What is known about a user, and the operations that change it."""

import dataclasses
import datetime
import functools
from collections.abc import Sequence
from typing import Annotated

import pydantic

from pa_jax.english import statements, words
from pa_jax.profile import codec, taxonomy

ADD = "add"
REVISE = "revise"
RETRACT = "retract"
KINDS = (ADD, REVISE, RETRACT)
POLARITIES = ("positive", "negative", "neutral")
AUTHORITIES = ("stated", "inferred")
OTHER = "other"
MANNER = "communication"  # category of facts about how to reply, whatever the request
MAX_ID_CHARS = 100
MAX_LINE_CHARS = 1000  # of a statement, and of a quote


def _lined(text: str) -> str:
    """A statement or a quote; what nobody sees, as stores kept once, is dropped from it."""
    seen = words.seen(text)
    if seen != words.clean(seen, MAX_LINE_CHARS):
        raise ValueError(
            f"it must be one line of at most {MAX_LINE_CHARS} characters without control "
            "characters."
        )
    return seen


def _placed(slot: str) -> str:
    require_slot("slot", slot)
    return slot


def spelt(label: str) -> str:
    """The label; a ValueError unless it is in its one spelling."""
    if label != words.label(label):
        raise ValueError(f"{label!r:.80} is not in its one spelling {words.label(label)!r}.")
    return label


Line = Annotated[codec.Text, pydantic.AfterValidator(_lined)]
Slot = Annotated[codec.Text, pydantic.AfterValidator(_placed)]
Label = Annotated[codec.Text, pydantic.AfterValidator(spelt)]  # one that is proposed


@dataclasses.dataclass(frozen=True)
class Place:
    """A turn of a session."""

    session: codec.Count
    turn: codec.Count


@dataclasses.dataclass(frozen=True)
class Source(Place):
    """Where a fact was learnt; `quote` is the user's own words, data and never an instruction."""

    quote: Line


@dataclasses.dataclass(frozen=True)
class Fact:
    """One statement about one user; codec.py says what follows from these fields.

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

    id: Annotated[codec.Text, codec.at_most(MAX_ID_CHARS)]
    user: codec.Owner
    category: codec.Text
    subcategory: codec.Text
    statement: Line
    polarity: codec.Text
    authority: codec.Text
    confidence: codec.Number
    valid_from: codec.Moment
    valid_to: codec.Moment | None
    recorded_at: codec.Moment
    source: Source
    superseded_by: codec.Text | None

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

    kind: codec.Text
    statement: codec.Text | None
    slot: codec.Text
    replaces: codec.Text | None
    polarity: codec.Text
    authority: codec.Text
    confidence: codec.Number

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
