"""What one process gets for all: what is asked over a network or may vary is asked once."""

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from pa_jax.judge import rubric

T = TypeVar("T")


def texts(ask: Callable[[], list[str | None]]) -> list[str | None]:
    """What `ask` gives on the first process, on every process; where it raises, every one does."""
    if jax.process_count() == 1:
        return ask()
    made = _asked(ask)
    written = np.frombuffer(json.dumps(made).encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(written.size)))
    whole = np.zeros(size, np.uint8) if made is None else written
    return json.loads(np.asarray(multihost_utils.broadcast_one_to_all(whole)).tobytes())


def scored(
    score: Callable[[Sequence[rubric.Group]], rubric.Scores],
    groups: Sequence[rubric.Group],
    count: int,
) -> rubric.Scores:
    """What `score` gives on the first process, `count` numbers a snippet, on every process.

    Where it raises ValueError or OSError there, every process raises.
    """
    if jax.process_count() == 1:
        return score(groups)
    made = _asked(lambda: score(groups))
    shape = len(groups), max((len(group.texts) for group in groups), default=0)
    empty = np.zeros((*shape, count), np.float32), np.zeros(shape, bool)
    values, failed = multihost_utils.broadcast_one_to_all(
        (made.values, made.failed) if made else empty
    )
    return rubric.Scores(np.asarray(values), np.asarray(failed).astype(bool))


def _asked(ask: Callable[[], T]) -> T | None:
    """What `ask` gives on the first process, None on the others; where it raises, all raise."""
    made, stopped = None, None
    if jax.process_index() == 0:
        try:
            made = ask()
        except (ValueError, OSError) as error:
            stopped = error
    if not multihost_utils.broadcast_one_to_all(np.int32(stopped is None)):
        raise stopped or ValueError("process 0 could not ask; its log says why.")
    return made
