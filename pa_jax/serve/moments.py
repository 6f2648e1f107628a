"""Times in addresses."""

import datetime

from pa_jax.serve import errors


def of(param: str, text: str) -> datetime.datetime:
    """The time that a query parameter gives, in UTC; an ApiError where it is none."""
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    raise errors.ApiError(
        400,
        f"{param}={ascii(text[:60])} is no time; write 2026-01-31T12:00:00Z (a + is %2B).",
        code="invalid_value",
        param=param,
    )
