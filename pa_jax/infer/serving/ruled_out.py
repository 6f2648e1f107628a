"""Texts that a reply must not hold, as the token sequences that are not drawn for it."""

import functools
from collections.abc import Sequence
from typing import Any

TEXTS = 1024  # of a request
SEQUENCES = 4096  # of a row


def sequences(words: Any, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Of each text its own tokens; then, as far as there is room, what else it may begin with.

    A model whose " cor", "iander" is ruled out goes on with "iand" and the rest: so of a text of
    several tokens its first is not followed by a part of what follows in the text either. `words`
    is a tokenizer.Tokenizer. Raises ValueError on more than TEXTS, and on an empty one.
    """
    if len(texts) > TEXTS or not all(texts):
        raise ValueError(f"avoid: {len(texts)} texts; allowed are {TEXTS}, none empty.")
    own, parts = dict[tuple[int, ...], None](), dict[tuple[int, ...], None]()
    for text in texts:
        whole, pieces = _spelled(words, text)
        own[whole] = None
        parts |= dict.fromkeys(pieces)
    return tuple(own | parts)[:SEQUENCES]


@functools.lru_cache(4096)
def _spelled(words: Any, text: str) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    first, *rest = words.encode(text)
    behind = words.decode(rest)
    starts = (words.encode(behind[:size]) for size in range(2, len(behind)))
    return (first, *rest), tuple((first, one[0]) for one in starts if len(one) == 1)
