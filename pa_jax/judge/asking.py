"""What a decision to ask is worth: no model, no opinion, the episode's own bookkeeping."""

from collections.abc import Sequence

import numpy as np

from pa_jax.dialogue import asking, schema
from pa_jax.judge import rubric

LOWEST, HIGHEST = -asking.COST, 1.0  # a useless question; one that makes a useless answer right


class Asking:
    """Scores actions of episodes with options; the same number on all four criteria."""

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores in the order of the groups; an episode without options is a failure."""
        rows = []
        for group in groups:
            row = [agreement(group.episode, text) for text in group.texts]
            rows.append(np.array(row, np.float64).reshape(-1, len(rubric.CRITERIA)))
        return rubric.gathered(rows)


def gain(episode: schema.Episode, text: str) -> float:
    """What an action adds to the answer, its cost taken off; nan where nothing could be asked.

    Answering is worth 0. What is no action is worth as little as the worst question: the user waits
    for nothing.
    """
    if not episode.options:
        return float("nan")
    action = asking.parse(text, episode.options)
    if isinstance(action, asking.ActionFailure):
        return LOWEST
    if action.topic is None:
        return 0.0
    return episode.worth[episode.options.index(action.topic)]


def agreement(episode: schema.Episode, text: str) -> tuple[float, ...]:
    """The action's gain as a score in [0, 1], on each of the four criteria."""
    scaled = (gain(episode, text) - LOWEST) / (HIGHEST - LOWEST)
    return (scaled,) * len(rubric.CRITERIA)
