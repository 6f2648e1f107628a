"""Does a change of preference end the old fact in the same turn, and nothing else?

The profile before each change comes from gold snippets, so the old fact is known. Then the turn's
gold snippet is applied, and beside it what the policy infers from the same words.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import tqdm

from pa_jax.agent.inference import inferencer
from pa_jax.evaluate import metrics
from pa_jax.evaluate.profiles import talks


def measure(
    agent: inferencer.Inferencer, people: Sequence[talks.Talk], *, changes: int, users: int
) -> dict[str, Any]:
    """Shares of the first `changes` changes, and with gold of the turns that change nothing.

    exact      exactly the facts that gold retires ended
    ended      those facts ended, whatever else did
    unrelated  something else ended
    """
    steps = list(talks.by_gold(agent, people, users))
    found = [step for step in steps if step.turn.kind == "change"]
    if len(found) < changes:
        raise ValueError(
            f"drift: {len(found)} changes in the dialogues of {len(people)} users, {changes} are "
            "wanted; raise data.heldout_users."
        )
    found = found[:changes]
    seen = [step.seen for step in found]
    inferred = list(
        itertools.chain.from_iterable(
            agent.infer(seen[at : at + users], now=talks.NOW, seed=0)
            for at in tqdm.trange(0, len(seen), users, unit="wave", desc="policy")
        )
    )
    after = [
        talks.applied(turn, made, now=talks.NOW + turn.turn * talks.TURN)
        for turn, made in zip(seen, inferred, strict=True)
    ]
    ended = [talks.ended(turn.profile, held) for turn, held in zip(seen, after, strict=True)]
    others = [step for step in steps if step.turn.kind != "change"]
    return {
        "gold": _shares(found, [step.ended for step in found]),
        "gold, other turns": {"untouched": _interval([not step.ended for step in others])},
        "policy": _shares(found, ended)
        | {"silent": _interval([not made.ops for made in inferred])},
    }


def _shares(steps: Sequence[talks.TurnDone], ended: Sequence[set[str]]) -> dict[str, Any]:
    wanted = [set(step.turn.retires) for step in steps]
    pairs = list(zip(ended, wanted, strict=True))
    return {
        "exact": _interval([gone == old for gone, old in pairs]),
        "ended": _interval([old <= gone for gone, old in pairs]),
        "unrelated": _interval([bool(gone - old) for gone, old in pairs]),
    }


def _interval(values: Sequence[bool]) -> dict[str, float | int]:
    return dataclasses.asdict(metrics.interval([float(value) for value in values]))
