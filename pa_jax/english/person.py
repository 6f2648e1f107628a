"""Grammatical person: who a text speaks of, the user or somebody else."""

import functools
import re

from pa_jax.english import words

KIN = frozenset(
    "mother father mum mom dad parent parents sister brother sibling son daughter boy girl child "
    "children kid kids baby toddler teenager twins wife husband spouse partner girlfriend "
    "boyfriend fiance fiancee friend mate buddy colleague coworker boss manager neighbour neighbor "
    "roommate flatmate aunt uncle cousin niece nephew grandmother grandma grandfather grandpa "
    "grandson granddaughter gran granny nan lad family dog cat pet teacher doctor accountant "
    "student".split()
)

_ADVERB = r"\w+ly|only|never|always|also|much|really|often|still|just"
_NO_VERB = {
    "be": "is",
    "have": "has",
    "am": "is",
    "do": "does",
    "was": "was",
    "try": "tries",
    "go": "goes",
}
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
_OPENING = re.compile(
    rf"(^|(?<=[.;!] ))I(?P<short>'\w+)?\s+(?P<adverbs>((?:{_ADVERB})\s+)*)(?P<verb>[\w'-]+)"
)
_SPEAKS = re.compile(r"\b(I|I'm|I've|I'd|I'll|my|My|me|Me|myself|mine)\b")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”")
_BEARER = re.compile(
    rf"^(?:the|this) user (?:has|had|have) (?:[\w-]+ ){{0,3}}?(?P<kin>{'|'.join(sorted(KIN))})s?\b",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"\b(?:user|user['’]s|I|I['’](?:m|ve|d|ll)|my|me|My|Me)\b")
_KIN = re.compile(
    rf"^(?:(?:the|this) user['’]s|my|our)\s+(?:\w+\s+)??(?P<kin>{'|'.join(sorted(KIN))})\b",
    re.IGNORECASE,
)


def about_user(statement: str) -> bool:
    """Whether a line speaks of the user; a reply to the user does not.

    A line in another language counts: these rules cannot tell.
    """
    return _SUBJECT.search(statement) is not None or not words.is_english(statement)


def whose(statement: str) -> str:
    """Of whom a statement tells: "sister" for "The user's sister likes tea", "" for the user."""
    hit = _KIN.match(statement)
    return hit["kin"].lower() if hit else ""


@functools.lru_cache(maxsize=16384)
def bearer(statement: str) -> str:
    """The stem of whom a statement tells: "daughter" for "The user has a daughter who sings"."""
    hit = _KIN.match(statement) or _BEARER.match(statement)
    return words.stem(hit["kin"].lower()) if hit else ""


def first_person(text: str) -> float:
    """Share of lines that speak as the user does ("I", "my"), quotations aside."""
    lines = [line for line in text.splitlines() if line.strip()]
    speaking = [bool(_SPEAKS.search(_QUOTED.sub("", line))) for line in lines]
    return sum(speaking) / max(len(lines), 1)


def third_person(text: str) -> str:
    """A first-person statement with the user as its subject; other statements as they are."""
    text = _OPENING.sub(_opened, text.strip().strip('"“”').strip())
    for pattern, other in _OTHERS:
        text = re.sub(pattern, other, text)
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
