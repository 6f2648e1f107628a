"""Greedy snippets on held-out episodes, scored against gold by the reference judge.

Not by the judge that training used: what is optimised is no measure of itself. The decision to ask
has no judge but what each question is worth: there it is the same bookkeeping, on held-out
requests.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pa_jax.core import keys
from pa_jax.dialogue import schema
from pa_jax.english import words
from pa_jax.evaluate import metrics
from pa_jax.infer import sampler as samplers
from pa_jax.judge import asking, reference, rubric


@dataclasses.dataclass(frozen=True)
class Record:
    """One held-out episode's greedy snippet. f1 and the four scores are against gold."""

    id: str
    user: str
    gold: str
    text: str
    finished: bool
    f1: float
    scores: tuple[float, ...]


def run(
    sampler: samplers.Sampler,
    episodes: Sequence[schema.Episode],
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
) -> list[Record]:
    """A record an episode with gold, in order; an unfinished snippet is scored as it stands."""
    done = sampler.generate(
        prompts,
        n=1,
        max_new_tokens=max_new_tokens,
        temperature=0.0,
        seed=0,
        stream=keys.Stream.EVAL,
    )
    return [
        Record(
            id=episode.id,
            user=episode.user,
            gold=episode.gold,
            text=done.texts[i][0],
            finished=bool(done.finished[i, 0]),
            f1=words.token_f1(done.texts[i][0], episode.gold),
            scores=scores(episode, done.texts[i][0]),
        )
        for i, episode in enumerate(episodes)
    ]


def scores(episode: schema.Episode, text: str) -> tuple[float, ...]:
    """The four criteria of one text; of a decision to ask, its scaled gain four times."""
    if episode.options:
        return (asking.scaled(asking.gain(episode, text)),) * len(rubric.CRITERIA)
    return reference.agreement(episode, text)


def summary(records: Sequence[Record]) -> dict[str, metrics.Interval]:
    """95 % intervals of token-F1, of the four criteria and their mean, and of finished ones.

    Where an episode has several records, of several seeds, they are drawn together.
    """
    values = {"token_f1": [r.f1 for r in records]}
    values["criteria_mean"] = [float(np.mean(r.scores)) for r in records]
    for k, name in enumerate(rubric.CRITERIA):
        values[f"criteria/{name}"] = [r.scores[k] for r in records]
    values["finished"] = [float(r.finished) for r in records]
    ids = [r.id for r in records]
    return {name: metrics.interval(of, clusters=ids) for name, of in values.items()}
