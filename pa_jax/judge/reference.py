"""The reference judge: agreement with gold counted in words, to measure the other judges with."""

import collections
import re
import string
from collections.abc import Sequence

import numpy as np

from pa_jax.dialogue import schema
from pa_jax.judge import contexts, rubric, stance

_STOP = frozenset(
    "a an the and or but of to in on at for with by as is are was be been it its this that these "
    "those their they them user users user's i i'm i've my me do does any some have has".split()
)
_NEGATIVE = re.compile(
    r"\b(not|no|never|cannot|can't|don't|doesn't|without|dislike\w*|avoid\w*|hate\w*|despise\w*"
    r"|detest\w*|reject\w*|refuse\w*|aversion|against|turns down|stays away|steers? clear"
    r"|wide berth|pet hate|least|hardly)\b",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """Lower-case words without punctuation or English articles, as SQuAD's F1 counts them."""
    text = "".join(" " if c in "-–—/" else c for c in text.lower())
    text = "".join(c for c in text if c not in string.punctuation + "“”’")
    return [word for word in text.split() if word not in ("a", "an", "the")]


def token_f1(a: str, b: str) -> float:
    """F1 of the words two texts share, counted with repetition; 1 where both have none."""
    one, other = words(a), words(b)
    if not one or not other:
        return float(one == other)
    shared = sum((collections.Counter(one) & collections.Counter(other)).values())
    return 2 * shared / (len(one) + len(other))


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
                      line that the turn does not carry earns nothing by agreeing; 0 where one of
                      gold and snippet denies an odd number of times and the other does not
    """
    if episode.gold is None:
        return (float("nan"),) * 4
    fixed = contexts.settled(episode, text)
    if fixed is not None:
        return (fixed,) * 4
    if words(text) == words(episode.gold):
        return (1.0,) * 4
    gold, said = content(episode.gold), content(episode.user + " " + episode.context)
    lines = [content(line) for line in text.splitlines() if line.strip()]
    own = set().union(*lines)
    known = gold | said
    complete = len(own & gold) / max(len(gold), 1)
    grounded = min(len(line & known) / max(len(line), 1) for line in lines)
    profile = content(" ".join(episode.profile))
    agrees = grounded * len(own & (known | profile)) / max(len(own), 1)
    if _denials(text) % 2 != _denials(episode.gold) % 2:
        agrees = 0.0
    scores = (complete, grounded, token_f1(text, episode.gold), agrees)
    if contexts.first_person(episode.gold):  # PrefEval's gold speaks as the user
        return scores
    return tuple((1 - 0.5 * contexts.first_person(text)) * x for x in scores)


def _denials(text: str) -> int:
    return len(_NEGATIVE.findall(text))


def content(text: str) -> set[str]:
    """The first six letters of the words that carry content; stances are not among them."""
    plain = stance.without(text)
    return {word[:6] for word in words(plain) if word not in _STOP}
