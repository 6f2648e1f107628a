"""The verbal judge, the paper's kind: a rubric in words, one question a criterion, labels 1 to 5.

The rubric and questions are ours. One prefill: the trunk holds rubric and turn (and gold where the
data has it), a branch one snippet, a leaf one question up to where the answer begins; the score is
the expectation over the five labels there. Small models answer such questions badly: measure
before use (agreement.py).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pa_jax.dialogue import schema, template
from pa_jax.judge import contexts, forward, rubric

LABELS = ("1", "2", "3", "4", "5")
_MARK = "\x1e"  # where the snippet, and then the question, go into the rendered chat

_TASK = (
    "An assistant wrote a note about a user after one turn of a conversation. Judge the note. "
    "Answer every question with one number from 1 (not at all) to 5 (fully)."
)


class Verbal:
    """Scores groups by label expectations under one frozen instruct model."""

    def __init__(self, model, rows: int, mesh: jax.sharding.Mesh | None):
        if model is None or model.tokenizer is None:
            raise ValueError(
                "judge.kind='verbal' got no model with a tokenizer; give models.load(SOURCE)."
            )
        self.words = model.tokenizer
        self.reader = contexts.Reader(model.tokenizer)
        self.forward = forward.Forward(model.module, rows, mesh)
        labels = [self.words.encode(label) for label in LABELS]
        if any(len(ids) != 1 for ids in labels):
            raise ValueError(
                f"judge.kind='verbal': the labels {LABELS} must be one token each, got {labels}; "
                "use a model whose tokenizer has digits."
            )
        self.labels = jnp.asarray([ids[0] for ids in labels], jnp.int32)

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores in the order of the groups and their snippets."""
        width = max((len(group.texts) for group in groups), default=0)
        rows = [contexts.fixed(group) for group in groups]
        order = [i for i, row in enumerate(rows) if np.isnan(row).any()]
        for start in range(0, len(order), self.forward.rows):
            chosen = order[start : start + self.forward.rows]
            made = self._judged([groups[i] for i in chosen], width)
            for i, row in zip(chosen, made, strict=True):
                rows[i] = np.where(np.isnan(rows[i]), row, rows[i])
        return rubric.gathered(rows)

    def _judged(self, groups: Sequence[rubric.Group], width: int) -> list[np.ndarray]:
        framed = [self._framed(group.episode) for group in groups]
        trunks = [trunk for trunk, _ in framed]
        branches, leaves = [], []
        for group, (_, questions) in zip(groups, framed, strict=True):
            missing = width - len(group.texts)
            ids = [self.reader.candidate(c).ids for c in group.completions]
            branches.append([*ids, *[()] * missing])
            leaves.append([questions] * len(group.texts) + [()] * missing)
        trees = self.forward.trees(trunks, branches, leaves)
        logp = self.forward.labels(trees, self.labels).astype(np.float64)
        share = np.exp(logp - logp.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        value = share @ np.linspace(0, 1, len(LABELS))  # [n, g, 4]
        return [value[i, : len(group.texts)] for i, group in enumerate(groups)]

    def _framed(self, episode: schema.Episode) -> tuple[list[int], list[list[int]]]:
        """Trunk up to where the note begins, and the four questions up to the answer."""
        parts = ["Known before:", *episode.profile[-contexts.MAX_KNOWN :]]
        if episode.context:
            parts.append(f"The assistant said: {' '.join(episode.context.split())}")
        parts.append(f"The user said: {' '.join(episode.user.split())}")
        if episode.gold is not None:
            parts.append(f"A perfect note: {' '.join(episode.gold.split())}")
        parts.append("The note to judge:\n")
        ask = schema.Message("user", _TASK + "\n" + "\n".join(parts) + _MARK)
        ids = template.encode_chat(self.words, [ask], add_generation_prompt=True)
        mark = self.words.encode(_MARK)
        trunk, end = _split(ids, mark)
        questions = [
            self.words.encode(f"Question: {rubric.QUESTIONS[name]}") + end
            for name in rubric.CRITERIA
        ]
        return trunk, questions


def _split(ids: list[int], mark: list[int]) -> tuple[list[int], list[int]]:
    """Ids before and after the last place of the mark."""
    for at in range(len(ids) - len(mark), -1, -1):
        if ids[at : at + len(mark)] == mark:
            return ids[:at], ids[at + len(mark) :]
    raise ValueError(
        f"the chat template hides the mark {mark} of the note; use a template that keeps contents."
    )
