"""Dialogues or episodes from a function of the user's own, by "module:function"."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pa_jax.core import named
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.episodes import Steps
from pa_jax.dialogue import schema, snippet

Item = schema.Dialogue | schema.Episode


def is_own(source: str) -> bool:
    """Whether a data.source is module:function."""
    return ":" in source and not source.startswith("tfds:")


def read(source: str, path: str | os.PathLike, quarantine: quarantine_lib.Quarantine) -> list[Item]:
    """What the function yields for data.path, in order; all dialogues, or all episodes.

    Other things, what breaks the grammar of snippets, and an id that came before are bad items.
    """
    function = named.resolve(source, "data.source")
    found: list[Item] = []
    names: set[str] = set()
    for number, item in enumerate(_yielded(function, source, path)):
        reason = _wrong(item, found, names)
        if reason:
            quarantine.reject(source, number, reason, repr(item))
            continue
        quarantine.accept()
        names.add(item.id)
        found.append(item)
    quarantine.finish(source)
    return found


def _yielded(
    function: Callable[[Any], Iterable[Any]], source: str, path: str | os.PathLike
) -> Iterator[Any]:
    """The items; DataError where the function raises or gives nothing to go through."""
    number = 0
    try:
        for item in function(path):
            yield item
            number += 1
    except Exception as error:  # noqa: BLE001 what another's code raises is not known
        raise quarantine_lib.DataError(
            f"data.source={source!r}: {type(error).__name__} after {number} items: {error}. It is "
            f"called with data.path={str(path)!r} and must yield dialogues or episodes "
            "(pa_jax.dialogue.schema)."
        ) from error


def _wrong(item: Any, found: list[Item], names: set[str]) -> str:
    """Why an item cannot be used, "" where it can."""
    if not isinstance(item, schema.Dialogue | schema.Episode):
        return f"a {type(item).__name__}, not a schema.Dialogue or schema.Episode"
    if found and type(found[0]) is not type(item):
        return f"a {type(item).__name__} after a {type(found[0]).__name__}; give one kind"
    if item.id in names:
        return f"id {item.id!r} came before"
    if isinstance(item, schema.Dialogue):
        try:
            Steps(item)
        except ValueError as error:
            return str(error)
        return ""
    if item.options:
        return "options, which only decisions to ask have: task=ask has requests of its own"
    if item.gold is None:
        return ""
    parsed = snippet.parse(item.gold)
    return parsed.reason if isinstance(parsed, snippet.ParseFailure) else ""
