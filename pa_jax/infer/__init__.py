"""Everything done with a frozen model: the forest, and what scores and samples on it."""

from pa_jax.infer.sampler import Completions, Sampler

Engine = Sampler  # the name that scripts and notebooks outside use (DESIGN section 5)

__all__ = ["Completions", "Engine", "Sampler"]
