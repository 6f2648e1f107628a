"""The topics by which people speak of their profile: "my music", "the fitness stuff", "our pets".

A topic is a group of slots, and where a statement was filed under none, the verbs that tell it
("reads Ian Rankin" is about books). What is no topic here is looked for among the names of slots
and categories (forget.py).
"""

import dataclasses
import re
from collections.abc import Iterable

from pa_jax.english import person, statements, words
from pa_jax.profile import facts


@dataclasses.dataclass(frozen=True)
class Topic:
    """What people call it, the slots it covers (a regular expression over paths), and its verbs.

    `people` are those of whom all that is told belongs to it.
    """

    called: frozenset[str]
    slots: re.Pattern
    verbs: frozenset[str]
    people: frozenset[str]


def _topic(called: str, slots: str, verbs: str = "", people: Iterable[str] = ()) -> Topic:
    stems = (frozenset(map(words.stem, text.split())) for text in (called, verbs))
    named, told = stems
    return Topic(named, re.compile(rf"(?:{slots})$"), told, frozenset(map(words.stem, people)))


_GARMENTS = (
    r"style/(?:clothing_\w+|fabric|fit|dress_modesty|footwear|accessories|bags|pattern|outerwear"
    r"|workwear|formal_occasions|loungewear|brands|shopping_channel|fashion_ethics)"
)
_MONEY = (
    r"work/(?:saving_style|investing|risk_appetite|spending_style|debt|banking|insurance"
    r"|donations|taxes|bargains|retirement|purchase_budget)|\w+/\w*budget"
)
_PETS = r"home/(?:pet_\w+|dog_breed|own_pets)"
_STRANGERS = "friend mate buddy colleague coworker boss manager neighbour neighbor roommate".split()
_STRANGERS += "flatmate teacher doctor accountant student dog cat pet".split()
RELATIVES = person.KIN - set(_STRANGERS)
_CHILDREN = "son daughter boy girl child baby toddler teenager twins".split()
_PARTNERS = "wife husband spouse partner girlfriend boyfriend fiance fiancee".split()
_SPORT = (
    r"health/(?:exercise\w*|workout\w*|fitness_goal|\w+_sport|activity_tracking|daily_movement)"
)
TOPICS = (
    _topic("music musical songs bands singing", r"leisure/(?:music_\w+|instrument)", "listen sing"),
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
    _topic("salary income earnings wage wages pay paycheck", r"(?!)", "earn make"),
    _topic("sport sports fitness exercise training workout", _SPORT, "train exercise"),
    _topic(
        "work job career employment employer profession",
        rf"(?!{_MONEY})work/\w+",
        "work",
        ("boss", "manager", "colleague", "coworker"),
    ),
    _topic(
        "food eating diet meals cooking", r"food/\w+|health/weight_approach", "eat drink cook bake"
    ),
    _topic(
        "drinks drinking beverages alcohol", r"food/(?:coffee|tea|alcohol|soft_drinks)", "drink"
    ),
    _topic("travel travelling trips holidays", r"travel/\w+", "travel fly"),
    _topic("medication medications meds medicines drugs pills", r"health/medicines"),
    _topic("allergies allergy", r"food/allergies|health/other_allergies|home/pet_allergy"),
    _topic(
        "health medical illness medicine",
        rf"(?!{_SPORT})health/\w+|home/pet_allergy|food/allergies",
    ),
    _topic(
        "family relatives",
        r"people/(?:family_members|elder_care|parenting_style|children_\w+)",
        people=RELATIVES,
    ),
    _topic(
        "children kids parenting",
        r"people/(?:parenting_style|children_\w+)|learning/childrens_schooling",
        people=_CHILDREN,
    ),
    _topic(
        "relationship relationships love dating romance marriage",
        r"people/(?:relationship_status|dat\w+|affection|wedding_style|privacy_in_relationships)",
        people=_PARTNERS,
    ),
    _topic(
        "friends social socialising",
        r"people/(?:friend_circle|social_energy|community)",
        people=("friend", "mate", "buddy"),
    ),
    _topic("religion faith beliefs", r"people/(?:faith|prayer)|food/religious_rules", "pray"),
    _topic("politics political", r"people/political_engagement", "vote"),
    _topic(
        "languages language", r"people/languages_spoken|learning/(?:target_)?language\w*", "speak"
    ),
    _topic(
        "studies education school university college learning courses", r"learning/\w+", "study"
    ),
    _topic("technology tech gadgets devices computers", r"technology/\w+"),
    _topic("car cars driving vehicles vehicle", r"travel/(?:car_type|driving_style)", "drive"),
    _topic("garden gardening plants", r"home/(?:garden_type|house_plants)", "grow"),
    _topic("sleep sleeping", r"health/sleep_\w+|home/bed_and_bedding", "sleep"),
    _topic("beauty makeup cosmetics", r"style/(?:skin\w+|makeup|beauty_ethics|fragrance|nails)"),
    _topic("hobbies hobby pastimes", r"leisure/\w+"),
    _topic("replies answers responses", r"communication/\w+"),
    _topic(
        "home house flat apartment",
        rf"(?!{_PETS})home/\w+",
        "live",
    ),
)


def named(wanted: frozenset[str], wide: bool) -> list[Topic]:
    """The topics that go by one of the words `wanted`, stems; `wide`: or by a verb of theirs."""
    return [topic for topic in TOPICS if (topic.called | (topic.verbs if wide else set())) & wanted]


def covers(topic: Topic, fact: facts.Fact) -> bool:
    """Whether a fact belongs to a topic: by its slot or its verb, to family by of whom it tells."""
    if topic.slots.match(fact.slot):
        return True
    if person.bearer(fact.statement) in topic.people:
        return True
    read = statements.parse(fact.statement)
    return bool({words.stem(read.verb), *read.core[:1]} & topic.verbs) and not read.whose
