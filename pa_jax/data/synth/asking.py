"""Seeded episodes of the decision to ask: a request, what the profile holds, topics to ask about.

Requests of data/requests.py: its "dev" half trains, its "test" half is held out. Of the slots that
a request depends on, some are in the profile already, and of the others the user has a preference
or not. What asking adds is counted in what the next answer can use: 1/n of a request with n slots
where the user turns out to have a preference, nothing where not or where it was known, and the
cost of the turn is taken off. So the best action is to ask about an open slot the user has a view
on, or to answer; which views the user has, the policy cannot see and must expect on average.
"""

import random

from pa_jax.data import numbered, requests
from pa_jax.data.synth import truth
from pa_jax.dialogue import asking, schema
from pa_jax.profile import taxonomy

_HALF = {"train": "dev", "heldout": "test"}
_KNOWN = 0.4  # of the slots that a request depends on
_COVERED = 0.25  # of requests: all of their slots are known
_HAS_A_VIEW = 0.85  # of users, on a slot that is not known
_BESIDES = 2  # known statements that have nothing to do with the request


def requests_of(seed: int, count: int, split: str) -> numbered.Numbered[schema.Episode]:
    """`count` of a split, "train" or "heldout"."""
    return numbered.Numbered(count, lambda index: episode(seed, index, split))


def episode(seed: int, index: int, split: str) -> schema.Episode:
    """Episode `index`; the same for the same arguments everywhere."""
    rng = random.Random(truth.digest("ask", seed, index, split))
    known_values = truth.values_of("train")  # what is held out are the requests
    request = rng.choice(requests.load(_HALF[split]))
    slots = [path for path in request.slots if path in known_values]
    if rng.random() < _COVERED:
        known = list(slots)
    else:
        known = [path for path in slots if rng.random() < _KNOWN]
    open_ = [path for path in slots if path not in known]
    views = {path for path in open_ if rng.random() < _HAS_A_VIEW}
    others = [path for path in known_values if path not in request.slots]
    besides = rng.sample(others, _BESIDES + asking.OPTIONS)
    shown = open_[: asking.OPTIONS - 1]
    rest = [path for path in known if path not in shown] + besides[_BESIDES:]
    shown = shown + rest[: asking.OPTIONS - len(shown)]
    rng.shuffle(shown)
    worth = [(1 / len(slots) if path in views else 0.0) - asking.COST for path in shown]
    names = {slot.path: slot.name for slot in taxonomy.Taxonomy.load().subcategories}
    best = max(range(len(shown)), key=worth.__getitem__)
    action = asking.Action(names[shown[best]] if worth[best] > 0 else None)
    profile = [_statement(path, rng) for path in (*known, *besides[:_BESIDES])]
    rng.shuffle(profile)
    name = f"ask-{split}-{seed}-{index}"
    return schema.Episode(
        id=f"{name}/0",
        user_id=name,
        profile=tuple(profile),
        context="",
        user=request.words,
        gold=asking.render(action),
        kind="request",
        options=tuple(names[path] for path in shown),
        worth=tuple(worth),
    )


def _statement(path: str, rng: random.Random) -> str:
    slot = taxonomy.Taxonomy.load().get(path)
    value = rng.choice(truth.values_of("train")[path])
    return truth.statement(slot, value, truth.LIKE)
