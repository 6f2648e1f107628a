"""Scores that one process makes for all: what is asked over a network or may vary is asked once."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils

from pa_jax.judge import rubric


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
    made, stopped = None, None
    if jax.process_index() == 0:
        try:
            made = score(groups)
        except (ValueError, OSError) as error:
            stopped = error
    if not multihost_utils.broadcast_one_to_all(np.int32(stopped is None)):
        raise stopped or ValueError("process 0 could not score; its log says why.")
    shape = len(groups), max((len(group.texts) for group in groups), default=0)
    empty = np.zeros((*shape, count), np.float32), np.zeros(shape, bool)
    values, failed = multihost_utils.broadcast_one_to_all(
        (made.values, made.failed) if made else empty
    )
    return rubric.Scores(np.asarray(values), np.asarray(failed).astype(bool))
