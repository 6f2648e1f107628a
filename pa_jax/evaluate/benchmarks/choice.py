"""Multiple choice of four: by the likeliest letter, or by the likeliest of the options' texts.

Letters need a model that can follow a list: SmolLM2 says B whatever is asked. Texts, the options
not shown and each scored as the reply (a cloze test), ask for nothing but a language model.
"""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.special

from pa_jax.evaluate import chat_model
from pa_jax.evaluate.benchmarks import parse, protocol
from pa_jax.evaluate.systems import baselines

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


BySystem = list[list[dict[str, chat_model.Scored]]]  # of each request of each group
Groups = Sequence[Sequence[baselines.Request]]


def scored(
    groups: Groups, chosen: Mapping[str, baselines.System], tools: protocol.Tools
) -> BySystem:
    """Log-probs of the letters by system, of each request of each group.

    The requests of a group share their dialogue, which is computed once for all of them under all
    systems that show it alike.
    """
    asked = _asked(groups, chosen, tools)
    found = tools.model.labels(asked, tuple(parse.LETTERS), opening=OPENING)
    return _by_system(found, chosen)


def texts_scored(
    groups: Groups,
    options: Sequence[Sequence[Sequence[str]]],
    chosen: Mapping[str, baselines.System],
    tools: protocol.Tools,
) -> BySystem:
    """Log-probs of each request's options as the reply: leaves behind the chats of `scored`."""
    asked = _asked(groups, chosen, tools)
    texts = [[of for of in group for _ in chosen] for group in options]
    return _by_system(tools.model.reply_logprobs(asked, texts), chosen)


def _asked(
    groups: Groups, chosen: Mapping[str, baselines.System], tools: protocol.Tools
) -> list[list[baselines.Chat]]:
    """The chats of each group, request by request: one under every system."""
    flat = [request for group in groups for request in group]
    chats = {name: s.prompts(flat, tools.model, tools.cfg) for name, s in chosen.items()}
    together, start = [], 0
    for group in groups:
        places = range(start, start + len(group))
        together.append([chats[name][i] for i in places for name in chosen])
        start += len(group)
    return together


def _by_system(
    found: Sequence[Sequence[chat_model.Scored]], chosen: Mapping[str, baselines.System]
) -> BySystem:
    size = len(chosen)
    return [
        [
            dict(zip(chosen, of[start : start + size], strict=True))
            for start in range(0, len(of), size)
        ]
        for of in found
    ]


def measured(one: chat_model.Scored, right: int) -> tuple[dict[str, float], int]:
    """Accuracy and the right option's share, and which option is the likeliest."""
    place = int(np.argmax(one.logp))
    share = scipy.special.softmax(one.logp.astype(np.float64))
    return {"accuracy": float(place == right), "p_right": float(share[right])}, place


def picked(one: chat_model.Scored, right: int) -> protocol.Row:
    """The row's measures, and the letters."""
    measures, place = measured(one, right)
    return {
        "measures": measures,
        "picked": parse.LETTERS[place],
        "right": parse.LETTERS[right],
        "cut": one.cut,
    }
