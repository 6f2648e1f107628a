"""What an assistant without a profile finds in earlier messages: BM25, vectors, a memory."""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from pa_jax.dialogue import schema
from pa_jax.english import words

K1, B = 1.5, 0.75  # the usual BM25 constants


def stems(text: str) -> list[str]:
    """Stems of the words that carry content, with repetition."""
    return [words.stem(word) for word in words.tokens(text) if word not in words.STOP]


class BM25:
    """BM25 over texts that come one by one; scores of what is there now."""

    def __init__(self) -> None:
        self.counts: list[collections.Counter[str]] = []
        self.lengths: list[int] = []
        self.holders: collections.Counter[str] = collections.Counter()

    def add(self, text: str) -> None:
        count = collections.Counter(stems(text))
        self.counts.append(count)
        self.lengths.append(count.total())
        self.holders.update(count.keys())

    def scores(self, query: str) -> list[float]:
        """Relevance of every text, 0 where it shares no word with the query."""
        n = len(self.counts)
        mean = max(sum(self.lengths) / max(n, 1), 1e-9)
        weight = {
            word: math.log(1 + (n - self.holders[word] + 0.5) / (self.holders[word] + 0.5))
            for word in set(stems(query))
            if self.holders[word]
        }
        return [
            math.fsum(
                w * count[word] * (K1 + 1) / (count[word] + K1 * (1 - B + B * length / mean))
                for word, w in weight.items()
                if word in count
            )
            for count, length in zip(self.counts, self.lengths, strict=True)
        ]


def nearest(messages: Sequence[schema.Message], query: str, top: int) -> list[schema.Message]:
    """The messages most relevant to the query, best first, of equals the newer."""
    index = BM25()
    for message in messages:
        index.add(message.content)
    scores = index.scores(query)
    order = sorted(range(len(messages)), key=lambda i: (scores[i], i), reverse=True)
    return [messages[i] for i in order[:top] if scores[i] > 0]


def nearest_vectors(
    messages: Sequence[schema.Message], vectors: np.ndarray, query: np.ndarray, top: int
) -> list[schema.Message]:
    """The messages of most cosine similarity to the query, best first, of equals the newer.

    vectors [n, d] are less their mean, the query less the same: hidden states of a language model
    point mostly one way, whatever the text.
    """
    if not messages:
        return []
    mean = vectors.mean(axis=0) if len(vectors) > 1 else np.zeros_like(query)
    found, wanted = vectors - mean, query - mean
    norm = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted)
    likeness = found @ wanted / np.maximum(norm, 1e-9)
    order = sorted(range(len(messages)), key=lambda i: (likeness[i], i), reverse=True)
    return [messages[i] for i in order[:top]]


@dataclasses.dataclass
class _Memory:
    text: str
    strength: float  # in days
    seen: float  # when it was last made or recalled


class MemoryBank:
    """Exchanges under a forgetting curve, after MemoryBank (arXiv 2305.10250).

    Retention after t days is exp(-t / S); S starts at 1 and grows by 1 each time the exchange is
    recalled, which also starts t anew. MemoryBank drops a memory by chance, with probability 1 -
    retention; here retention weighs its relevance instead, so that a run can be repeated. Its
    daily summaries and portrait of the user are left out.
    """

    def __init__(self) -> None:
        self.index = BM25()
        self.memories: list[_Memory] = []

    def add(self, text: str, now: float) -> None:
        self.index.add(text)
        self.memories.append(_Memory(text, 1.0, now))

    def recall(self, query: str, now: float, top: int) -> list[str]:
        """The `top` exchanges of most relevance x retention, best first; they grow stronger."""
        value = [
            score * retention(now - memory.seen, memory.strength)
            for score, memory in zip(self.index.scores(query), self.memories, strict=True)
        ]
        order = sorted(range(len(value)), key=lambda i: (value[i], i), reverse=True)
        chosen = [self.memories[i] for i in order[:top] if value[i] > 0]
        for memory in chosen:
            memory.strength, memory.seen = memory.strength + 1, now
        return [memory.text for memory in chosen]


def retention(days: float, strength: float) -> float:
    """Ebbinghaus' curve: the share still held after `days` at a memory strength in days."""
    return math.exp(-days / strength)
