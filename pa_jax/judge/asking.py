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
            values = [scaled(gain(group.episode, text)) for text in group.texts]
            row = np.array(values, np.float64).reshape(-1, 1)
            rows.append(np.repeat(row, len(rubric.CRITERIA), axis=1))
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


def scaled(value: float) -> float:
    """A gain as a score in [0, 1]."""
    return (value - LOWEST) / (HIGHEST - LOWEST)
