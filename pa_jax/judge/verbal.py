"""The verbal judge, the paper's kind: a rubric in words, one question a criterion, labels 1 to 5.

The rubric, questions and worked examples are ours. What is the same for all comes first, task,
questions and examples, so it is computed once for all groups of a row; then the turn (and gold
where the data has it), then a snippet, then a few tokens for each criterion, up to where its answer
begins. The score is the expectation over the five labels there; Consistency is multiplied by No
Hallucination, as in every judge. Small models answer such questions badly: measure before use
(evaluate/judges/agreement.py).
"""

from collections.abc import Sequence

import numpy as np

from pa_jax.dialogue import schema, template, tokenizer
from pa_jax.infer import forest, score
from pa_jax.judge import contexts, rubric

LABELS = ("1", "2", "3", "4", "5")
_MARK = "\x1e"  # where the snippet goes into the rendered chat

_TASK = (
    "An assistant wrote a note about a user after one turn of a conversation. Judge the note. "
    "Answer every question with one number from 1 (not at all) to 5 (fully)."
)
_CUES = [f"{name.replace('_', ' ').capitalize()}:" for name in rubric.CRITERIA]


class Verbal:
    """Scores groups by label expectations under one frozen instruct model."""

    def __init__(self, tokenizer: tokenizer.Tokenizer, scorer: score.Scorer) -> None:
        self.words, self.scorer = tokenizer, scorer
        self.reader = contexts.Reader(tokenizer)
        labels = [self.words.encode(label) for label in LABELS]
        if any(len(ids) != 1 for ids in labels):
            raise ValueError(
                f"judge.kind='verbal': the labels {LABELS} must be one token each, got {labels}; "
                "use a model whose tokenizer has digits."
            )
        self.labels = [ids[0] for ids in labels]

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores in the order of the groups and their snippets."""
        return contexts.where_open(groups, self._judged)

    def _judged(self, groups: Sequence[rubric.Group]) -> list[np.ndarray]:
        trees = []
        for group in groups:
            notes = [self.reader.candidate(ids).ids for ids in group.completions]
            trunk, cues = self._framed(group.episode, max(map(len, notes)))
            trees.append([forest.state_of((*trunk, *ids, *cue)) for ids in notes for cue in cues])
        rows = []
        for read in self.scorer.labels(trees, self.labels):
            logp = np.array(read, np.float64)
            share = np.exp(logp - logp.max(axis=-1, keepdims=True))
            share /= share.sum(axis=-1, keepdims=True)
            value = share @ np.linspace(0, 1, len(LABELS))
            rows.append(contexts.carried(value.reshape(-1, len(rubric.CRITERIA))))
        return rows

    def _framed(self, episode: schema.Episode, note: int) -> tuple[list[int], list[list[int]]]:
        """All up to where the note begins; then from its end up to each answer.

        The oldest of what is known is left out where a note of so many tokens would not fit.
        """
        known = episode.profile[-contexts.MAX_KNOWN :]
        for first in range(len(known) + 1):
            trunk, end = self._chat(episode, known[first:])
            cues = [end + self.words.encode(f"{cue} ") for cue in _CUES]
            if len(trunk) + note + max(map(len, cues)) <= max(self.scorer.lengths):
                break
        return trunk, cues

    def _chat(self, episode: schema.Episode, known: Sequence[str]) -> tuple[list[int], list[int]]:
        """The rendered chat before and after the note."""
        parts = [_TASK]
        for cue, one in zip(_CUES, rubric.RUBRIC, strict=True):
            parts += [f"{cue} {one.question}", one.example]
        parts += ["", "Known before:", *known]
        if episode.context:
            context = " ".join(episode.context.split())[-contexts.MAX_CONTEXT :]
            parts.append(f"The assistant said: {context}")
        parts.append(f"The user said: {' '.join(episode.user.split())[: contexts.MAX_USER]}")
        if episode.gold is not None:
            parts.append(f"A perfect note: {' '.join(episode.gold.split())}")
        parts.append("The note to judge:\n")
        ask = schema.Message("user", "\n".join(parts) + _MARK)
        ids = template.encode_chat(self.words, [ask], add_generation_prompt=True)
        return _split(ids, self.words.encode(_MARK))


def _split(ids: list[int], mark: list[int]) -> tuple[list[int], list[int]]:
    """Ids before and after the last place of the mark."""
    for at in range(len(ids) - len(mark), -1, -1):
        if ids[at : at + len(mark)] == mark:
            return ids[:at], ids[at + len(mark) :]
    raise ValueError(
        f"the chat template hides the mark {mark} of the note; use a template that keeps contents."
    )
