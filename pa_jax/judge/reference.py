"""The reference judge: agreement with gold counted in words, to measure the other judges with."""

from collections.abc import Sequence

import numpy as np

from pa_jax.dialogue import schema
from pa_jax.english import person, stance, statements, words
from pa_jax.judge import contexts, rubric


class Reference:
    """Counts content words; needs gold (an episode without it is a failure) and no model."""

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores in the order of the groups and their snippets."""
        rows = []
        for group in groups:
            scores = [agreement(group.episode, text) for text in group.texts]
            rows.append(np.array(scores, np.float64).reshape(-1, len(rubric.CRITERIA)))
        return rubric.gathered(rows)


def agreement(episode: schema.Episode, text: str) -> tuple[float, float, float, float]:
    """The four criteria of one snippet, nan without gold; a snippet equal to gold gets 1 on all.

    completeness      recall of gold's content words
    no_hallucination  share of the worst line's content words that gold or the user said
    informativeness   token-F1 with gold: as much as gold says, without padding
    consistency       share of content words known from gold, user or profile, times the second: a
                      line that the turn does not carry earns nothing by agreeing; 0 where not as
                      many lines of the snippet as of gold deny what they name
    """
    if episode.gold is None:
        return (float("nan"),) * 4
    fixed = contexts.settled(episode, text)
    if fixed is not None:
        return (fixed,) * 4
    if words.bare(text) == words.bare(episode.gold):
        return (1.0,) * 4
    gold, said = (
        statements.content(episode.gold),
        statements.content(episode.user + " " + episode.context),
    )
    lines = [statements.content(line) for line in text.splitlines() if line.strip()]
    own = set().union(*lines)
    known = gold | said
    complete = len(own & gold) / max(len(gold), 1)
    grounded = min(len(line & known) / max(len(line), 1) for line in lines)
    profile = statements.content(" ".join(episode.profile))
    agrees = grounded * len(own & (known | profile)) / max(len(own), 1)
    if _sides(text) != _sides(episode.gold):
        agrees = 0.0
    scores = (complete, grounded, words.token_f1(text, episode.gold), agrees)
    if person.first_person(episode.gold):  # PrefEval's gold speaks as the user
        return scores
    return tuple((1 - 0.5 * person.first_person(text)) * x for x in scores)


def _sides(text: str) -> int:
    """How many lines of a text deny what they name."""
    return sum(stance.denials(line) % 2 for line in text.splitlines())
