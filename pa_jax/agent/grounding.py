"""How well the user's words of a turn carry a statement: the judge's No Hallucination, in nats.

The gain of a statement s is [log p(s|u) - log p(s)] / |s| (judge/likelihood.py), u being the
user's words and the message they answer. There is no gold at run time: nats are compared with a
threshold that evaluate/calibration.py measures.
"""

import math
from collections.abc import Sequence

from pa_jax.agent import batches
from pa_jax.dialogue import schema, tokenizer
from pa_jax.judge import contexts

SCALE = 1.0  # nats a token at which confidence reaches 1 - 1/e, as the judge's without gold
WIDTHS = (1, 2, 4)  # statements a turn that share a tree: few programs


class Grounder:
    """Gains under one frozen model."""

    def __init__(self, words: tokenizer.Tokenizer, model: batches.Batches):
        self.reader, self.model = contexts.Reader(words), model

    def gains(
        self, turns: Sequence[schema.Episode], statements: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Nats a token of every statement of every turn, in order."""
        read = self.reader
        made: list[list[float]] = [[] for _ in turns]
        branches = [[read.text(text).ids for text in row] for row in statements]
        before = [read.turn(turn) for turn in turns]
        order = [i for i, row in enumerate(branches) if row]
        order.sort(key=lambda i: (len(branches[i]), len(before[i])))
        for start in range(0, len(order), self.model.rows):
            chosen = order[start : start + self.model.rows]
            forward = self.model.fitting(len(chosen))
            most = max(len(branches[i]) for i in chosen)
            width = next((w for w in WIDTHS if w >= most), most)
            rows = [branches[i] + [()] * (width - len(branches[i])) for i in chosen]
            head = [read.words.encode(contexts.NOTES)] * len(chosen)
            bare = forward.branches(head, rows)
            said = forward.branches([before[i] for i in chosen], rows)
            for k, i in enumerate(chosen):
                made[i] = [float((said[k][n] - bare[k][n]).mean()) for n in range(len(branches[i]))]
        return made


def confidence(gain: float) -> float:
    """How certain a statement of this gain is, in [0, 1): the judge's squash without gold."""
    return 1.0 - math.exp(-max(gain, 0.0) / SCALE)
