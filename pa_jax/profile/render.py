"""The profile part of a prompt."""

from collections.abc import Sequence

EMPTY = "(empty)"

_BULLET = "- "


def render(statements: Sequence[str], *, max_chars: int) -> str:
    """One "- statement" line each in the order given (oldest first), EMPTY when there is none.

    The text has at most `max_chars` characters: the newest statements are kept first, and one
    that does not fit is left out whole. A statement is data: whatever breaks lines inside it
    becomes a space, so that it can neither open a second line nor imitate another part of
    the prompt.
    """
    if max_chars < len(EMPTY):
        raise ValueError(
            f"max_chars={max_chars} has no room for {EMPTY!r}; allow {len(EMPTY)} or more."
        )
    kept: list[str] = []
    room = max_chars + 1  # the last line ends without a line break
    for statement in reversed(statements):
        words = statement.split()
        line = _BULLET + " ".join(words)
        if words and len(line) + 1 <= room:
            kept.append(line)
            room -= len(line) + 1
    return "\n".join(reversed(kept)) if kept else EMPTY
