"""The reference judge: agreement with gold counted in words, to measure the other judges with.

It needs gold (an episode without it is a failure) and no model.
"""

import re

from pa_jax.dialogue import schema
from pa_jax.english import changes, person, stance, statements, words
from pa_jax.english.own import not_own
from pa_jax.judge import contexts

SAME = 0.5  # share of the shorter line's content words from which two lines are about the same

_KIN = re.compile(rf"\b(?:my|our) (?:\w+ )??(?:{'|'.join(sorted(person.KIN))})\b", re.IGNORECASE)
_SELF = re.compile(r"\b(?:I|I['’]\w+|me|my|mine|myself|we|us|our)\b")


def agreement(episode: schema.Episode, text: str) -> tuple[float, float, float, float]:
    """The four criteria of one snippet, nan without gold; a snippet equal to gold gets 1 on all.

    completeness      recall of gold's content words
    no_hallucination  share of the worst line's content words that gold has; or that the user said,
                      where the line is no request and nobody else's stance
    informativeness   token-F1 with gold: as much as gold says, without padding
    consistency       share of content words known from gold, user or profile, times the second: a
                      line that the turn does not carry earns nothing by agreeing; 0 where not as
                      many lines of the snippet as of gold deny what they name

    A line that turns a stance of gold round earns nothing on the first and third, and leaves
    nothing of the others.
    """
    if episode.gold is None:
        return (float("nan"),) * 4
    fixed = contexts.settled(episode, text)
    if fixed is not None:
        return (fixed,) * 4
    if words.bare(text) == words.bare(episode.gold):
        return (1.0,) * 4
    lines = [line for line in text.splitlines() if line.strip()]
    kept = [line for line in lines if not turns_round(line, episode.gold)]
    gold, profile = statements.content(episode.gold), " ".join(episode.profile)
    own = frozenset().union(*map(statements.content, lines))
    right = "\n".join(kept)
    complete = len(statements.content(right) & gold) / max(len(gold), 1)
    grounded = min(carries(line, episode) for line in lines) if len(kept) == len(lines) else 0.0
    known = gold | said(episode.user) | statements.content(profile)
    agrees = grounded * len(own & known) / max(len(own), 1)
    if _sides(text) != _sides(episode.gold):
        agrees = 0.0
    scores = (complete, grounded, words.token_f1(right, episode.gold), agrees)
    if person.first_person(episode.gold):  # PrefEval's gold speaks as the user
        return scores
    left = 1 - 0.5 * person.first_person(text)
    return left * complete, left * grounded, left * scores[2], left * agrees


def carries(line: str, episode: schema.Episode) -> float:
    """Share of a line's content words that gold has, or the user said of themselves with it."""
    own, known = statements.content(line), statements.content(episode.wanted)
    if not not_own(line, episode.user):
        known = known | said(episode.user)
    return len(own & known) / max(len(own), 1)


def said(user: str) -> frozenset[str]:
    """Content words of a turn, but of sentences that speak of the user's people alone."""
    sentences = changes.sentences(user)
    kept = (one for one in sentences if not _KIN.search(one) or _SELF.search(_KIN.sub("", one)))
    return statements.content(" ".join(kept))


def turns_round(line: str, gold: str) -> bool:
    """Whether a line denies what the lines of gold on the same affirm, or the other way round."""
    own = statements.content(line)
    shared = {}
    for other in filter(str.strip, gold.splitlines()):
        content = statements.content(other)
        shared[other] = len(own & content) / max(min(len(own), len(content)), 1)
    most = max(shared.values())
    nearest = [other for other, share in shared.items() if share == most]
    return most >= SAME and all(_denies(other) != _denies(line) for other in nearest)


def _denies(line: str) -> bool:
    return stance.denials(line) % 2 == 1


def _sides(text: str) -> int:
    """How many lines of a text deny what they name."""
    return sum(map(_denies, text.splitlines()))
