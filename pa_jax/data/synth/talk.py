"""Turns written out whole, as people type them, each with its notes (texts/talk/).

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

FILES = ("common", "body", "home", "hard", "abroad")
_CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}(?:@(\d+))?")


@dataclasses.dataclass(frozen=True)
class SpokenTurn:
    """A turn's words, the lines it tells, and those of turns before it that it makes untrue."""

    words: str
    lines: tuple[str, ...]
    retires: tuple[str, ...]


@functools.cache
def templates(language: str, split: str) -> tuple[str, ...]:
    """The turns of a language that a split may use, not yet filled in."""
    lists = (phrases.lists(f"talk/{file}").get(language, ()) for file in FILES)
    return tuple(line for one in lists for line in phrases.part(one, split))


@functools.cache
def languages() -> tuple[str, ...]:
    """The languages of the turns."""
    return tuple(sorted({name for file in FILES for name in phrases.lists(f"talk/{file}")}))


@functools.cache
def lines(split: str) -> frozenset[str]:
    """Everything that turns of a split can tell."""
    told = set()
    for template in (t for name in languages() for t in templates(name, split)):
        sizes = [len(hit[1].split("|")) for hit in _CHOICE.finditer(template) if not hit[2]]
        for picks in itertools.product(*map(range, sizes)):
            told |= {line for turn in made(template, _given(picks)) for line in turn.lines}
    return frozenset(told)


def _given(picks: Sequence[int]) -> Callable[[int], int]:
    left = iter(picks)
    return lambda size: next(left)


def made(template: str, choose: Callable[[int], int]) -> tuple[SpokenTurn, ...]:
    """The turns of a template, one or several in a row; `choose` picks one of so many options."""
    picked = _Picked(choose)
    turns = []
    for part in template.split(" // "):
        text, _, notes = part.partition("=>")
        words = _filled(_CHOICE.sub(picked, text.strip()), picked.said)
        lines = _filled(_CHOICE.sub(picked, notes), picked.noted).split(" / ")
        turns.append(SpokenTurn(words, _statements(lines, ""), _statements(lines, "-")))
    return tuple(turns)


class _Picked:
    """Fills in a choice; `said` and `noted` are what was picked, choice by choice."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._at: list[int] = []
        self.said: list[str] = []
        self.noted: list[str] = []

    def __call__(self, choice: re.Match[str]) -> str:
        options = choice[1].split("|")
        if choice[2]:  # the option that stands where the earlier choice's did
            return options[self._at[int(choice[2]) - 1]]
        self._at.append(self._choose(len(options)))
        word, _, note = options[self._at[-1]].partition("=")
        self.said.append(word)
        self.noted.append(note or word)
        return word


def _filled(text: str, picked: Sequence[str]) -> str:
    for number, word in enumerate(picked, start=1):
        text = text.replace(f"{{{number}}}", word)
    return text


def _statements(lines: Iterable[str], mark: str) -> tuple[str, ...]:
    """Of the notes those that begin with the mark, or with none."""
    noted = (line.strip() for line in lines)
    return tuple(
        f"The user {line.removeprefix('-')}."
        for line in noted
        if line and line.startswith("-") == bool(mark)
    )
