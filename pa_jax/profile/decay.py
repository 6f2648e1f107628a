"""How certain a fact still is: halved with every half-life of its category since it was recorded.

Half-lives lie in taxonomy.json, beside the categories.
"""

import datetime
import functools
from collections.abc import Iterable

from pa_jax.profile import facts, taxonomy

STALE_BELOW = 0.3

_DAY = datetime.timedelta(days=1)


@functools.cache
def _half_lives() -> dict[str, int]:
    content = taxonomy.Taxonomy.load()
    days = {category.id: category.half_life_days for category in content.categories}
    return days | {facts.OTHER: content.other_half_life_days}


def half_life(category: str) -> datetime.timedelta:
    """Half-life of a category; one that the taxonomy no longer has ages like OTHER."""
    days = _half_lives()
    return days.get(category, days[facts.OTHER]) * _DAY


def confidence_at(fact: facts.Fact, *, now: datetime.datetime) -> float:
    """Confidence at `now`; before the fact was recorded it is the recorded confidence."""
    age = max(now - fact.recorded_at, datetime.timedelta(0))
    return fact.confidence * 0.5 ** (age / half_life(fact.category))


def is_stale(fact: facts.Fact, *, now: datetime.datetime) -> bool:
    """Whether a fact is too uncertain to rely on: infer it again, or ask."""
    return confidence_at(fact, now=now) < STALE_BELOW


def stale(profile: Iterable[facts.Fact], *, now: datetime.datetime) -> tuple[facts.Fact, ...]:
    """The facts to infer again or to ask about, the least certain first."""
    due = [fact for fact in profile if is_stale(fact, now=now)]
    return tuple(sorted(due, key=lambda fact: (confidence_at(fact, now=now), fact.id)))
