"""A turn of a session as the journal keeps it: what was said, and how far its answer got.

A turn goes through STAGES in order. What a stage makes is kept before the next one begins, so a
turn that was cut off anywhere goes on from the last stage that was kept.
"""

import dataclasses
import datetime
import math
import unicodedata
from typing import Annotated, Any

import pydantic

from pa_jax.english import words
from pa_jax.profile import codec, facts

RECEIVED = "received"
INFERRED = "inferred"
APPLIED = "applied"
DECIDED = "decided"
REPLIED = "replied"
STAGES = (RECEIVED, INFERRED, APPLIED, DECIDED, REPLIED)

ANY = "*"
MAX_TEXT_CHARS = 16_000
MARKS = " \t#>*-`"  # what Markdown begins a line with
MAX_TITLE_CHARS = 60

_MADE_AT = {
    "snippet": INFERRED,
    "ops": INFERRED,
    "dropped": INFERRED,
    "needs": DECIDED,
    "asked": DECIDED,
    "question": DECIDED,
    "why": DECIDED,
    "answer": REPLIED,
}
_MAY_LACK = ("asked", "question")  # no question, or none yet


def clean(text: str) -> str:
    """The text as it looks: lines stay lines, other control characters become spaces.

    Databases refuse NUL and half a surrogate pair: neither is left.
    """
    text = words.seen(text[: 4 * MAX_TEXT_CHARS])[:MAX_TEXT_CHARS]
    return text if text.isprintable() else "".join(" " if _controls(c) else c for c in text)


def _controls(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs")


def _said(text: str) -> str:
    """What a journal of any version may have kept, as one of today does."""
    if len(text) > MAX_TEXT_CHARS or any(map(_controls, text)):
        raise ValueError(
            f"it is not as a journal keeps it: at most {MAX_TEXT_CHARS} characters, none of them "
            "a control character."
        )
    return clean(text)


def _declinable(slot: str) -> str:
    if slot != ANY:
        facts.require_slot("slot", slot)
    return slot


def _weighed(weight: float) -> float:
    if not 0.0 <= weight < math.inf:
        raise ValueError(f"weight={weight}: give a number of 0 or more.")
    return weight


Said = Annotated[str, pydantic.Strict(), pydantic.AfterValidator(_said)]
Cleaned = Annotated[codec.Text, pydantic.AfterValidator(clean)]


@dataclasses.dataclass(frozen=True)
class Need:
    """A slot that a request depends on, and how much."""

    slot: facts.Slot
    weight: Annotated[codec.Number, pydantic.AfterValidator(_weighed)]


@dataclasses.dataclass(frozen=True)
class Turn:
    """One turn, up to the stage that it reached; what later stages make is None.

    A `schema.Turn` is one of a dialogue, a `wire.Turn` one as HTTP shows it.

    words     what the user said, as text a database holds; "" for a command
    declined  slot of the last question, where these words decline to answer it; ANY where they
              ask for no questions at all
    failures  how often the turn was tried and failed (a killed process is no failure)
    snippet   what the policy wrote; `ops` what came of it, `dropped` why statements did not count
    needs     slots that the request depends on, by weight
    asked     slot of the question put after the answer, None where nothing is asked
    answer    the generated part of the reply
    times     when each stage was reached, RECEIVED first
    """

    user: codec.Owner
    session: codec.Count
    turn: codec.Count
    words: Said
    declined: Annotated[Said, pydantic.AfterValidator(_declinable)] | None
    failures: codec.Count
    snippet: Said | None
    ops: tuple[facts.FactOp, ...] | None
    dropped: tuple[Cleaned, ...] | None
    needs: tuple[Need, ...] | None
    asked: facts.Slot | None
    question: Said | None
    why: Said | None
    answer: Said | None
    times: tuple[codec.Moment, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.times) <= len(STAGES) or list(self.times) != sorted(self.times):
            raise ValueError(
                f"Turn.times has {len(self.times)} entries; give a time for each stage that was "
                f"reached ({', '.join(STAGES)}), none before the one it follows."
            )
        for name, stage in _MADE_AT.items():
            if name not in _MAY_LACK and (getattr(self, name) is None) == self.reached(stage):
                raise ValueError(
                    f"Turn.{name} is {getattr(self, name)!r:.40} in a turn that is {self.stage}; "
                    f"a turn has it once it is {stage}."
                )
        if (self.asked is None) != (self.question is None) or (self.asked and self.why is None):
            raise ValueError("Turn.asked and Turn.question go together, in a turn that is decided.")

    @property
    def stage(self) -> str:
        """The last stage that was kept, one of STAGES."""
        return STAGES[len(self.times) - 1]

    @property
    def source(self) -> facts.Source:
        """Where the facts of this turn were learnt; a command's words are what it states."""
        stated = (op.statement for op in self.ops or () if op.statement and not self.words)
        return facts.Source(self.session, self.turn, self.words or next(stated, ""))

    @property
    def reply(self) -> str | None:
        """The answer, then the question on its own line; None before the turn is replied."""
        return None if self.answer is None else join(self.answer, self.question)

    def reached(self, stage: str) -> bool:
        """Whether the turn got as far as `stage`."""
        return len(self.times) > STAGES.index(stage)

    def as_of(self, time: datetime.datetime) -> "Turn | None":
        """The turn as it was at `time`, None before it was received."""
        times = tuple(moment for moment in self.times if moment <= time)
        if not times:
            return None
        later: dict[str, Any] = {
            n: None for n, stage in _MADE_AT.items() if STAGES.index(stage) >= len(times)
        }
        return dataclasses.replace(self, times=times, **later)


def start(
    user: str, session: int, turn: int, words: str, declined: str | None, at: datetime.datetime
) -> Turn:
    """A turn that was just received."""
    later = dict.fromkeys(_MADE_AT)
    return Turn(user, session, turn, words, declined, 0, times=(at,), **later)


def title(said: str) -> str:
    """What a conversation is called by the words that began it: their first line, cut if long."""
    line = next((line for line in said.splitlines() if line.strip(MARKS)), "")
    line = " ".join(line.split()).lstrip(MARKS)
    if len(line) <= MAX_TITLE_CHARS:
        return line
    cut = line[:MAX_TITLE_CHARS].rpartition(" ")[0] or line[:MAX_TITLE_CHARS]
    return f"{cut.rstrip(' ,;:.!?')}\u2026"


def join(answer: str, question: str | None) -> str:
    """The text of a reply."""
    return "\n".join(part for part in (answer, question) if part)
