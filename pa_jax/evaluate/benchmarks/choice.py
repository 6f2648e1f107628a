"""Multiple choice of four: what is asked, and the likeliest letter of each answer."""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from pa_jax.evaluate import parse, speaker, systems
from pa_jax.evaluate.benchmarks import protocol

OPENING = "<choice>"
FORM = (
    "\nHere are four options:\n{options}\nRecommend the one that fits my preferences best. Choose "
    "exactly one of A, B, C and D, and nothing that is not listed. Reply in this form and add "
    "nothing: <choice>B</choice>"
)


def form(options: Sequence[str]) -> str:
    """What follows the question: the options in the order given, and how to answer."""
    lines = (f"{letter}. {text}" for letter, text in zip(parse.LETTERS, options, strict=True))
    return FORM.format(options="\n".join(lines))


def shuffled(options: Sequence[str], key: str) -> tuple[tuple[str, ...], int]:
    """The options in an order that hangs on the key alone, and where the first one went."""
    order = list(range(len(options)))
    random.Random(key).shuffle(order)
    return tuple(options[i] for i in order), order.index(0)


def scored(
    groups: Sequence[Sequence[systems.Request]],
    chosen: Mapping[str, systems.System],
    tools: protocol.Tools,
) -> list[list[dict[str, speaker.Scored]]]:
    """Log-probs of the letters by system, of each request of each group.

    The requests of a group share their dialogue, which is computed once for all of them under all
    systems that show it alike.
    """
    flat = [request for group in groups for request in group]
    chats = {name: s.prompts(flat, tools.model, tools.cfg) for name, s in chosen.items()}
    together, start = [], 0
    for group in groups:
        places = range(start, start + len(group))
        together.append([chats[name][i] for i in places for name in chosen])
        start += len(group)
    found = tools.model.labels(together, tuple(parse.LETTERS), opening=OPENING)
    return [
        [
            dict(zip(chosen, of[i * len(chosen) : (i + 1) * len(chosen)], strict=True))
            for i in range(len(group))
        ]
        for group, of in zip(groups, found, strict=True)
    ]


def picked(one: speaker.Scored, right: int) -> protocol.Row:
    """The row's measures, and the letters."""
    share = np.exp(one.logp.astype(np.float64) - one.logp.max())
    share /= share.sum()
    place = int(np.argmax(one.logp))
    return {
        "measures": {"accuracy": float(place == right), "p_right": float(share[right])},
        "picked": parse.LETTERS[place],
        "right": parse.LETTERS[right],
        "cut": one.cut,
    }
