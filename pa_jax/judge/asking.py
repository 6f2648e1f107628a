"""What a decision to ask is worth: no model, no opinion, the episode's own bookkeeping."""

from pa_jax.dialogue import asking, schema
from pa_jax.judge import rubric

LOWEST, HIGHEST = -asking.COST, 1.0  # a useless question; one that makes a useless answer right


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
    """The action's gain as a score in [0, 1], the same on all four criteria."""
    scaled = (gain(episode, text) - LOWEST) / (HIGHEST - LOWEST)
    return (scaled,) * len(rubric.CRITERIA)
