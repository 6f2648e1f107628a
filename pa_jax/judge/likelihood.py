"""The likelihood judge: ours, not the paper's. Nothing is decoded, no label word is read.

With s a snippet, u the user's words (and the message they answer), g the gold snippet (u where the
data has none), g+ and g' the gold and its opposite in the plain stances of stance.py (likes,
dislikes), P the profile, and log-ratios in nats:

  completeness      [log p(g|s) - log p(g)] / |g|
  no_hallucination  [log p(s|u) - log p(s)] / |s|, of the worst line of s: one invented line among
                    right ones would hide in the mean over all tokens
  informativeness   log p(s|u) - log p(s), in all, capped at the gold's
  consistency       [log p(s|P,g+) - log p(s)] / |s|

each over the gold snippet's own value (1 - exp(-x) where there is no gold) and clipped to [0, 1].
Completeness and consistency are then scaled by the agreement of stance 1 / (1 + exp(-(x + FAVOUR)
/ TEMPER)), where s' is the opposite of s and

  x = [log p(s|P,g+) - log p(s|P,g')] - [log p(s'|P,g+) - log p(s'|P,g')].

What measuring taught: a small model copies, so a contradiction shares almost all tokens with what
it contradicts and no plain ratio sees it. Which of two opposite golds explains s better tells right
from wrong within an item, but each item has an offset of its own; s' has the same, so the
difference of both is centred at 0 (and only with g+ in place of g: else s' matches the words of g'
but never those of g). So a stance that the table knows is mostly decided by the table, a limit of
models of this size; one that it does not know leaves x near 0, and FAVOUR gives it the benefit of
the doubt. A snippet that says the opposite does not let one say g, hence the scaling of
completeness. Stuffing gains nothing on informativeness beyond the cap and loses on the worst line.
A copy of the input explains itself perfectly: lines that speak in the user's own first person are
no notes by the grammar, and all four scores are scaled down by their share (SPOKEN). A third-person
copy of a turn that is nothing but its preference is a good note, and scores as one.

Blind spots: facts that u implies but no word of u carries; stances outside the
table; contradictions of the profile that gold does not share.

Three forwards for `rows` groups: trees (-; s; g), (u; s) and (P; g+, g'; s, s').
"""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from pa_jax.core.typing import Float
from pa_jax.english import person, stance
from pa_jax.judge import contexts, forward, rubric

LEAST = 1.0  # nats: a gold that explains less than this is no measure
LEAST_MEAN = 0.05  # nats a token
TEMPER = 0.5  # nats
FAVOUR = 0.3  # nats
SPOKEN = 0.5  # what is left of a snippet in which every line speaks as the user


NO_GOLD = (1.0, 1.0, 10.0, 1.0)  # nats at which a score without gold reaches 1 - 1/e


@dataclasses.dataclass(frozen=True)
class Known:
    """Of a group's snippets and then its gold: log-probs after (P, g), and x of the docstring."""

    logps: list[np.ndarray]
    odds: list[float]


