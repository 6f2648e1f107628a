"""How a user writes: curt to rambling, with typos or without."""

import random
import re
from collections.abc import Mapping

from pa_jax.data.synth import phrases, truth

MAX_WORDS = 80
# how many users write so, in percent
REGISTERS = {"curt": 32, "plain": 38, "chatty": 18, "rambling": 12}
_LOWERCASE = 0.35  # of curt users: no capitals at all
_MISTYPING = 0.2  # of users, in every third message
_MISTYPED = 0.33
_ASKS = {"curt": 0.08, "plain": 0.22, "chatty": 0.22, "rambling": 0.3}
_OPENERS = {"chatty": 0.25, "rambling": 0.5}
_TAILS = {"chatty": 0.2, "rambling": 0.4}
_LONG = {"plain": 0.06, "chatty": 0.25, "rambling": 0.4}

# begins with a capital wherever it stands
_STAYS = re.compile(r"(?:I|Monday|Sundays?|Ramadan)\b|\{(?![VWS]\}|Other\})")
_WORD = re.compile(r"(?<![\w{\[/'])[a-z]{5,}(?![\w}\]/'])")
_AREAS = ("food", "travel", "health", "home", "work")


def decapitalised(template: str) -> str:
    """The template as it reads within a sentence."""
    if _STAYS.match(template):
        return template
    if template.startswith("{"):
        return "{" + template[1].lower() + template[2:]
    return template[:1].lower() + template[1:]


class Writer:
    """One user's way to write; `rng` is that user's."""

    def __init__(self, rng: random.Random, split: str) -> None:
        self.rng, self.split = rng, split
        self.register = rng.choices(tuple(REGISTERS), tuple(REGISTERS.values()))[0]
        self.lowercase = self.register == "curt" and rng.random() < _LOWERCASE
        self.mistypes = rng.random() < _MISTYPING

    def sentence(self, template: str, words: Mapping[str, str], *, plural: bool = False) -> str:
        """The template filled in; a typo is of its own words, never of what is filled in."""
        if self.mistypes and self.rng.random() < _MISTYPED:
            template = self._mistyped(template)
        return phrases.fill(template, words, plural=plural)

    def message(self, text: str, words: Mapping[str, str], *, area: str, plain: bool) -> str:
        """What is written around a message; nothing of it says anything of the user.

        `area` is a category of the taxonomy, of which a request may follow; a plain message gets
        none, nor an end.
        """
        if long := self.long(text, words):
            return long
        asks = "" if plain else self._some(_ASKS, f"asks {area if area in _AREAS else 'other'}")
        opener = self._some(_OPENERS, f"openers {self.register}")
        tail = "" if plain or asks else self._some(_TAILS, f"tails {self.register}")
        parts = [opener.format_map(words), text, (asks or tail).format_map(words)]
        whole = " ".join(part for part in parts if part)
        if len(whole.split()) > MAX_WORDS:
            whole = text
        if self.lowercase:
            whole = whole.lower()
        if self.register == "curt" and whole.endswith(".") and not asks:
            whole = whole[:-1]
        return whole

    def long(self, text: str, words: Mapping[str, str]) -> str:
        """A message about something of the moment with the text in it; "" where none is written."""
        if self.rng.random() >= _LONG.get(self.register, 0.0):
            return ""
        passages = phrases.part(phrases.lists("long")["passages"], self.split)
        before, _, after = self.rng.choice(passages).format_map(words).partition(" // ")
        goes_on = text.startswith(("I ", "I'"))  # behind a comma
        joints = phrases.lists("long")["joints"]
        joint = self.rng.choice([line for line in joints if goes_on or not line.endswith(",")])
        said = f"{joint.strip('-')} {text}{'' if text[-1:] in '.?!' else '.'}" if text else ""
        whole = " ".join(f"{before} {said} {after}".split())
        return whole if len(whole.split()) <= MAX_WORDS else ""

    def _some(self, shares: Mapping[str, float], name: str) -> str:
        """A line of a list, as often as the register has one."""
        if self.rng.random() >= shares.get(self.register, 0.0):
            return ""
        return self.rng.choice(phrases.lists("replies")[name])

    def _mistyped(self, template: str) -> str:
        hits = list(_WORD.finditer(template))
        if not hits:
            return template
        hit = self.rng.choice(hits)
        at = self.rng.randrange(hit.start() + 1, hit.end() - 2)
        kind = self.rng.randrange(3)
        swapped = template[at + 1] + template[at]
        typed = (swapped, template[at], template[at] * 2 + template[at + 1])[kind]
        return template[:at] + typed + template[at + 2 :]


def words_of(value: phrases.Value, scope: str = "") -> dict[str, str]:
    """The fillers of a value and its situation."""
    bare = re.sub(r"^(?:an?|the) ", "", value.said)
    return {
        "v": value.said,
        "V": truth.capital(value.said),
        "bare": bare,
        "the": f"the {bare}" if re.match(r"an? ", value.said) else value.said,
        "s": scope,
        "S": truth.capital(scope),
    }
