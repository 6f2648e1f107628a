"""Preference statements said otherwise: in the third person, in other words, turned round.

For measuring judges only (agreement.py): a judge never calls this.
"""

import functools
import random
import re

from pa_jax.data.synth import truth
from pa_jax.dialogue import snippet
from pa_jax.english import person
from pa_jax.profile import taxonomy


@functools.cache
def _synthetic() -> dict[str, tuple[str, ...]]:
    """Every wording of a synthetic preference, by its gold wording."""
    found: dict[str, tuple[str, ...]] = {}
    for slot in taxonomy.Taxonomy.load().subcategories:
        for value in slot.values:
            for polarity in (truth.LIKE, truth.DISLIKE):
                wordings = truth.variants(slot.path, value, polarity)
                found |= dict.fromkeys(truth.golds(slot.path, value, polarity), wordings)
    return found


def right(gold: str, rng: random.Random) -> str:
    """An honest snippet that means `gold`: other words where they are known, third person."""
    lines = []
    for statement in gold.splitlines():
        same = re.sub(r"^The user\b", "This user", statement)
        others = _synthetic().get(statement, (statement, same))[1:]
        lines.append(person.third_person(rng.choice(others)))
    return "\n".join(lines)


def half(text: str) -> str:
    """The first of two statements, or the first half of a single one's words."""
    lines = text.splitlines()
    if len(lines) > 1:
        return "\n".join(lines[: len(lines) // 2])
    words = text.split()
    return " ".join(words[: max(3, len(words) // 2)])


def statements(text: str) -> tuple[str, ...]:
    """The statements of a snippet; a text that is none has one, itself."""
    parsed = snippet.parse(text)
    return parsed.statements if isinstance(parsed, snippet.Snippet) else (text,)
