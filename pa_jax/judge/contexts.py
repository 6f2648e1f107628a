"""Texts and token ids that a judge on trees reads: raw text, every snippet from a line start."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pa_jax.core.typing import Float
from pa_jax.dialogue import schema, snippet, tokenizer
from pa_jax.judge import rubric

NOTES = "Notes about the user:\n"
MAX_USER = 1600  # characters of the user's words that are read, from their start
MAX_CONTEXT = 600  # characters of the message they answer, its end
MAX_BEFORE = 960  # tokens of all that stands before the notes line
MAX_SNIPPET = 255  # tokens of a snippet, longer ones are cut
MAX_KNOWN = 6  # statements of the profile, the newest


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A snippet as a judge reads it: ids that end with a newline, and each token's line."""

    ids: tuple[int, ...]
    line: tuple[int, ...]


class Reader:
    """Episodes and snippets as token ids of one tokenizer."""

    def __init__(self, words: tokenizer.Tokenizer) -> None:
        self.words = words
        self.newline = words.encode("\n")
        self.then = self.newline + self.newline + words.encode(NOTES)
        self._text: dict[int, str] = {}

    def candidate(self, ids: Sequence[int]) -> Candidate:
        """Ids as they came from the policy, blank ends cut off and one newline put at the end."""
        texts = [self._of(i) for i in ids]
        real = [k for k, text in enumerate(texts) if text.strip()]
        first, last = (real[0], real[-1] + 1) if real else (0, 0)
        last = min(last, first + MAX_SNIPPET)
        breaks = np.array(["\n" in text for text in texts[first:last]], bool)
        line = np.concatenate([[0], np.cumsum(breaks)])  # a line's newline belongs to the line
        end = len(self.newline) - 1
        return Candidate(
            (*ids[first:last], *self.newline), (*line.tolist(), *[int(line[-1])] * end)
        )

    def text(self, text: str) -> Candidate:
        """The candidate of a text."""
        return self.candidate(self.words.encode(text.strip()))

    def turn(self, episode: schema.Episode, most: int = MAX_BEFORE) -> list[int]:
        """What was said in the turn, `most` tokens, then the line under which notes begin."""
        said = f"User: {' '.join(episode.user.split())[:MAX_USER]}"
        if episode.context:
            context = " ".join(episode.context.split())[-MAX_CONTEXT:]
            said = f"Assistant: {context}\n{said}"
        return self.words.encode(said)[:most] + self.then

    def profile(self, episode: schema.Episode, most: int = MAX_BEFORE) -> list[int]:
        """The newest statements of the profile under the notes line, `most` tokens."""
        lines = "".join(f"{line}\n" for line in episode.profile[-MAX_KNOWN:])
        return self.words.encode(NOTES + lines)[:most]

    def before_notes(self, text: str) -> list[int]:
        """A statement that ends a list of notes, and the line under which new ones begin."""
        return self.words.encode(text)[:MAX_SNIPPET] + self.then

    def _of(self, token: int) -> str:
        if token not in self._text:
            self._text[token] = self.words.decode([token])
        return self._text[token]


def target(episode: schema.Episode) -> str:
    """What a complete snippet lets one say: the gold, or the user's words where there is none."""
    return episode.gold if episode.gold is not None else " ".join(episode.user.split())


def settled(episode: schema.Episode, text: str) -> float | None:
    """The score of all four criteria that needs no judging, None for what does.

    What the grammar rejects is the policy's fault and scores 0; so does the turn in quotation marks
    or word for word, unless gold is no more than that. Where nothing is to be noted, NOTHING scores
    1 and any claim 0. Where something is, NOTHING leaves all of it out: 0, also on the criteria
    that an empty note fulfils, or saying nothing would be a safe harbour.
    """
    gold = episode.gold or ""
    parsed = snippet.parse(text, turn="" if text.strip() == gold.strip() else episode.user)
    copied = snippet.copies(text, episode.user) and not snippet.copies(gold, episode.user)
    if isinstance(parsed, snippet.ParseFailure) or copied:
        return 0.0
    if episode.gold is not None and snippet.is_nothing(episode.gold):
        return float(not parsed.statements)
    if episode.gold is not None and not parsed.statements:
        return 0.0
    return None


def carried(scores: Float[np.ndarray, "*g 4"]) -> Float[np.ndarray, "*g 4"]:
    """The scores with Consistency times No Hallucination.

    What the turn does not carry earns nothing by agreeing, or copies of the profile pay most.
    """
    scores = scores.copy()
    scores[..., 3] *= scores[..., 1]
    return scores


def fixed(group: rubric.Group) -> Float[np.ndarray, "g 4"]:
    """Scores of a group's settled snippets on all criteria, nan where one must judge."""
    sure = [settled(group.episode, text) for text in group.texts]
    row = np.array([np.nan if x is None else x for x in sure], np.float64)
    return np.repeat(row[:, None], len(rubric.CRITERIA), axis=1)


def where_open(
    groups: Sequence[rubric.Group],
    judge: Callable[[Sequence[rubric.Group]], Sequence[Float[np.ndarray, "g 4"]]],
) -> rubric.Scores:
    """Scores of groups of which `judge` sees only snippets that are not settled."""
    rows = [fixed(group) for group in groups]
    open_ = [np.flatnonzero(np.isnan(row).any(axis=-1)) for row in rows]
    numbers = [i for i, at in enumerate(open_) if at.size]
    made = judge([groups[i].only(open_[i].tolist()) for i in numbers]) if numbers else ()
    for i, scores in zip(numbers, made, strict=True):
        rows[i][open_[i]] = scores
    return rubric.gathered(rows)
