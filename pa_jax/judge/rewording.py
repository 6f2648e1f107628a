"""Preference statements said otherwise: in the third person, in other words, turned round.

For measuring judges only (agreement.py): a judge never calls this.
"""

import functools
import random
import re

from pa_jax.data import synth_truth
from pa_jax.dialogue import snippet
from pa_jax.profile import taxonomy

_ADVERB = r"\w+ly|only|never|always|also|much|really|often|still|just"
_NO_VERB = {"have": "has", "am": "is", "do": "does", "was": "was", "try": "tries", "go": "goes"}
_MODAL = frozenset("can cannot can't will would won't should could must may might was".split())
_OPENINGS = {"i'm": "is", "i've": "has", "i'd": "would", "i'll": "will"}
_OTHERS = (
    (r"\bI'm\b", "they are"),
    (r"\bI've\b", "they have"),
    (r"\bI'd\b", "they would"),
    (r"\bI'll\b", "they will"),
    (r"\bI am\b", "they are"),
    (r"\bI was\b", "they were"),
    (r"\bI\b", "they"),
    (r"\bmy\b", "their"),
    (r"\bMy\b", "Their"),
    (r"\bme\b", "them"),
    (r"\bmyself\b", "themselves"),
    (r"\bmine\b", "theirs"),
)


def third_person(text: str) -> str:
    """A first-person statement with the user as its subject; other statements as they are."""
    text = text.strip().strip('"“”').strip()
    opening = re.compile(
        rf"(^|(?<=[.;!] ))I(?P<short>'\w+)?\s+(?P<adverbs>((?:{_ADVERB})\s+)*)"
        r"(?P<verb>[\w'-]+)"
    )
    text = opening.sub(_opened, text)
    for pattern, words in _OTHERS:
        text = re.sub(pattern, words, text)
    if text.startswith("The user "):
        text = re.sub(r"\b(and|but|so) (prefer|avoid|love|dislike)\b", r"\1 \2s", text)
    return text


def _opened(hit: re.Match) -> str:
    verb, adverbs = hit["verb"], hit["adverbs"]
    if hit["short"]:
        return f"The user {_OPENINGS[('i' + hit['short']).lower()]} {adverbs}{verb}"
    return f"The user {adverbs}{_third(verb)}"


def _third(verb: str) -> str:
    if verb in _NO_VERB:
        return _NO_VERB[verb]
    if verb in _MODAL:
        return verb
    if verb == "don't":
        return "doesn't"
    if re.search(r"(s|sh|ch|x|z)$", verb):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", verb) else verb + "s"


@functools.cache
def _synthetic() -> dict[str, tuple[str, ...]]:
    """Every wording of a synthetic preference, by its gold wording."""
    found = {}
    for slot in taxonomy.Taxonomy.load().subcategories:
        for value in slot.values:
            for polarity in (synth_truth.LIKE, synth_truth.DISLIKE):
                wordings = synth_truth.variants(slot.path, value, polarity)
                found[wordings[0]] = wordings
    return found


def right(gold: str, rng: random.Random) -> str:
    """An honest snippet that means `gold`: other words where they are known, third person."""
    lines = []
    for statement in gold.splitlines():
        others = _synthetic().get(statement, (statement, statement))[1:]
        lines.append(third_person(rng.choice(others)))
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
