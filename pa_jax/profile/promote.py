"""Proposed labels under `other`: one that recurs joins the user's own schema."""

import dataclasses
import datetime
from collections.abc import Iterable

from pa_jax.profile import codec, facts, update

PROMOTE_AFTER = 3


@dataclasses.dataclass(frozen=True)
class Label:
    """A label of one user, by the number of turns that added to it or confirmed it."""

    name: facts.Label
    sightings: codec.Count
    first_seen: codec.Moment
    last_seen: codec.Moment
    promoted_at: codec.Moment | None


def see(label: Label | None, name: str, *, now: datetime.datetime) -> Label:
    """The label after one more turn; promoted for good at the PROMOTE_AFTER-th sighting."""
    if label is None:
        label = Label(name, 0, now, now, None)
    sightings = label.sightings + 1
    promoted_at = label.promoted_at
    if promoted_at is None and sightings >= PROMOTE_AFTER:
        promoted_at = now
    return dataclasses.replace(label, sightings=sightings, last_seen=now, promoted_at=promoted_at)


def seen(changes: Iterable[update.Change]) -> tuple[str, ...]:
    """The labels that a turn added to or confirmed, sorted."""
    counted = (update.ADDED, update.REINFORCED)
    return tuple(
        sorted(
            {
                change.fact.subcategory
                for change in changes
                if change.fact.category == facts.OTHER and change.event in counted
            }
        )
    )
