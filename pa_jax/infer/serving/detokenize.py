"""Text of a growing list of ids, piece by piece: what was given out never changes."""

from collections.abc import Sequence
from typing import Any

from pa_jax.dialogue import thought

UNFINISHED = "\ufffd"  # what decoders write for bytes that are no character, or not yet


class Detokenizer:
    """Decodes as ids come; holds back half characters and what may begin a stop string.

    Thoughts are no text: what stands before `</think>` is left out.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        """`tokenizer` None gives no text. Raises ValueError on stop strings that cannot be."""
        if isinstance(stop, str) or "" in stop or (stop and tokenizer is None):
            raise ValueError(
                f"stop={stop!r}: allowed is a list of strings that are not empty, and only with a "
                "model that has a tokenizer; leave out the rest."
            )
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._ends = frozenset(tokenizer.eos_ids) if tokenizer is not None else frozenset()
        self._ids: list[int] = []
        self._sent = 0

    def add(self, ids: Sequence[int], *, last: bool) -> tuple[str, int | None]:
        """The text that is certain with these ids, and how many of them made a stop string.

        None: none did. The text ends before the stop string, and nothing may be added after one.
        `last` says that no more will come: what was held back is given out.
        """
        if self._tokenizer is None:
            return "", None
        sure, start = self._certain(ids, last=last)
        if self._stop_at(sure, start) is not None:  # the fewest ids decide, however they came
            return self._stopped(ids, start, last=last)
        self._ids += ids
        end = len(sure) if last else len(sure) - self._held(sure, start)
        return self._out(sure, start, end), None

    def _certain(self, ids: Sequence[int], *, last: bool) -> tuple[str, int]:
        """The text with these ids, and where in it begins what was not given out."""
        known = [i for i in (*self._ids, *ids) if i not in self._ends]
        text = self._tokenizer.decode(known)
        text = text if last else text.rstrip(UNFINISHED)
        return text, max(self._sent, thought.begins(text, last=last))

    def _out(self, text: str, start: int, end: int) -> str:
        if end > start:
            self._sent = end
        return text[start:end]

    def _stopped(self, ids: Sequence[int], start: int, *, last: bool) -> tuple[str, int]:
        """Of what `start` begins; with fewer ids a thought might still have come before it."""
        for count in range(len(ids) + 1):
            sure, _ = self._certain(ids[:count], last=last and count == len(ids))
            at = self._stop_at(sure, start)
            if at is not None:
                break
        self._ids += ids[:count]
        assert at is not None  # a stop string is in all of the ids
        return self._out(sure, start, at), count

    def _stop_at(self, text: str, start: int) -> int | None:
        found = [text.find(stop, start) for stop in self._stop]
        return min((at for at in found if at >= 0), default=None)

    def _held(self, text: str, start: int) -> int:
        """Characters at the end that a stop string may begin with."""
        longest = max(map(len, self._stop), default=1) - 1
        for count in range(min(longest, len(text) - start), 0, -1):
            if any(stop.startswith(text[-count:]) for stop in self._stop):
                return count
        return 0
