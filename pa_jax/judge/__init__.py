"""Judges of preference snippets."""

from pa_jax.judge.judge import Judge, reads_a_model, require_kind
from pa_jax.judge.protocol import Judging
from pa_jax.judge.rubric import CRITERIA, Group, Scores, gathered

__all__ = [
    "CRITERIA",
    "Group",
    "Judge",
    "Judging",
    "Scores",
    "gathered",
    "reads_a_model",
    "require_kind",
]
