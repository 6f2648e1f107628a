"""Texts that a reply must not hold, as the token sequences that are not drawn for it."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

TEXTS = 1024  # of a request
SEQUENCES = 4096  # of a row
_TELLING = 5  # letters of a beginning that stands for its word


def sequences(words: Any, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Of each text its own tokens; then, as far as there is room, other pairs that begin it.

    A model whose " cori", "ander" is ruled out goes on with " cor", "iand" and the rest, which is
    read as the same word. `words` is a tokenizer.Tokenizer. Raises ValueError on more than TEXTS,
    and on an empty one.
    """
    if len(texts) > TEXTS or not all(texts):
        raise ValueError(f"avoid: {len(texts)} texts; allowed are {TEXTS}, none empty.")
    spelled = [_spelled(words, text) for text in texts]
    own = dict.fromkeys(whole for whole, _ in spelled)
    return tuple(own | dict.fromkeys(pair for _, pairs in spelled for pair in pairs))[:SEQUENCES]


@functools.lru_cache(4096)
def _spelled(words: Any, text: str) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    return tuple(words.encode(text)), tuple(_pairs(words, text))


def _pairs(words: Any, text: str) -> Iterator[tuple[int, ...]]:
    """Two tokens that make the text, or a beginning of it with enough letters."""
    least = len(text) - len(text.lstrip()) + _TELLING
    for middle in range(1, len(text)):
        head = words.encode(text[:middle])
        if len(head) > 1 or not text[:middle].strip():
            continue
        for end in range(middle + 1, len(text) + 1):
            tail = words.encode(text[middle:end])
            if len(tail) == 1 and (end >= least or end == len(text)):
                yield (*head, *tail)
