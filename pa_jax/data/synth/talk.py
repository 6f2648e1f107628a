"""Turns written out whole, as people type them, each with its notes (texts/talk.txt).

Sections and scenes put sentences together from parts, so that each says one thing in one way. What
people type does not come apart so: the fact stands beside its reason, in the words of the trade, in
half a sentence, or in the turn after. Those turns are written by hand.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Sequence

from pa_jax.data.synth import phrases

_CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}(?:@(\d+))?")
_CHOSEN = re.compile(r"\{(\d+)\}")


@dataclasses.dataclass(frozen=True)
class Talk:
    """A turn's words, the lines it tells, and those of turns before it that it makes untrue."""

    words: str
    lines: tuple[str, ...]
    retires: tuple[str, ...]


@functools.cache
def templates(language: str, split: str) -> tuple[str, ...]:
    """The turns of a language that a split may use, not yet filled in."""
    return phrases.part(phrases.lists("talk").get(language, ()), split)


@functools.cache
def lines(split: str) -> frozenset[str]:
    """Everything that turns of a split can tell."""
    told = set()
    for template in (t for name in phrases.lists("talk") for t in templates(name, split)):
        sizes = [len(hit[1].split("|")) for hit in _CHOICE.finditer(template) if not hit[2]]
        for picks in itertools.product(*map(range, sizes)):
            told |= {line for turn in made(template, _given(picks)) for line in turn.lines}
    return frozenset(told)


def _given(picks: Sequence[int]) -> Callable[[int], int]:
    left = iter(picks)
    return lambda size: next(left)


def made(template: str, choose: Callable[[int], int]) -> tuple[Talk, ...]:
    """The turns of a template, one or several in a row; `choose` picks one of so many options."""
    said: list[str] = []
    noted: list[str] = []
    picks: list[int] = []

    def pick(choice: re.Match[str]) -> str:
        options = choice[1].split("|")
        if choice[2]:  # the option that stands where the earlier choice's did
            return options[picks[int(choice[2]) - 1]]
        at = choose(len(options))
        word, _, note = options[at].partition("=")
        picks.append(at)
        said.append(word)
        noted.append(note or word)
        return word

    turns = []
    for part in template.split(" // "):
        text, _, notes = part.partition("=>")
        words = _CHOSEN.sub(lambda hit: said[int(hit[1]) - 1], _CHOICE.sub(pick, text.strip()))
        notes = _CHOSEN.sub(lambda hit: noted[int(hit[1]) - 1], _CHOICE.sub(pick, notes))
        lines = [note.strip() for note in notes.split(" / ") if note.strip()]
        turns.append(
            Talk(
                words,
                _statements(line for line in lines if not line.startswith("-")),
                _statements(line[1:] for line in lines if line.startswith("-")),
            )
        )
    return tuple(turns)


def _statements(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"The user {line}." for line in lines)