class Likelihood:
    """Scores groups by log-ratios under one frozen model; `rows` groups go in at a time."""

    def __init__(self, model, rows: int, mesh: jax.sharding.Mesh | None):
        if model is None or model.tokenizer is None:
            raise ValueError(
                "judge.kind='likelihood' got no model with a tokenizer; give models.load(SOURCE)."
            )
        self.reader = contexts.Reader(model.tokenizer)
        self.forward = forward.Forward(model.module, rows, mesh)

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores in the order of the groups and their snippets."""
        width = max((len(group.texts) for group in groups), default=0) + 1
        rows = [contexts.fixed(group) for group in groups]
        read = [self._read(group, row) for group, row in zip(groups, rows, strict=True)]
        order = [i for i, row in enumerate(rows) if np.isnan(row).any()]
        order.sort(key=lambda i: max(len(c.ids) for c in read[i]))
        for start in range(0, len(order), self.forward.rows):
            chosen = order[start : start + self.forward.rows]
            made = self._judged([groups[i] for i in chosen], [read[i] for i in chosen], width)
            for i, row in zip(chosen, made, strict=True):
                rows[i] = np.where(np.isnan(rows[i]), row, rows[i])
        return rubric.gathered(rows)

    def _read(self, group: rubric.Group, sure: np.ndarray) -> list[contexts.Candidate]:
        """The snippets that need judging (a bare newline stands for the others), then the gold."""
        open_ = np.isnan(sure).any(axis=-1)
        made = [
            self.reader.candidate(ids if judge else ())
            for ids, judge in zip(group.completions, open_, strict=True)
        ]
        return [*made, self.reader.text(contexts.target(group.episode))]

    def _judged(
        self,
        groups: Sequence[rubric.Group],
        candidates: Sequence[Sequence[contexts.Candidate]],
        width: int,
    ) -> list[np.ndarray]:
        read = self.reader
        golds = [row[-1].ids for row in candidates]
        ids = [[c.ids for c in row] + [()] * (width - len(row)) for row in candidates]
        head = [read.words.encode(contexts.NOTES)] * len(groups)
        bare, golds_after = self.forward.with_leaf(head, ids, golds)
        said = self.forward.branches([read.turn(group.episode) for group in groups], ids)
        known = self._known(groups, candidates, width)
        rows = []
        for i, group in enumerate(groups):
            n = len(candidates[i])
            four = (row[:n] for row in (bare[i], said[i], known[i].logps, golds_after[i]))
            logps = zip(*four, strict=True)
            own = bare[i][n - 1]
            ratios = [measured(c, x, own) for c, x in zip(candidates[i], logps, strict=True)]
            rows.append(scaled(np.array(ratios), np.array(known[i].odds), group))
        return rows

    def _known(
        self,
        groups: Sequence[rubric.Group],
        candidates: Sequence[Sequence[contexts.Candidate]],
        width: int,
    ) -> list[Known]:
        """Log-probs after profile and gold, and the log-odds of stance, of snippets and gold."""
        read = self.reader
        trunks, branches, leaves = [], [], []
        for group, row in zip(groups, candidates, strict=True):
            trunks.append(read.profile(group.episode))
            gold = contexts.target(group.episode)
            branches.append([read.before_notes(text) for text in stance.pair(gold)])
            opposites = [
                read.text(stance.turned(text, stance.JUDGED)).ids if len(c.ids) > 1 else c.ids
                for c, text in zip(row, group.texts, strict=False)  # the gold has no text
            ]
            pad = [()] * (width - len(row))
            leaf = [*[c.ids for c in row], *pad, *opposites, *pad]
            leaves.append([leaf, leaf])
        found = []
        for row, (affirmed, denied) in zip(
            candidates, self.forward.leaves(trunks, branches, leaves), strict=True
        ):
            odds = [float(a.sum() - d.sum()) for a, d in zip(affirmed, denied, strict=True)]
            opposed = odds[width : width + len(row) - 1]
            found.append(Known(affirmed, [*np.subtract(odds[: len(row) - 1], opposed), 0.0]))
        return found


def measured(
    candidate: contexts.Candidate, logps: Sequence[np.ndarray], gold: np.ndarray
) -> tuple[float, float, float, float]:
    """The four log-ratios of one snippet.

    logps: of the snippet alone, after u, after (P, g); of the gold after the snippet.
    """
    bare, said, known, after = (np.asarray(x, np.float64) for x in logps)
    gain = said - bare
    line = np.array(candidate.line)
    worst = min(gain[line == k].mean() for k in range(line[-1] + 1))
    complete = (after.sum() - gold.astype(np.float64).sum()) / len(gold)
    return complete, worst, gain.sum(), (known - bare).mean()


def scaled(
    ratios: Float[np.ndarray, "m 4"], odds: Float[np.ndarray, " m"], group: rubric.Group
) -> Float[np.ndarray, "g 4"]:
    """Scores of `measured` rows, the last of which is the gold's own."""
    n = len(group.texts)
    if group.episode.gold is None:
        share = 1 - np.exp(-np.maximum(ratios[:n], 0) / np.array(NO_GOLD))
    else:
        least = np.array([LEAST_MEAN, LEAST_MEAN, LEAST, LEAST_MEAN])
        share = ratios[:n] / np.maximum(ratios[-1], least)
    share = np.clip(share, 0, 1)  # nan stays nan: a failure
    agrees = 0.5 * (1 + np.tanh((odds[:n] + FAVOUR) / (2 * TEMPER)))
    share[:, [0, 3]] *= agrees[:, None]
    for k, text in enumerate(group.texts):
        share[k] *= 1 - (1 - SPOKEN) * person.first_person(text)
    return share
