"""What is known of a user: facts, how they change, and `ProfileStore`, which keeps them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pa_jax.profile.store import ProfileStore

__all__ = ["ProfileStore"]


def __getattr__(name: str) -> Any:
    """ProfileStore, imported when it is asked for: who only reads statements needs no database."""
    if name != "ProfileStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pa_jax.profile.store import ProfileStore

    return ProfileStore
