"""What a judge is: one method."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pa_jax.judge import rubric


@runtime_checkable
class Judging(Protocol):
    """Scores whole groups of snippets; a class with this method alone is a judge.

    `--config.judge.kind=module:Class` makes it without arguments, once, and gives it all groups of
    a step together.
    """

    def score(self, groups: Sequence[rubric.Group]) -> rubric.Scores:
        """The four criteria of every snippet, in [0, 1], in the order of groups and texts.

        A group's `texts` are what was written about its `episode`. What no verdict can be given on
        is a failure, which takes no part in training: nan in what `rubric.gathered` is given.
        """
        ...
