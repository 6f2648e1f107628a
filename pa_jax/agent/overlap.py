"""Which slots of the taxonomy the words of a text fall on.

A slot's words are those of its name, question, definition, examples and values, its name's the
weightiest; words that many slots have count little (idf).
"""

import functools
import math
import re

import numpy as np

from pa_jax.core.typing import Float
from pa_jax.profile import taxonomy

BEST = 4  # words of a text that count for a slot, so that long texts are no likelier to hit

_FIELDS = {"name": 1.0, "question": 0.8, "definition": 0.7, "values": 0.6, "examples": 0.5}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_STOP = frozenset(
    "a about after again all also am an and any anything are as at be because been before being "
    "best better but by can could did do does doing don down for from get give go good got had "
    "has have having he help her here him his how i if in into is it its just know let like long "
    "look lot made make many may me might more most much must my myself need new no nor not now "
    "of off on one only or other our out over own please put really said same say shall she "
    "should show so some something still such suggest take tell than that the their them then "
    "there these they thing things think this those through time to too two under until up us "
    "use user users very want was way we week well were what when where which while who whom why "
    "will with without would you your find idea ideas keep kind recommend set start what's i'm "
    "i'd i've i'll it's don't that's let's user's you're we're can't won't "
    "prefer prefers likes wants favours avoids dislikes".split()
)


def content(text: str) -> list[str]:
    """The words of a text that carry content, in lower case, each once, in order."""
    words = (word.lower().replace("’", "'") for word in _WORD.findall(text))
    kept = (word.removesuffix("'s") for word in words if word not in _STOP)
    return list(dict.fromkeys(word for word in kept if len(word) > 1 and word not in _STOP))


@functools.lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A word without the endings of plural, gerund and past."""
    for end, put in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        cut = word[: -len(end)]
        if word.endswith(end) and len(cut) >= 3 and not word.endswith(("ss", "us", "is")):
            doubled = end in ("ing", "ed") and len(cut) > 3 and cut[-1] == cut[-2]
            return cut[:-1] if doubled else cut + put
    return word.removesuffix("e") if len(word) > 4 else word


class Overlap:
    """The words of every slot, ready to be looked up.

    slots    paths, in the taxonomy's order
    words    every word that a slot has
    weights  [slots, words], by the field that holds the word
    idf      of each word
    """

    def __init__(self, content_of: taxonomy.Taxonomy) -> None:
        self.slots = tuple(slot.path for slot in content_of.subcategories)
        rows = [_weights(slot) for slot in content_of.subcategories]
        self.words = tuple(sorted({word for row in rows for word in row}))
        column = {word: i for i, word in enumerate(self.words)}
        self.weights = np.zeros((len(rows), len(self.words)), np.float32)
        for i, row in enumerate(rows):
            for word, weight in row.items():
                self.weights[i, column[word]] = weight
        self.idf = _idf(self.weights)
        self._stems: dict[str, Float[np.ndarray, " s"]] = {}
        for word, i in column.items():
            old = self._stems.get(stem(word), np.zeros(len(rows), np.float32))
            self._stems[stem(word)] = np.maximum(old, self.weights[:, i])
        for key, column_s in self._stems.items():
            self._stems[key] = column_s * _idf(column_s[:, None])[0]

    def score(self, text: str) -> Float[np.ndarray, " s"]:
        """Of every slot, the weight of the BEST words that it shares with the text."""
        nothing = np.zeros(len(self.slots), np.float32)
        hits = [self._stems.get(stem(word), nothing) for word in content(text)]
        hits += [nothing] * (BEST - len(hits))
        return np.sort(np.stack(hits), axis=0)[-BEST:].sum(axis=0)


def _weights(slot: taxonomy.Subcategory) -> dict[str, float]:
    """Words of a slot, each with the weight of its weightiest field."""
    weights: dict[str, float] = {}
    for field, weight in _FIELDS.items():  # the weightiest first
        text = getattr(slot, field)
        for word in content(text if isinstance(text, str) else " . ".join(text)):
            weights.setdefault(word, weight)
    return weights


def _idf(weights: Float[np.ndarray, "s w"]) -> Float[np.ndarray, " w"]:
    seen = (weights > 0).sum(axis=0)
    return (math.log(len(weights) + 1) - np.log(seen + 0.5)).astype(np.float32)
