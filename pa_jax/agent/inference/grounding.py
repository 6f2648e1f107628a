"""How well the user's words of a turn carry a statement: the judge's No Hallucination, in nats.

The gain of a statement s is [log p(s|u) - log p(s)] / |s| (judge/likelihood.py), u being the
user's words and the message they answer. There is no gold at run time: nats are compared with a
threshold that evaluate/profiles/calibration.py measures.
"""

import math
from collections.abc import Sequence

from pa_jax.dialogue import schema, tokenizer
from pa_jax.infer import forest, score
from pa_jax.judge import contexts

SCALE = 1.0  # nats a token at which confidence reaches 1 - 1/e, as the judge's without gold


class Grounder:
    """Gains under one frozen model."""

    def __init__(self, words: tokenizer.Tokenizer, scorer: score.Scorer) -> None:
        self.reader, self.scorer = contexts.Reader(words), scorer
        self._head = words.encode(contexts.NOTES)

    def gains(
        self, turns: Sequence[schema.Episode], statements: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Nats a token of every statement of every turn, in order; both log-probs in one call."""
        rows = [[self.reader.text(text).ids for text in row] for row in statements]
        said = []
        for turn, row in zip(turns, rows, strict=True):
            before = self._before(turn, max(map(len, row), default=0)) if row else []
            said.append([forest.follows(before, ids) for ids in row])
        bare = [forest.follows(self._head, ids) for row in rows for ids in row]
        alone, *after = self.scorer.logprobs([bare, *said])
        of_each = iter(alone)
        return [[float((logp - next(of_each)).mean()) for logp in row] for row in after]

    def _before(self, turn: schema.Episode, longest: int) -> list[int]:
        """What stands before a turn's statements: its words are cut where no row holds both."""
        ids = self.reader.turn(turn)
        end = 2 * len(self.reader.newline) + len(self._head)
        room = max(self.scorer.lengths) - longest
        return ids if len(ids) <= room else ids[: max(room - end, 0)] + ids[-end:]


def confidence(gain: float) -> float:
    """How certain a statement of this gain is, in [0, 1): the judge's squash without gold."""
    return 1.0 - math.exp(-max(gain, 0.0) / SCALE)
