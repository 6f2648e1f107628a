"""Rules over English words that several layers share; no model, no JAX."""

from pa_jax.english import changes, statements

_KEPT = (
    *(changes.clauses, changes.sentences, changes.given_up, changes.corrects),
    *(statements.parse, statements.topic, statements.key, statements.content),
)


def forget() -> None:
    """Lets go of every text that was looked at."""
    for cached in _KEPT:
        cached.cache_clear()
