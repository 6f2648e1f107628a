"""Judges of replies: questions with few allowed answers, answered on the device or as text."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pa_jax.dialogue import schema
from pa_jax.evaluate import chat_model

Chat = Sequence[schema.Message]
Questions = Mapping[str, Chat]  # one reply's questions by name, each a whole chat


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A judge's text (None: no answer came), and the shares of the allowed answers if known."""

    text: str | None
    shares: tuple[float, ...] | None = None


class ByLabels:
    """Reads the answer off the next token's log-probs: nothing to parse, none can fail.

    The questions about one reply share their beginning and go in as one tree.
    """

    def __init__(self, model: chat_model.ChatModel) -> None:
        self.model = model

    def ask(
        self, replies: Sequence[Questions], allowed: Sequence[str], wrap: str
    ) -> list[dict[str, Verdict]]:
        """The likeliest of the allowed answers to each question; `wrap` is like "<a>{}</a>"."""
        groups = [list(questions.values()) for questions in replies]
        opening = wrap.partition("{}")[0]
        found = self.model.labels(groups, allowed, opening=opening)
        return [
            {name: _verdict(one.logp, allowed, wrap) for name, one in zip(asked, of, strict=True)}
            for asked, of in zip(replies, found, strict=True)
        ]


class ByText:
    """Any function from chats to texts (None where no answer came): a remote judge, say."""

    def __init__(self, chat: Callable[[Sequence[Chat]], Sequence[str | None]]) -> None:
        self.chat = chat

    def ask(
        self, replies: Sequence[Questions], allowed: Sequence[str], wrap: str
    ) -> list[dict[str, Verdict]]:
        """The texts as they came; what they say is for the parsers."""
        texts = iter(self.chat([chat for asked in replies for chat in asked.values()]))
        return [{name: Verdict(next(texts)) for name in asked} for asked in replies]


Jury = ByLabels | ByText


def _verdict(logp: np.ndarray, allowed: Sequence[str], wrap: str) -> Verdict:
    share = np.exp(logp.astype(np.float64) - logp.max())
    share /= share.sum()
    best = allowed[int(np.argmax(share))]
    return Verdict(wrap.format(best), tuple(float(x) for x in share))
