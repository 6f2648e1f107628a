"""What functions of texts returned, remembered until the work that asked is done.

A memory that all users share tells by time whether somebody has said a text before, and keeps it
longer than whoever said it. So a server answers each request `apart`; where all texts are one
person's own, as in training, everything is remembered together until `forget`.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_TOGETHER: list[functools._lru_cache_wrapper] = []
_APART: contextvars.ContextVar[dict | None] = contextvars.ContextVar("apart", default=None)


def remembered(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function of texts: its last `most` results are remembered."""

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        keep = functools.lru_cache(maxsize=most)
        together = keep(function)
        _TOGETHER.append(together)

        @functools.wraps(function)
        def one(*args: P.args, **kwargs: P.kwargs) -> T:
            memory = _APART.get()
            if memory is None:
                return together(*args, **kwargs)  # type: ignore[arg-type]  # texts, all of them
            own = memory.get(function)
            if own is None:
                own = memory[function] = keep(function)
            return own(*args, **kwargs)  # type: ignore[arg-type]  # texts, all of them

        return one

    return decorated


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Inside, nothing is found that was remembered before, and nothing of it is left behind."""
    own: dict = {}
    before = _APART.set(own)
    try:
        yield
    finally:
        _APART.reset(before)
        own.clear()  # a timer that was set inside keeps its context, and with it what is in it


def forget() -> None:
    """Lets go of what is remembered together."""
    for together in _TOGETHER:
        together.cache_clear()


def size() -> int:
    """How many results are remembered together."""
    return sum(together.cache_info().currsize for together in _TOGETHER)
