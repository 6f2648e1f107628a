"""Sampling and scoring on trees."""

from pa_jax.infer.engine import Completions, Engine

__all__ = ["Completions", "Engine"]
