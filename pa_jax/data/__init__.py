"""Dialogues in, episodes and batches of prompts out."""

from pa_jax.data.episodes import decompose

__all__ = ["decompose"]
