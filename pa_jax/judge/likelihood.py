"""The likelihood judge: ours, not the paper's. Nothing is decoded, no label word is read.

The paper asks a large model in words how good a note is, and reads its answer. A small one answers
such questions badly, but any language model tells how much likelier one text makes another. So a
note is scored by log-ratios alone, read off one frozen model by prefill: there is nothing to parse,
and nobody whom a note could talk into a verdict.

Let s be a snippet, u the user's words (and the message they answer), g the gold snippet (u where
the data has none), P the profile, and |x| the tokens of x. Let g+ and g' be the gold and its
opposite in the plain stances of stance.py (likes, dislikes). In nats:

  completeness      [log p(g|s) - log p(g)] / |g|: what s lets one say of g
  no_hallucination  [log p(s|u) - log p(s)] / |s|: what the turn lets one say of s, of its worst
                    line: one invented line among right ones would hide in the mean of all
  informativeness   log p(s|u) - log p(s): the same in all, not by the token
  consistency       [log p(s|P,g+) - log p(s)] / |s|: what is known and right lets one say of s

A ratio has no scale of its own: a rare word gives more nats than a common one. So each is over
what the gold snippet itself gets in the place of s (1 - exp(-x) where there is no gold) and clipped
to [0, 1]: gold scores 1, and what is stuffed into a note earns nothing beyond.

Two products follow. Consistency is multiplied by no_hallucination: a statement that this turn does
not carry earns nothing, whatever it agrees with, else copies of the profile are what pays most.
Completeness and consistency are multiplied by how well s agrees in stance with g, which is
1 / (1 + exp(-(x + FAVOUR) / TEMPER)), where s' is the opposite of s and

  x = [log p(s|P,g+) - log p(s|P,g')] - [log p(s'|P,g+) - log p(s'|P,g')].

That x is what measuring taught. A small model copies: a contradiction shares almost all tokens with
what it contradicts, and no plain ratio sees it. Which of two opposite golds explains s better does
tell right from wrong within an item, but each item has an offset of its own. s' has the same one,
so in the difference of both it is gone, and 0 is the middle (only with g+ in place of g: else s'
matches the words of g' but never those of g). A snippet that says the opposite does not let one say
g, hence the product with completeness, too. So a stance that the table knows is mostly decided by
the table, a limit of models of this size; one that it does not know leaves x near 0, and FAVOUR
gives it the benefit of the doubt.

Last, a copy of the input explains itself perfectly. Lines that speak in the user's own first person
are no notes by the grammar: all four scores are scaled down by their share (SPOKEN). A third-person
copy of a turn that is nothing but its preference is a good note, and scores as one. What the
grammar settles by itself (no snippet, nothing to note) never comes here (contexts.where_open).

Blind spots: facts that u implies but no word of u carries; stances outside the table;
contradictions of the profile that gold does not share.

All contexts and continuations of all groups are paths of one forest: no padding, and what is equal
token for token is computed once.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pa_jax.core.typing import Float
from pa_jax.dialogue import tokenizer
from pa_jax.english import person, stance
from pa_jax.infer import forest, score
from pa_jax.judge import contexts, rubric

LEAST = 1.0  # nats: a gold that explains less than this is no measure
LEAST_MEAN = 0.05  # nats a token
TEMPER = 0.5  # nats
FAVOUR = 0.3  # nats
SPOKEN = 0.5  # what is left of a snippet in which every line speaks as the user
NO_GOLD = (1.0, 1.0, 10.0, 1.0)  # nats at which a score without gold reaches 1 - 1/e

LogProbs = Sequence[np.ndarray]  # one float32 a token of every path of a tree


class Likelihood:
    """Scores groups by log-ratios under one frozen model."""

    def __init__(self, tokenizer: tokenizer.Tokenizer, scorer: score.Scorer) -> None:
        self.reader, self.scorer = contexts.Reader(tokenizer), scorer

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores in the order of the groups and their snippets."""
        return contexts.where_open(groups, self._judged)

    def _judged(self, groups: Sequence[rubric.Group]) -> list[np.ndarray]:
        room = max(self.scorer.lengths)
        cases = [_Case.read(self.reader, group, room) for group in groups]
        trees = [tree for case in cases for tree in (case.bare, case.said, case.known)]
        logps = self.scorer.logprobs(trees)
        of_case = zip(logps[::3], logps[1::3], logps[2::3], strict=True)
        return [case.scores(*three) for case, three in zip(cases, of_case, strict=True)]


