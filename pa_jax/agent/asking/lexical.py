"""Which slots of the taxonomy the words of a text fall on.

A slot's words are those of its name, question, situation, definition, examples and values, its
name's the weightiest; words that many slots have count little (idf).
"""

import math

import numpy as np

from pa_jax.core.typing import Float
from pa_jax.english import words as english
from pa_jax.profile import taxonomy

BEST = 4  # words of a text that count for a slot, so that long texts are no likelier to hit

_FIELDS = {
    "name": 1.0,
    "question": 0.8,
    "when": 0.8,
    "definition": 0.7,
    "values": 0.6,
    "examples": 0.5,
}


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
            old = self._stems.get(english.stem(word), np.zeros(len(rows), np.float32))
            self._stems[english.stem(word)] = np.maximum(old, self.weights[:, i])
        for key, column_s in self._stems.items():
            self._stems[key] = column_s * _idf(column_s[:, None])[0]

    def score(self, text: str) -> Float[np.ndarray, " s"]:
        """Of every slot, the weight of the BEST words that it shares with the text."""
        nothing = np.zeros(len(self.slots), np.float32)
        hits = [self._stems.get(english.stem(word), nothing) for word in english.topical(text)]
        hits += [nothing] * (BEST - len(hits))
        return np.sort(np.stack(hits), axis=0)[-BEST:].sum(axis=0)


def _weights(slot: taxonomy.Subcategory) -> dict[str, float]:
    """Words of a slot, each with the weight of its weightiest field."""
    weights: dict[str, float] = {}
    for field, weight in _FIELDS.items():  # the weightiest first
        text = getattr(slot, field)
        for word in english.topical(text if isinstance(text, str) else " . ".join(text)):
            weights.setdefault(word, weight)
    return weights


def _idf(weights: Float[np.ndarray, "s w"]) -> Float[np.ndarray, " w"]:
    seen = (weights > 0).sum(axis=0)
    return (math.log(len(weights) + 1) - np.log(seen + 0.5)).astype(np.float32)
