"""The grammar of a preference snippet: what the policy writes, training rewards, the agent stores.

A snippet is one to MAX_STATEMENTS lines; a line is one statement about the user in the third
person. NOTHING is the snippet of a turn that shows no preference.
"""

import dataclasses
import re

from pa_jax.dialogue import thought

NOTHING = "No new preference."
MAX_STATEMENTS = 4
MAX_CHARS = 400

_REPORT = re.compile(  # The user says: ..., The user: ..., The user's message is ...
    r"\W*(?:the |this )?user(?:['’]s (?:message|words|turn))?"
    r"(?:\s*:|\s+(?:says?|said|asks?|asked|writes?|wrote|states?|stated|typed|is saying|is|are)\s*"
    r"(?:that\b|[:,]|(?=[\"“'‘«])))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“'‘«].*[\"”'’»][.!]?", re.DOTALL)
_WORD = re.compile(r"\w+")
_NOTHING = re.compile(r"no new preferences?[.!]?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Snippet:
    """Statements in order; empty for NOTHING."""

    statements: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ParseFailure:
    """Why a text is no snippet."""

    reason: str


def render(snippet: Snippet) -> str:
    """Snippet text, one statement a line; `parse(render(s)) == s`."""
    return "\n".join(snippet.statements) if snippet.statements else NOTHING


def is_nothing(text: str) -> bool:
    """Whether a text is NOTHING, as people and models write it too."""
    return _NOTHING.fullmatch(text.strip()) is not None


def parse(text: str, *, turn: str = "") -> Snippet | ParseFailure:
    """The statements of a reply, or why it has none: what only quotes the `turn` has none."""
    lines = [line.strip() for line in thought.behind(text).splitlines() if line.strip()]
    if not lines:
        return ParseFailure("empty reply")
    if len(lines) == 1 and is_nothing(lines[0]):
        return Snippet(())
    if len(lines) > MAX_STATEMENTS:
        return ParseFailure(f"{len(lines)} lines, at most {MAX_STATEMENTS} are allowed")
    for line in lines:
        if not any(character.isalpha() for character in line):
            return ParseFailure(f"a line without a letter: {line!r}")
        if len(line) > MAX_CHARS:
            return ParseFailure(f"a line of {len(line)} characters, at most {MAX_CHARS}")
    if all(quotes(line, turn) for line in lines):
        return ParseFailure("it only quotes the turn")
    return Snippet(tuple(lines))


def quotes(line: str, turn: str) -> bool:
    """Whether a line reports or puts in quotation marks what the user typed, and says no more.

    The user's own sentence without either is a statement: data may state preferences so. The last
    word is not compared, for it may be cut.
    """
    reported = _REPORT.match(line)
    rest = line[reported.end() :] if reported else line
    if not (reported or _QUOTED.fullmatch(rest.strip())):
        return False
    said, typed = _WORD.findall(rest.lower()), _WORD.findall(turn.lower())
    kept = said[: max(1, len(said) - 1)]
    return bool(kept) and any(
        typed[start : start + len(kept)] == kept for start in range(len(typed) - len(kept) + 1)
    )


def copies(text: str, turn: str) -> bool:
    """Whether a text is the turn word for word, its last word perhaps cut."""
    said, typed = _WORD.findall(text.lower()), _WORD.findall(turn.lower())
    if not said or len(said) != len(typed):
        return False
    return said[:-1] == typed[:-1] and typed[-1].startswith(said[-1])