@dataclasses.dataclass(frozen=True)
class _Case:
    """One group as paths, in trees of what begins alike.

    candidates  the snippets, then the gold
    bare        each candidate after nothing, and the gold after that
    said        each candidate after the turn
    known       each candidate and opposite after (P, g+), the same but the gold after (P, g')
    """

    group: rubric.Group
    candidates: list[contexts.Candidate]
    bare: list[forest.Path]
    said: list[forest.Path]
    known: list[forest.Path]

    @classmethod
    def read(cls, reader: contexts.Reader, group: rubric.Group, room: int) -> "_Case":
        """The paths of a group; turn and profile are cut where one would pass `room` tokens."""
        gold = contexts.target(group.episode)
        candidates = [*map(reader.candidate, group.completions), reader.text(gold)]
        turned = (stance.turned(text, stance.JUDGED) for text in group.texts)
        opposites = [reader.text(text).ids for text in turned]
        snippets, own = [c.ids for c in candidates[:-1]], candidates[-1].ids
        after = [*snippets, *opposites, own]
        affirmed, denied = map(reader.before_notes, stance.pair(gold))
        left = room - max(map(len, after))
        most = max(min(contexts.MAX_BEFORE, left - len(reader.then)), 0)
        turn = reader.turn(group.episode, most)
        most = max(min(contexts.MAX_BEFORE, left - max(len(affirmed), len(denied))), 0)
        profile = reader.profile(group.episode, most)
        head = reader.words.encode(contexts.NOTES)
        return cls(
            group,
            candidates,
            bare=[forest.follows(head, (*ids, *own)) for ids in (*snippets, own)],
            said=[forest.follows(turn, ids) for ids in (*snippets, own)],
            known=[
                *(forest.follows(profile + affirmed, ids) for ids in after),
                *(forest.follows(profile + denied, ids) for ids in after[:-1]),
            ],
        )

    def scores(self, bare: LogProbs, said: LogProbs, known: LogProbs) -> Float[np.ndarray, "g 4"]:
        """Scores of the snippets, of the log-probs of the three trees."""
        n = len(self.group.texts)
        # As `read` laid them out: the snippets, their opposites, and (affirmed alone) the gold.
        affirmed, denied = known[: 2 * n + 1], known[2 * n + 1 :]
        odds = np.array([a.sum() - d.sum() for a, d in zip(affirmed, denied, strict=False)])
        # A path of `bare` is a candidate and the gold behind it: log p(s), then log p(g|s).
        alone = [x[: len(c.ids)] for c, x in zip(self.candidates, bare, strict=True)]
        after = [x[len(c.ids) :] for c, x in zip(self.candidates, bare, strict=True)]
        logps = zip(alone, said, [*affirmed[:n], affirmed[-1]], after, strict=True)
        ratios = [measured(c, x, alone[-1]) for c, x in zip(self.candidates, logps, strict=True)]
        return scaled(np.array(ratios), odds[:n] - odds[n:], self.group)


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
    ratios: Float[np.ndarray, "m 4"], odds: Float[np.ndarray, " g"], group: rubric.Group
) -> Float[np.ndarray, "g 4"]:
    """Scores of the snippets' `measured` rows, behind which the gold's own, and log-odds x."""
    n = len(group.texts)
    if group.episode.gold is None:
        share = 1 - np.exp(-np.maximum(ratios[:n], 0) / np.array(NO_GOLD))
    else:
        least = np.array([LEAST_MEAN, LEAST_MEAN, LEAST, LEAST_MEAN])
        # Where the gold itself explains next to nothing, a ratio over it would blow up noise.
        share = ratios[:n] / np.maximum(ratios[-1], least)
    share = np.clip(share, 0, 1)  # nan stays nan: a failure
    agrees = 0.5 * (1 + np.tanh((odds + FAVOUR) / (2 * TEMPER)))
    share = contexts.carried(share)
    share[:, [0, 3]] *= agrees[:, None]
    for k, text in enumerate(group.texts):
        share[k] *= 1 - (1 - SPOKEN) * person.first_person(text)
    return share
