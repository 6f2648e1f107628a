"""What a request makes the model think of: pointwise mutual information of each slot's words.

The prompts end where the name of a thing would follow. Of all words of a slot, weighed, the
probability that one of them comes next is divided by the same after requests that ask for nothing
in particular: log p(slot | request) - log p(slot). The prompts of a request begin with what the
user typed, one line of plain text. A prefill serves all slots; nothing is decoded.
"""

from collections.abc import Sequence

import numpy as np

from pa_jax.agent.asking import lexical
from pa_jax.core.typing import Float
from pa_jax.dialogue import tokenizer
from pa_jax.infer import forest, score

TRUNK = "User: {}"
BRANCHES = (  # two ask better than one, a third adds nothing
    "\nTo answer this well, the assistant should know which kind of",
    "\nTopics of this request:",
)
NOTHING = (  # requests without a topic, whose mean is the prior
    "Can you help me with something?",
    "I have a question.",
    "What should I do?",
    "Tell me more, please.",
    "What's 12 percent of 80?",
    "Thanks, that was helpful.",
)
MAX_TOKENS = 384  # of a request; what is longer is cut at its start
FLOOR = 1e-7  # of a probability


class Topics:
    """Scores requests against every slot under one frozen model."""

    def __init__(
        self, words: tokenizer.Tokenizer | None, scorer: score.Scorer, lexicon: lexical.Overlap
    ) -> None:
        if words is None:
            raise ValueError(
                "the decision to ask got a model without a tokenizer; load an instruct checkpoint."
            )
        self._words, self._scorer = words, scorer
        self._branches = [words.encode(text) for text in BRANCHES]
        first = [words.encode(f" {word}")[0] for word in lexicon.words]
        self._tokens, place = np.unique(np.array(first, np.int32), return_inverse=True)
        weights = (lexicon.weights * lexicon.idf) ** 2
        self._weights = np.zeros((len(lexicon.slots), len(self._tokens)), np.float32)
        for column, at in enumerate(place):
            self._weights[:, at] = np.maximum(self._weights[:, at], weights[:, column])
        nothing = np.mean(self._spread(NOTHING), axis=1)
        self._prior = np.log(nothing + FLOOR)[:, None]

    def warm_up(self) -> None:
        """Compiles every program of `score`."""
        self._scorer.warm_up(max(self._scorer.lengths), label=self._tokens.tolist())

    def score(self, texts: Sequence[str]) -> Float[np.ndarray, "n s"]:
        """Log-ratios in nats, a row a text."""
        return (np.log(self._spread(texts) + FLOOR) - self._prior).mean(axis=0)

    def _spread(self, texts: Sequence[str]) -> Float[np.ndarray, "k n s"]:
        """Of each branch, text and slot, the weighed probability that a word of it comes next."""
        trees = [
            [forest.state_of([*trunk, *branch]) for branch in self._branches]
            for trunk in map(self._encoded, texts)
        ]
        probs = np.exp(np.array(self._scorer.labels(trees, self._tokens.tolist()), np.float32))
        return np.moveaxis(probs @ self._weights.T, 1, 0)

    def _encoded(self, text: str) -> list[int]:
        ids = self._words.encode(TRUNK.replace("{}", " ".join(text.split())))
        return ids[-MAX_TOKENS:]
