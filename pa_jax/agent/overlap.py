"""How much of what is said in a text falls on each slot of the taxonomy, counted in words.

A slot's words are those of its name, question, definition, examples and values, its name's the
weightiest. Words that many slots have count little (idf). Where word vectors are given, near words
count in part: "flat" for "home".
"""

import collections
import functools
import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from pa_jax.core.typing import Float
from pa_jax.profile import taxonomy

Vectors = Callable[[Sequence[str]], np.ndarray]  # words -> [words, width]

NEAR = 0.35  # cosine from which another word counts, in part
BEST = 4  # words of a text that count for a slot, so that long texts are no likelier to hit

_FIELDS = {"name": 1.0, "question": 0.8, "definition": 0.7, "examples": 0.5, "values": 0.6}
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
            cut += put
            return cut[:-1] if len(cut) > 3 and cut[-1] == cut[-2] and end in ("ing", "ed") else cut
    return word.removesuffix("e") if len(word) > 4 else word


class Overlap:
    """The words of every slot, ready to be looked up."""

    def __init__(self, content_of: taxonomy.Taxonomy, vectors: Vectors | None) -> None:
        self.slots = tuple(slot.path for slot in content_of.subcategories)
        weights = [_weights(slot) for slot in content_of.subcategories]
        spelled = {stem(word): word for slot in weights for word in slot}
        self._index = {key: i for i, key in enumerate(spelled)}
        self._table = np.zeros((len(self.slots), len(spelled)), np.float32)
        for row, slot in enumerate(weights):
            for word, weight in slot.items():
                at = self._index[stem(word)]
                self._table[row, at] = max(self._table[row, at], weight)
        seen = (self._table > 0).sum(axis=0)
        self._idf = np.log((len(self.slots) + 1) / (seen + 0.5)).astype(np.float32)
        self._rare = math.log(len(self.slots) + 1)
        self._vectors = vectors
        self._unit = None if vectors is None else self._units(list(spelled.values()))

    def score(self, text: str) -> Float[np.ndarray, " s"]:
        """Of every slot, the weight of the text's BEST words that it shares; 0 for none."""
        words = content(text)
        if not words:
            return np.zeros(len(self.slots), np.float32)
        near = self._near(words)
        at = [self._index.get(stem(word)) for word in words]
        idf = np.array([self._rare if i is None else self._idf[i] for i in at], np.float32)
        hits = (near[:, None, :] * self._table[None]).max(axis=-1) * idf[:, None]
        best = min(BEST, len(words))
        return np.partition(hits, len(words) - best, axis=0)[-best:].sum(axis=0)

    def _near(self, words: Sequence[str]) -> Float[np.ndarray, "q w"]:
        """How near each word of a text is to each of the slots' words, 1 for the same."""
        near = np.zeros((len(words), len(self._index)), np.float32)
        if self._unit is not None:
            cosine = self._units(words) @ self._unit.T
            near = np.maximum(cosine - NEAR, 0.0) / (1.0 - NEAR)
        for row, word in enumerate(words):
            at = self._index.get(stem(word))
            if at is not None:
                near[row, at] = 1.0
        return near

    def _units(self, words: Sequence[str]) -> Float[np.ndarray, "w d"]:
        raw = np.asarray(self._vectors(words), np.float32)
        if not hasattr(self, "_mean"):
            self._mean = raw.mean(axis=0)
        raw = raw - self._mean
        return raw / np.maximum(np.linalg.norm(raw, axis=-1, keepdims=True), 1e-6)


def _weights(slot: taxonomy.Subcategory) -> dict[str, float]:
    """Words of a slot, each with the weight of its weightiest field."""
    weights: dict[str, float] = collections.defaultdict(float)
    for field, weight in _FIELDS.items():
        text = getattr(slot, field)
        for word in content(text if isinstance(text, str) else " . ".join(text)):
            weights[word] = max(weights[word], weight)
    return dict(weights)
