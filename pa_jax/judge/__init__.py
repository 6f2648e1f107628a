"""Judges of preference snippets."""

from pa_jax.judge.judge import Judge
from pa_jax.judge.rubric import CRITERIA, Group, Scores

__all__ = ["CRITERIA", "Group", "Judge", "Scores"]
