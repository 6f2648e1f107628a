"""What a reply must not name, for the profile rules it out: an allergy, a diet, a dislike.

A small model reads "is allergic to peanuts" and suggests peanut butter, whatever its prompt says
(docs/results/agent.md). So the words are not drawn at all. What the message asks for may be named,
and what the profile likes. English; what is in none of the lists is left to the model.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator

from pa_jax.agent.inference import draft
from pa_jax.english import changes, foods, lists, person, roundabout, statements, words
from pa_jax.infer.serving import ruled_out
from pa_jax.profile import facts

_FREE = re.compile(r"\b(\w{3,})[- ]free\b", re.IGNORECASE)  # "needs gluten-free food"
_NO = re.compile(
    r"^\W*(?:please,? )?(?:no|nothing with|without) (?P<what>(?:\w+ ){0,2}\w+)\W*$", re.IGNORECASE
)
_MEAL = re.compile(  # a message that is about what somebody will eat or drink
    r"\b(?:cook|eat|bake|grill|order|drinks?|snacks?|meals?|dish(?:es)?|food|recipes?|menu|breakfast"
    r"|brunch|lunch|dinner|supper|desserts?|starters?|restaurants?|picnic|barbecue)\b",
    re.IGNORECASE,
)
_BUT = re.compile(
    r"\bbut\b|;|(?:,? (?:and|so|because)|\b(?:says|said|told me)(?: that)?)"
    r" (?=(?:i|we|my|he|she)\b)",
    re.IGNORECASE,
)
_SOME = re.compile(r"\b(?:enough|much|many|too|before|after|often)\b", re.IGNORECASE)
_MOST = 4  # content words of a statement that rules out all of them
_GENERIC = frozenset(
    "food meal dish thing something anything everything lot kind sort smell taste sound sight "
    "look music film movie book game song show series novel author artist place people "
    "person day time morning evening night work home way type style product brand item "
    "stuff all any new old long short small big late early cold hot warm red blue green black "
    "white mild severe slight strong loud quiet much enough month year week hour answer reply "
    "but while until thank thanks problem".split()
)
_WHO = person.KIN - {"cat", "dog", "pet", "horse"}  # who has an allergy, not what to
_OPEN = frozenset((statements.LIKE, statements.HABIT))


def words_of(profile: Iterable[facts.Fact], message: str) -> tuple[str, ...]:
    """The words, in the singular, safety first; none that the message asks for.

    Nor any that is liked, but for safety: that somebody likes peanuts ends no allergy to them.

    What the message itself rules out ("no peanuts, please") counts as the profile does; of what it
    only dislikes that is so where it is about a meal, for else that is what it is about.
    """
    profile = [fact for fact in profile if fact.category != facts.MANNER]
    meal = _MEAL.search(message) is not None
    clauses = {
        clause: tuple(_ruled_out(clause, dislikes=meal, eaten=meal)) for clause in _clauses(message)
    }
    asked = {stem for clause, out in clauses.items() if not out for stem in words.content(clause)}
    free = set(asked)
    for fact in profile:
        read = statements.parse(fact.statement)
        liked = read.kind in _OPEN and not read.against and not read.past
        if liked and not _FREE.search(fact.statement):
            free |= read.named
    safety, others = (
        [f for f in profile if facts.is_safety(f) == harms] for harms in (True, False)
    )
    strict = itertools.chain(*clauses.values(), *map(_of_fact, safety))
    other = itertools.chain.from_iterable(map(_of_fact, others))
    named = itertools.chain(_but_for(asked, strict), _but_for(free, other))
    return tuple(dict.fromkeys(named))


def _but_for(free: set[str], groups: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The words of the groups without those that are free; none of a group whose name is."""
    for group in groups:
        if words.stem(group[0]) not in free:
            yield from (word for word in group if words.stem(word) not in free)


def _clauses(message: str) -> Iterator[str]:
    """The parts of a message that rule something out, or ask, each by itself."""
    for sentence in changes.sentences(words.clean(message, draft.MAX_HEARD)):
        for part in _BUT.split(sentence):
            yield from part.split(",") if "?" in part else [part]


def _of_fact(fact: facts.Fact) -> Iterator[tuple[str, ...]]:
    return _ruled_out(fact.statement, dislikes=True, eaten=fact.category == "food")


def _ruled_out(statement: str, *, dislikes: bool, eaten: bool) -> Iterator[tuple[str, ...]]:
    """Groups of words, each by what the statement itself names.

    Without `dislikes` only what cannot be had, eaten or drunk. What somebody reacts to is ruled out
    where it is `eaten`: a reply may speak of screens to who gets migraines from them.
    """
    if "?" in statement:
        return
    parts = lists.parts(statement)
    if len(parts) > 1:
        for part in parts:
            yield from _ruled_out(part, dislikes=dislikes, eaten=eaten)
        return
    bare = _NO.match(statement)
    for word in words.tokens(bare["what"]) if bare else _FREE.findall(statement):
        if _tells(_singular(word)):
            yield foods.below(_singular(word))
    read = statements.parse(statement)
    if read.past or read.passing:
        return
    said = [_singular(word) for word in words.tokens(statement)]
    for before, word in itertools.pairwise(["", *said]):
        if before not in ("not", "longer", "never", "no"):
            yield from foods.ruled_out(word)
    ill = read.kind == statements.ALLERGY and (eaten or not roundabout.reacts(statement))
    against = read.against != ill  # of an allergy: that there is none
    had = read.kind == statements.HABIT or (read.barred and read.kind == statements.HAVE)
    own = not read.whose and (had or (dislikes and (read.kind == statements.LIKE or read.barred)))
    if not ill and _SOME.search(statement):  # it is had, only not so
        return
    about = [word for word in said if words.stem(word) in read.named and _tells(word)]
    if against and (ill or own) and len(about) <= _MOST:
        for word in about:
            yield foods.below(word)


def _tells(word: str) -> bool:
    return len(word) > 2 and not any(word in of for of in (_GENERIC, _WHO, words.ASKING))


def _singular(word: str) -> str:
    word = word.removesuffix("'s")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "atoes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def texts(named: Iterable[str]) -> tuple[str, ...]:
    """How the words are written in a text: in both numbers, at the beginning of a line too."""
    return tuple(text for word in named for text in _texts(word))[: ruled_out.TEXTS]


@functools.lru_cache(256)
def _texts(word: str) -> tuple[str, ...]:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        plural = word[:-1] + "ies"
    else:
        plural = word + ("es" if word.endswith(("ch", "sh", "x", "s", "o")) else "s")
    forms = dict.fromkeys((word, plural, f"{word}s"))
    both = (form for one in forms for form in (one, one.capitalize()))
    return tuple(before + form for form in both for before in (" ", ""))
