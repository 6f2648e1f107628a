"""Judges of preference snippets."""

from pa_jax.judge.judge import NO_WEIGHTS, Judge
from pa_jax.judge.rubric import CRITERIA, Group, Scores

__all__ = ["CRITERIA", "NO_WEIGHTS", "Group", "Judge", "Scores"]
