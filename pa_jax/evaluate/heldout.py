"""Greedy snippets on held-out episodes, scored against gold by the reference judge.

Not by the judge that training used: what is optimised is no measure of itself.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pa_jax.core import keys
from pa_jax.dialogue import schema
from pa_jax.evaluate import metrics
from pa_jax.infer import engine
from pa_jax.judge import reference, rubric


@dataclasses.dataclass(frozen=True)
class Record:
    """One held-out episode's greedy snippet. f1 is against gold; scores [4] None if it failed."""

    id: str
    user: str
    gold: str
    text: str
    finished: bool
    f1: float
    scores: tuple[float, ...] | None


def run(
    sampler: engine.Engine,
    episodes: Sequence[schema.Episode],
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
) -> list[Record]:
    """A record an episode, in order; an unfinished snippet is scored as it stands."""
    done = sampler.generate(
        prompts,
        n=1,
        max_new_tokens=max_new_tokens,
        temperature=0.0,
        seed=0,
        stream=keys.Stream.EVAL,
    )
    ends = set(sampler.model.tokenizer.eos_ids)
    groups = []
    for i, episode in enumerate(episodes):
        ids = tuple(int(t) for t in done.ids[i, 0, : done.lengths[i, 0]] if int(t) not in ends)
        groups.append(rubric.Group(episode, (ids,), (done.texts[i][0],)))
    scores = reference.Reference().score(groups)
    return [
        Record(
            id=episode.id,
            user=episode.user,
            gold=episode.gold or "",
            text=done.texts[i][0],
            finished=bool(done.finished[i, 0]),
            f1=reference.token_f1(done.texts[i][0], episode.gold or ""),
            scores=None if scores.failed[i, 0] else tuple(map(float, scores.values[i, 0])),
        )
        for i, episode in enumerate(episodes)
    ]


def summary(records: Sequence[Record]) -> dict[str, metrics.Interval]:
    """95 % intervals of token-F1, of the four criteria and their mean, and of finished ones."""
    ok = [r.scores for r in records if r.scores is not None]
    out = {"token_f1": metrics.interval([r.f1 for r in records])}
    if ok:
        out["criteria_mean"] = metrics.interval([float(np.mean(s)) for s in ok])
        for k, name in enumerate(rubric.CRITERIA):
            out[f"criteria/{name}"] = metrics.interval([s[k] for s in ok])
    out["finished"] = metrics.interval([float(r.finished) for r in records])
    return out
