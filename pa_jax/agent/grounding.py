"""How well the user's words of a turn carry a statement: the judge's No Hallucination, in nats.

The gain of a statement s is [log p(s|u) - log p(s)] / |s| (judge/likelihood.py), u being the
user's words and the message they answer. There is no gold at run time: nats are compared with a
threshold that evaluate/calibration.py measures.
"""

import itertools
import math
from collections.abc import Sequence

from pa_jax.agent import batches
from pa_jax.dialogue import schema, snippet, tokenizer
from pa_jax.infer import buckets
from pa_jax.judge import contexts

SCALE = 1.0  # nats a token at which confidence reaches 1 - 1/e, as the judge's without gold
WIDTHS = (1, snippet.MAX_STATEMENTS)  # statements of a turn that share a tree


class Grounder:
    """Gains under one frozen model."""

    def __init__(self, words: tokenizer.Tokenizer, model: batches.Batches):
        self.reader, self.model = contexts.Reader(words), model

    def gains(
        self, turns: Sequence[schema.Episode], statements: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Nats a token of every statement of every turn, in order."""
        read = self.reader
        branches = [[read.text(text).ids for text in row] for row in statements]
        before = [read.turn(turn) for turn in turns]
        made: list[list[float]] = [[] for _ in turns]
        order = [i for i, row in enumerate(branches) if row]
        node = {
            i: buckets.fit(max(map(len, branches[i])), batches.NODES, what="statement")
            for i in order
        }
        order.sort(key=lambda i: (len(branches[i]) > WIDTHS[0], node[i], len(before[i])))
        for start in range(0, len(order), self.model.rows):
            chosen = order[start : start + self.model.rows]
            gains = self._gains([before[i] for i in chosen], [branches[i] for i in chosen])
            for i, row in zip(chosen, gains, strict=True):
                made[i] = row
        return made

    def warm_up(self, longest: int) -> None:
        """Compiles every program that statements of at most `longest` tokens need."""
        ends = longest + len(self.reader.newline)
        for forward in self.model.all():
            nodes = [n for n in forward.nodes if n < ends]
            nodes.append(buckets.fit(ends, forward.nodes, what="statement"))
            for width, node, trunk in itertools.product(WIDTHS, nodes, forward.trunks):
                forward.compile(forward.trees([[0] * trunk], [[[0] * node] * width], None))

    def _gains(
        self, before: Sequence[Sequence[int]], rows: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]:
        """The same of one batch: what stands before each row of statements."""
        forward = self.model.fitting(len(rows))
        most = max(map(len, rows))
        width = next((w for w in WIDTHS if w >= most), most)
        padded = [[*row, *[()] * (width - len(row))] for row in rows]
        head = [self.reader.words.encode(contexts.NOTES)] * len(rows)
        bare, said = forward.branches(head, padded), forward.branches(before, padded)
        return [
            [float((said[k][n] - bare[k][n]).mean()) for n in range(len(row))]
            for k, row in enumerate(rows)
        ]


def confidence(gain: float) -> float:
    """How certain a statement of this gain is, in [0, 1): the judge's squash without gold."""
    return 1.0 - math.exp(-max(gain, 0.0) / SCALE)
