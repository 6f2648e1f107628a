"""The topics by which people speak of their profile: "my music", "the fitness stuff", "our pets".

A topic is a group of slots, and where a statement was filed under none, the verbs that tell it
("reads Ian Rankin" is about books). What is no topic here is looked for among the names of slots
and categories (forget.py).
"""

import dataclasses
import re

from pa_jax.english import person, statements, words
from pa_jax.profile import facts


@dataclasses.dataclass(frozen=True)
class Topic:
    """What people call it, the slots it covers (a regular expression over paths), and its verbs."""

    called: frozenset[str]
    slots: re.Pattern
    verbs: frozenset[str]


def _topic(called: str, slots: str, verbs: str = "") -> Topic:
    stems = (frozenset(map(words.stem, text.split())) for text in (called, verbs))
    named, told = stems
    return Topic(named, re.compile(rf"(?:{slots})$"), told)


_GARMENTS = (
    r"style/(?:clothing_\w+|fabric|fit|dress_modesty|footwear|accessories|bags|pattern|outerwear"
    r"|workwear|formal_occasions|loungewear|brands|shopping_channel|fashion_ethics)"
)
_MONEY = (
    r"work/(?:saving_style|investing|risk_appetite|spending_style|debt|banking|insurance"
    r"|donations|taxes|bargains|retirement|purchase_budget)|\w+/\w*budget"
)
_PETS = r"home/(?:pet_\w+|dog_breed|own_pets)"
_SPORT = (
    r"health/(?:exercise\w*|workout\w*|fitness_goal|\w+_sport|activity_tracking|daily_movement)"
)
TOPICS = (
    _topic("music songs bands singing", r"leisure/(?:music_\w+|instrument)", "listen sing"),
    _topic(
        "film films cinema series show shows tv watching viewing",
        r"leisure/(?:film_\w+|series_style|subtitles|content_limits)|technology/tv_service",
        "watch",
    ),
    _topic(
        "book books reading novels literature authors",
        r"leisure/(?:book_\w+|poetry_and_classics|news_reading|authors_and_artists)",
        "read",
    ),
    _topic("game games gaming", r"leisure/(?:game_\w+|board_games|puzzles)", "game"),
    _topic("pet pets animals cat cats dog dogs", _PETS),
    _topic("clothes clothing wardrobe fashion outfits dress", _GARMENTS, "wear dress"),
    _topic("money finances finance savings", _MONEY, "earn invest save"),
    _topic("sport sports fitness exercise training workout", _SPORT, "train exercise"),
    _topic("work job career employment employer", rf"(?!{_MONEY})work/\w+", "work"),
    _topic("food eating diet meals cooking drinks drinking", r"food/\w+", "eat drink cook bake"),
    _topic("travel travelling trips holidays", r"travel/\w+", "travel fly"),
    _topic("health medical illness", rf"(?!{_SPORT})health/\w+|home/pet_allergy|food/allergies"),
    _topic(
        "family relatives", r"people/(?:family_members|elder_care|parenting_style|children_\w+)"
    ),
    _topic("religion faith beliefs", r"people/(?:faith|prayer)|food/religious_rules", "pray"),
    _topic("politics political", r"people/political_engagement", "vote"),
    _topic(
        "home house flat apartment",
        rf"(?!{_PETS})home/\w+",
        "live",
    ),
)


def named(wanted: frozenset[str]) -> list[Topic]:
    """The topics that go by one of the words `wanted`, stems."""
    return [topic for topic in TOPICS if topic.called & wanted]


def covers(topic: Topic, fact: facts.Fact) -> bool:
    """Whether a fact belongs to a topic: by its slot or its verb, to family by of whom it tells."""
    if topic.slots.match(fact.slot):
        return True
    if "family" in topic.called and person.bearer(fact.statement) in _RELATIVES:
        return True
    read = statements.parse(fact.statement)
    return bool({words.stem(read.verb), *read.core[:1]} & topic.verbs) and not read.whose


_STRANGERS = "friend mate buddy colleague coworker boss manager neighbour neighbor roommate".split()
_STRANGERS += "flatmate teacher doctor accountant student dog cat pet".split()
_RELATIVES = frozenset(map(words.stem, person.KIN - set(_STRANGERS)))
