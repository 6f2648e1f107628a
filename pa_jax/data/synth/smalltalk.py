"""Messages that say nothing of the user worth remembering, and the fillers of all templates."""

import functools
import random
from collections.abc import Mapping

from pa_jax.data.synth import phrases, truth

# how often each kind comes
QUOTED = "quoted"  # another's words, or an example's: what they tell is not of the user
KINDS = {
    "requests": 26,
    "pasted": 40,
    "small talk": 18,
    "others": 16,
    "hypothetical": 8,
    "past": 6,
    QUOTED: 6,
}
_REPLIES = {"small talk": "chat"}
# fillers that are values of sections
_THINGS = {"x": "dislikes_food", "thing": "dislikes", "allergen": "allergic", "joy": "likes"}


def words(rng: random.Random, split: str) -> dict[str, str]:
    """A draw of every filler."""
    fill = {name: rng.choice(choices) for name, choices in phrases.fillers().items()}
    cities = [city for city in phrases.fillers()["city"] if city != fill["city"]]
    fill["city2"] = rng.choice(cities)
    fill["other"] = fill["other"].format_map(fill)
    fill["Other"] = truth.capital(fill["other"])
    fill |= {name: rng.choice(choices) for name, choices in _things(split).items()}
    numbers = {"n": (3, 60), "m": (61, 980), "year": (1750, 1995)}
    return fill | {name: str(rng.randint(*ends)) for name, ends in numbers.items()}


def kind(rng: random.Random, language: str) -> str:
    """A kind of message, of those that a language has."""
    if language != phrases.ENGLISH:
        return "small talk"
    return rng.choices(tuple(KINDS), tuple(KINDS.values()))[0]


def templates(kind: str, language: str, split: str) -> tuple[str, ...]:
    """The messages of a kind that a split may use."""
    return phrases.part(phrases.nothing(language)[kind], split)


def reply(rng: random.Random, kind: str) -> str:
    """What the assistant says to a message of a kind."""
    return rng.choice(phrases.lists("replies")[_REPLIES.get(kind, "answers")])


@functools.cache
def _things(split: str) -> Mapping[str, tuple[str, ...]]:
    found = {}
    for name, section in _THINGS.items():
        values = truth.section_values(section, split) or phrases.sections()[section].values
        found[name] = tuple(v.said for v in values if not v.plural or name == "thing")
    return found
