"""The four criteria, and what goes into a judge and comes out of it."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pa_jax.core.typing import Bool, Float
from pa_jax.dialogue import schema


@dataclasses.dataclass(frozen=True)
class Criterion:
    """One criterion, and how judges that read are asked for it.

    short       in the names of an ablation's arms
    definition  what a note has that meets it
    question    the same as a question
    example     a good and a bad note, as the verbal judge reads them; ours
    """

    name: str
    short: str
    definition: str
    question: str
    example: str


RUBRIC = (
    Criterion(
        "completeness",
        "compl",
        "The note holds every preference that the user shows in this turn.",
        "Does the note hold every preference that the user shows?",
        'To "I\'m vegan and I cycle to work.": "The user is vegan. The user cycles to work." is 5, '
        '"The user is vegan." is 2.',
    ),
    Criterion(
        "no_hallucination",
        "nohall",
        "Everything the note says is supported by what the user said.",
        "Is everything in the note supported by what the user said?",
        'To "My cousin adores golf, I find it dull.": "The user finds golf dull." is 5, '
        '"The user adores golf." is 1.',
    ),
    Criterion(
        "informativeness",
        "inform",
        "The note is specific enough to be of use in later conversations.",
        "Is the note specific and useful for later conversations?",
        'To "Window seat for me, always.": "The user always wants a window seat." is 5, '
        '"The user has a preference about travel." is 1.',
    ),
    Criterion(
        "consistency",
        "consist",
        "The note contradicts neither this turn nor what is already known.",
        "Does the note agree with the turn and with what is already known?",
        'To "Peanuts give me hives.": "The user is allergic to peanuts." is 5, '
        '"The user likes peanuts." is 1.',
    ),
)
CRITERIA = tuple(one.name for one in RUBRIC)


@dataclasses.dataclass(frozen=True)
class Group:
    """One episode and the snippets written for it: ids without an end token, and their texts."""

    episode: schema.Episode
    completions: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.completions) != len(self.texts):
            raise ValueError(
                f"Group {self.episode.id}: {len(self.completions)} completions and "
                f"{len(self.texts)} texts; give one text for each completion."
            )

    def only(self, places: Sequence[int]) -> "Group":
        """The group with the snippets at these places."""
        return Group(
            self.episode,
            tuple(self.completions[k] for k in places),
            tuple(self.texts[k] for k in places),
        )


@dataclasses.dataclass(frozen=True)
class Scores:
    """A score for each group, snippet and criterion (a judge's in CRITERIA's order), and failures.

    A failed snippet has no verdict: its values are 0 and mean nothing. Snippets that a group does
    not have (groups may differ in size) count as failed.
    """

    values: Float[np.ndarray, "n g k"]
    failed: Bool[np.ndarray, "n g"]


@dataclasses.dataclass(frozen=True)
class ByRule:
    """A judge without a model: `rule` gives a text about an episode its four criteria."""

    rule: Callable[[schema.Episode, str], tuple[float, ...]]

    def score(self, groups: Sequence[Group]) -> Scores:
        """Scores in the order of the groups and their texts."""
        rows = [[self.rule(group.episode, text) for text in group.texts] for group in groups]
        return gathered([np.array(row, np.float64).reshape(-1, len(CRITERIA)) for row in rows])


def gathered(rows: Sequence[np.ndarray], count: int = len(CRITERIA)) -> Scores:
    """Scores of groups [g_i, count] side by side; what is not finite is a failure, not a score."""
    n, g = len(rows), max((len(row) for row in rows), default=0)
    values = np.full((n, g, count), np.nan, np.float32)
    for i, row in enumerate(rows):
        values[i, : len(row)] = row
    failed = np.asarray(~np.isfinite(values).all(axis=-1))
    return Scores(np.where(failed[..., None], np.float32(0), values), failed)
