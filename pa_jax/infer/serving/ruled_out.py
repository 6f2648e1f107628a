"""Texts that a reply must not hold, as the token sequences that are not drawn for it."""

import bisect
import functools
from collections.abc import Iterator, Sequence
from typing import Any

TEXTS = 1024  # of a request
SEQUENCES = 4096  # of a row
_TELLING = 4  # letters of a beginning that stands for its word
_MOST = 64  # tokens that go on with a word in another way, the shortest


def sequences(words: Any, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Of each text its own tokens; then, as far as there is room, other pairs that begin it.

    A model whose " cor", "ian", "der" is ruled out goes on with " cor", "iandr", "os", or with
    other pieces, which is read as the same word. `words` is a tokenizer.Tokenizer. Raises
    ValueError on more than TEXTS, and on an empty one.
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
    """Two tokens that make the text or a beginning of it with enough letters, or go on behind it.

    The latter only behind the first token that the text has by itself.
    """
    least = len(text) - len(text.lstrip()) + _TELLING
    first, *rest = words.encode(text)
    if rest:
        behind = words.decode(rest)
        begun = behind[: max(2, least - (len(text) - len(behind)))]
        for token in _beginning(words, begun):
            yield first, token
    for middle in range(1, len(text)):
        head = words.encode(text[:middle])
        if len(head) > 1 or not text[:middle].strip():
            continue
        for end in range(middle + 1, len(text) + 1):
            tail = words.encode(text[middle:end])
            if len(tail) == 1 and (end >= least or end == len(text)):
                yield (*head, *tail)


def _beginning(words: Any, text: str) -> list[int]:
    """The tokens that begin so, the shortest ones."""
    known, tokens = _sorted(words)
    start = bisect.bisect_left(known, text)
    end = bisect.bisect_left(known, text + chr(0x10FFFF))
    found = sorted(range(start, end), key=lambda at: (len(known[at]), known[at]))
    return [tokens[at] for at in found[:_MOST]]


@functools.lru_cache(2)
def _sorted(words: Any) -> tuple[list[str], list[int]]:
    """The texts of the vocabulary in order, and their tokens."""
    every = sorted((words.decode([token]), token) for token in range(words.vocab_size))
    return [text for text, _ in every], [token for _, token in every]
