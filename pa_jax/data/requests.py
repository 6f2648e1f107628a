"""Requests and the slots that a good answer to each depends on, written by hand.

Half of them ("dev") is for choosing thresholds, the other half ("test") for measuring; the split
follows from the words alone. A request without slots depends on nothing that is known of a user.
The slots are those that would change a good answer, not all that could be asked. A line of
requests.txt has the words, a bar and the slots.
"""

import dataclasses
import functools
from importlib import resources

from pa_jax.data.synth import truth
from pa_jax.profile import taxonomy

SPLITS = ("dev", "test")


@dataclasses.dataclass(frozen=True)
class Request:
    """What a user asks for, and the slots of the taxonomy that an answer depends on."""

    words: str
    slots: tuple[str, ...]


@functools.cache
def load(split: str) -> tuple[Request, ...]:
    """The requests of a split, in file order; every slot is a path of the taxonomy."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} does not exist: choose one of {SPLITS}.")
    found = []
    text = resources.files(__package__).joinpath("requests.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        words, _, slots = line.partition("|")
        request = Request(words.strip(), tuple(slots.split()))
        for slot in request.slots:
            taxonomy.Taxonomy.load().get(slot)
        if truth.digest("request", request.words) % 2 == SPLITS.index(split):
            found.append(request)
    return tuple(found)
