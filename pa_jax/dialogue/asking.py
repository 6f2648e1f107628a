"""The grammar of the decision to ask: what the policy writes when it is trained for it.

An action is one line: "Ask about TOPIC." with one of the topics shown, or ANSWER. Topics are names
of the taxonomy's subcategories.
"""

import dataclasses
from collections.abc import Sequence

ANSWER = "Answer now."
OPTIONS = 4  # topics shown; ours
COST = 0.1  # of a question's turn, where an answer that knows all it needs is worth 1; ours

_ASK = "Ask about "


@dataclasses.dataclass(frozen=True)
class Action:
    """`topic` is the one to ask about, None to answer without a question."""

    topic: str | None


@dataclasses.dataclass(frozen=True)
class ActionFailure:
    """Why a text is no action."""

    reason: str


def render(action: Action) -> str:
    """The line of an action; `parse(render(a), topics) == a` for a topic among them."""
    return ANSWER if action.topic is None else f"{_ASK}{action.topic}."


def parse(text: str, topics: Sequence[str]) -> Action | ActionFailure:
    """The action that a reply writes; capitals and the last full stop do not matter."""
    line = " ".join(text.split())
    if line.casefold().rstrip(".") == ANSWER.casefold().rstrip("."):
        return Action(None)
    if not line.casefold().startswith(_ASK.casefold()):
        return ActionFailure(f"neither {_ASK!r} nor {ANSWER!r}")
    asked = line[len(_ASK) :].rstrip(".").casefold()
    for topic in topics:
        if topic.casefold() == asked:
            return Action(topic)
    return ActionFailure("a topic that was not shown")
