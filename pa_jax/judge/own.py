"""Judges and reward functions of the user's own, by "module:name"; what they give is checked.

Where such code raises, or gives what is no score, the group it was given has no verdict: that is
named and counted, and the run goes on. More than MAX_FAILED of a step's groups end it.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from pa_jax.core import named
from pa_jax.core.typing import Float
from pa_jax.judge import first, protocol, rubric

MAX_FAILED = 0.2  # share of a step's groups; one may fail whatever their number


class TooManyFailed(ValueError):
    """Own code gave no score for too many groups of a step."""


class BadScores(ValueError):
    """What own code gave is no score for each text."""


class Failures:
    """Groups without a verdict: the first are named in the log, too many in a step end the run."""

    def __init__(self, what: str) -> None:
        """`what` names the code in messages."""
        self.what, self.total, self._taken = what, 0, 0
        self._last = ""

    def add(self, group: rubric.Group, error: Exception) -> None:
        """Counts a group and says why it failed."""
        self.total += 1
        self._last = f"{group.episode.id}: {told(error)}"
        if self.total & (self.total - 1) == 0:  # 1, 2, 4, 8, ...
            logging.warning("%s: no score for %s (%d so far)", self.what, self._last, self.total)

    def check(self, failed: int, groups: int) -> None:
        """Raises TooManyFailed where `failed` of a step's `groups` are too many."""
        if failed and (failed == groups or failed > max(1, MAX_FAILED * groups)):
            raise TooManyFailed(
                f"{self.what}: no score for {failed} of {groups} groups in a step, at most "
                f"{MAX_FAILED:.0%} (or one) may fail. The last: {self._last}. Mend it and start "
                "again with the same --workdir to go on."
            )

    def taken(self) -> int:
        """How many failed since the last call."""
        new, self._taken = self.total - self._taken, self.total
        return new


class Reward:
    """A function of a whole group that gives named scores, in a judge's place.

    function(group) -> {name: [one number a text of the group]}, for each of `names`.
    """

    on_devices = False  # as judge.Judge

    def __init__(self, text: str, names: Sequence[str]) -> None:
        """`text` is reward.function, `names` reward.names."""
        self.names = tuple(names)
        self._function = named.resolve(text, "reward.function")
        self._failures = Failures(f"reward.function={text!r}")

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores [n, g, k] in the order of `names`; the first process asks for all."""
        return first.scored(self._score, groups, len(self.names))

    def figures(self) -> dict[str, float]:
        """How many groups failed since the last call."""
        return {"judge/failed_groups": float(self._failures.taken())}

    def close(self) -> None:
        """Nothing is held."""

    def _score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        rows, failed = [], 0
        for group in groups:
            try:
                row = by_name(self._function(group), self.names, len(group.texts))
            except Exception as error:  # noqa: BLE001 what another's code raises is not known
                self._failures.add(group, error)
                row, failed = np.full((len(group.texts), len(self.names)), np.nan), failed + 1
            rows.append(row)
        self._failures.check(failed, len(groups))
        return rubric.gathered(rows, len(self.names))


class Own:
    """A judge class by its name, made without arguments."""

    def __init__(self, text: str) -> None:
        """`text` is judge.kind."""
        self._judge = make(text)
        self._failures = Failures(f"judge.kind={text!r}")

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """Scores [n, g, 4]; the first process asks the judge for all.

        Where it cannot score the groups together, each is tried alone.
        """
        return first.scored(self._score, groups, len(rubric.CRITERIA))

    def figures(self) -> dict[str, float]:
        """How many groups failed since the last call."""
        return {"judge/failed_groups": float(self._failures.taken())}

    def _score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        try:
            return checked(self._judge.score(groups), groups)
        except Exception as error:  # noqa: BLE001 what another's code raises is not known
            together = error
        rows, failed = [], 0
        for group in groups:
            try:
                if len(groups) == 1:
                    raise together
                scores = checked(self._judge.score([group]), [group])
                row = np.where(scores.failed[0, :, None], np.nan, scores.values[0])
            except Exception as error:  # noqa: BLE001 as above
                self._failures.add(group, error)
                row, failed = np.full((len(group.texts), len(rubric.CRITERIA)), np.nan), failed + 1
            rows.append(row)
        self._failures.check(failed, len(groups))
        return rubric.gathered(rows)


def find(text: str) -> Callable[[], Any]:
    """The class, or a function that makes a judge, of a judge.kind; ValueError where it is none."""
    found = named.resolve(text, "judge.kind")
    if isinstance(found, type) and not issubclass(found, protocol.Judging):
        raise ValueError(_no_judge(text, found.__name__))
    return found


def make(text: str) -> protocol.Judging:
    """The judge that judge.kind names; ValueError where it is none."""
    judge = find(text)()
    if not isinstance(judge, protocol.Judging):
        raise ValueError(_no_judge(text, type(judge).__name__))
    return judge


def _no_judge(text: str, what: str) -> str:
    return (
        f"judge.kind={text!r}: {what} has no `score`; give a class with score(groups) -> "
        "pa_jax.judge.Scores (pa_jax.judge.Judging)."
    )


def by_name(given: Any, names: Sequence[str], count: int) -> Float[np.ndarray, "g k"]:
    """A function's scores as columns in the order of `names`; BadScores where they are none."""
    if not isinstance(given, Mapping) or set(given) != set(names):
        got = list(given) if isinstance(given, Mapping) else type(given).__name__
        raise BadScores(f"gave {got}; wanted is a dict of {list(names)} (reward.names)")
    columns = []
    for name in names:
        column = np.asarray(given[name], np.float64)
        if column.shape != (count,):
            raise BadScores(
                f"{name!r} has shape {column.shape}; wanted is ({count},), a number for each text"
            )
        if not np.isfinite(column).all():
            bad = int(np.argmin(np.isfinite(column)))
            raise BadScores(f"{name!r} is {column[bad]} for text {bad}; wanted are finite numbers")
        columns.append(column)
    return np.stack(columns, axis=-1)


def checked(scores: Any, groups: Sequence[rubric.Group]) -> rubric.Scores:
    """A judge's scores; BadScores where they are not one for each snippet and criterion."""
    if not isinstance(scores, rubric.Scores):
        raise BadScores(f"gave a {type(scores).__name__}; wanted is a pa_jax.judge.Scores")
    shape = len(groups), max(len(group.texts) for group in groups)
    values, failed = np.asarray(scores.values, np.float32), np.asarray(scores.failed, bool)
    if (values.shape, failed.shape) != ((*shape, len(rubric.CRITERIA)), shape):
        raise BadScores(
            f"values and failed have shapes {values.shape} and {failed.shape}; wanted are "
            f"{(*shape, len(rubric.CRITERIA))} and {shape}"
        )
    if not np.isfinite(values[~failed]).all():
        raise BadScores("a score is not finite and not marked as failed")
    return rubric.Scores(np.where(failed[..., None], np.float32(0), values), failed)


def told(error: Exception) -> str:
    """What was raised, and the line of the user's file that raised it."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, BadScores):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{said} ({frame.filename}:{frame.lineno})"
