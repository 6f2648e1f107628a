"""The grammar of a preference snippet: what the policy writes, training rewards, the agent stores.

A snippet is one to MAX_STATEMENTS lines; a line is one statement about the user in the third
person. NOTHING is the snippet of a turn that shows no preference.
"""

import dataclasses

NOTHING = "No new preference."
MAX_STATEMENTS = 4
MAX_CHARS = 400


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


def parse(text: str) -> Snippet | ParseFailure:
    """The statements of a reply, or why it has none."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return ParseFailure("empty reply")
    if lines == [NOTHING]:
        return Snippet(())
    if len(lines) > MAX_STATEMENTS:
        return ParseFailure(f"{len(lines)} lines, at most {MAX_STATEMENTS} are allowed")
    for line in lines:
        if not any(character.isalpha() for character in line):
            return ParseFailure(f"a line without a letter: {line!r}")
        if len(line) > MAX_CHARS:
            return ParseFailure(f"a line of {len(line)} characters, at most {MAX_CHARS}")
    return Snippet(tuple(lines))
