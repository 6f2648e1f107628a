"""Greedy texts on held-out episodes, scored by the task's own measure (jobs/tasks).

Of snippets that is not the judge that training used: what is optimised is no measure of itself. The
decision to ask has no judge but what each question is worth: there it is the same bookkeeping, on
held-out requests.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pa_jax.core import keys
from pa_jax.dialogue import faults, schema
from pa_jax.english import words
from pa_jax.evaluate import metrics
from pa_jax.infer.sampler import Sampler
from pa_jax.judge import rubric

RISING = (  # figures of `summary` of which more is better
    *("token_f1", "criteria_mean", "finished"),
    *(f"criteria/{name}" for name in rubric.CRITERIA),
)


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """episodes        held-out ones, spread evenly, before and after training
    part            how many of them while it trains, the same every time
    rows            episodes through the engine at a time
    max_new_tokens  of a held-out snippet
    every           steps between evaluations of the part (and at the ends of the run's phases); 0:
                    none while it trains, and no best checkpoint
    best            figure whose best checkpoint is kept: token_f1, criteria_mean, finished,
                    criteria/NAME
    patience        evaluations in a row without a better figure that end the run; 0: it never ends
                    so. A warm start's are not counted
    """

    episodes: int
    part: int
    rows: int
    max_new_tokens: int
    every: int
    best: str
    patience: int

    def __post_init__(self) -> None:
        least = dict.fromkeys(("episodes", "part", "rows", "max_new_tokens"), 1)
        for name, low in (least | {"every": 0, "patience": 0}).items():
            if getattr(self, name) < low:
                raise ValueError(f"eval.{name}={getattr(self, name)}: must be at least {low}.")
        if self.best not in RISING:
            raise ValueError(f"eval.best={self.best!r}: choose one of {list(RISING)}.")
        if self.patience and not self.every:
            raise ValueError(
                f"eval.patience={self.patience} with eval.every=0: there are no evaluations to "
                "count; set eval.every, or patience=0."
            )


@dataclasses.dataclass(frozen=True)
class Record:
    """One held-out episode's greedy text. f1 is against gold, the four scores are the task's.

    copies and wrong_stances are lines of it (dialogue/faults.py).
    """

    id: str
    user: str
    gold: str
    text: str
    finished: bool
    f1: float
    scores: tuple[float, ...]
    copies: int
    wrong_stances: int


class Heldout:
    """A run's held-out episodes, and a fixed part of them, under the sampler's present weights.

    The part and the rest always go through the engine apart: what else is in a call decides on
    rounding, and a part that was evaluated before need not be again.
    """

    def __init__(
        self,
        sampler: Sampler,
        episodes: Sequence[schema.Episode],
        prompts: Sequence[Sequence[int]],
        scores: Callable[[schema.Episode, str], tuple[float, ...]],
        cfg: EvalConfig,
    ) -> None:
        """`scores` are the four criteria of a text."""
        self.sampler, self._episodes, self._prompts, self._cfg = sampler, episodes, prompts, cfg
        self._scores = scores
        total = len(episodes)
        count = min(cfg.part, total) if cfg.every else 0
        self._places = [i * total // count for i in range(count)]

    def part(self) -> list[Record]:
        """Records of the part."""
        return self._run(self._places)

    def all(self, part: Sequence[Record] | None) -> list[Record]:
        """Records of all, in order; those of the part where they are known."""
        known = dict(zip(self._places, part if part is not None else self.part(), strict=True))
        rest = [i for i in range(len(self._episodes)) if i not in known]
        known |= zip(rest, self._run(rest), strict=True)
        return [known[i] for i in range(len(self._episodes))]

    def _run(self, places: Sequence[int]) -> list[Record]:
        """A record each, in order; an unfinished text is scored as it stands."""
        if not places:
            return []
        done = self.sampler.generate(
            [self._prompts[i] for i in places],
            n=1,
            max_new_tokens=self._cfg.max_new_tokens,
            temperature=0.0,
            seed=0,
            stream=keys.Stream.EVAL,
        )
        return [
            self._record(self._episodes[i], done.texts[row][0], bool(done.finished[row, 0]))
            for row, i in enumerate(places)
        ]

    def _record(self, episode: schema.Episode, text: str, finished: bool) -> Record:
        return Record(
            id=episode.id,
            user=episode.user,
            gold=episode.wanted,
            text=text,
            finished=finished,
            f1=words.token_f1(text, episode.wanted),
            scores=self._scores(episode, text),
            copies=len(faults.copies(episode, text)),
            wrong_stances=len(faults.wrong_stances(episode, text)),
        )


def summary(records: Sequence[Record]) -> dict[str, metrics.Interval]:
    """95 % intervals of token-F1, of the four criteria and their mean, and of shares of snippets.

    Those are: finished ones, and ones with a copy or with a wrong stance in them.
    Where an episode has several records, of several seeds, they are drawn together.
    """
    ids = [r.id for r in records]
    return {name: metrics.interval(of, clusters=ids) for name, of in values(records).items()}


def values(records: Sequence[Record]) -> dict[str, list[float]]:
    """What `summary` is made of: each measure, a value a record."""
    made = {"token_f1": [r.f1 for r in records]}
    made["criteria_mean"] = [float(np.mean(r.scores)) for r in records]
    for k, name in enumerate(rubric.CRITERIA):
        made[f"criteria/{name}"] = [r.scores[k] for r in records]
    made["finished"] = [float(r.finished) for r in records]
    made["copies"] = [float(r.copies > 0) for r in records]
    made["wrong_stances"] = [float(r.wrong_stances > 0) for r in records]
    return made
