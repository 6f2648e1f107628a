"""What the words of a statement say: whether two state the same, and what changed.

English only; a statement in another language is compared as a whole.
"""

import functools
import re
import unicodedata

MAX_LABEL_CHARS = 60
UNNAMED = "unnamed"

_LIKE = "+"
_DISLIKE = "-"
_EDGES = ".,;:!?\"'()[]{}“”‘’…"
_FILLERS = frozenset(
    "the a an user user's is are am was were be been being do does did "
    "to of that really very just would will i my".split()
)
_LIKES = frozenset("like likes love loves prefer prefers enjoy enjoys want wants".split())
_DISLIKES = frozenset(
    "dislike dislikes hate hates avoid avoids detest detests despise despises".split()
)
_NEGATIONS = frozenset("not no never cannot longer anymore without".split())
_SHORT_NEGATION = re.compile(r"n['’]t$")

_ENDED = re.compile(r"^(?:the user|i) (?:used to|formerly) (?P<rest>.+)$", re.IGNORECASE)
_CHANGE = re.compile(
    r"\b(?:from (?:now|here|today|this \w+) on|starting (?:today|now)|used to|no longer"
    r"|any ?more|any longer|instead|these days|for good|switched (?:to|over)|gone over to"
    r"|come (?:round|around) to|changed my mind|(?:have|has|'ve) (?:changed|shifted)"
    r"|(?:gave|given) up|took up|dropped|quit|stopped|done with|out of date|scratch (?:that|what)"
    r"|(?:was|were) wrong about|not going back|correct your notes)\b",
    re.IGNORECASE,
)
_ALSO = re.compile(r"\b(?:also|as well|in addition|on top of that)\b", re.IGNORECASE)


def clean(text: str, limit: int) -> str:
    """The text on one line, without control characters, cut at `limit` characters.

    Databases refuse NUL and half a surrogate pair: neither is left.
    """
    head = text[: 4 * limit]  # a megabyte is not looked at for a line
    if not head.isprintable():
        head = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in head)
    flat = " ".join(head.split())
    return flat if len(flat) <= limit else flat[: limit - 3].rstrip() + "..."


def label(text: str) -> str:
    """A proposed label in its one spelling: "Board-Games " and "board games" are board_games."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
    return "_".join(words)[:MAX_LABEL_CHARS].rstrip("_") or UNNAMED


@functools.lru_cache(maxsize=4096)
def key(statement: str) -> str:
    """Equal for statements that differ in case, articles, plurals and verbs of liking only."""
    return " ".join(_words(statement)) or statement.casefold()


@functools.lru_cache(maxsize=4096)
def topic(statement: str) -> str:
    """`key` without what turns it round: "likes tea", "hates tea", "no tea" share "tea"."""
    turns = _NEGATIONS | {_LIKE, _DISLIKE}
    words = [word for word in _words(statement) if word not in turns]
    return " ".join(words) or key(statement)


def forget() -> None:
    """Lets go of every statement that was looked at."""
    key.cache_clear()
    topic.cache_clear()


def negated(statement: str) -> bool:
    """Whether the words reject their topic: "dislikes", "does not like", "likes no"."""
    words = _words(statement)
    turns = sum(word in _NEGATIONS or word == _DISLIKE for word in words)
    if {"no", "longer"} <= set(words) or {"not", "anymore"} <= set(words):
        turns -= 1  # two words, one negation
    return turns % 2 == 1


def ended(statement: str) -> str | None:
    """What "The user used to ..." says is over, as a statement; None for any other."""
    found = _ENDED.match(statement.strip())
    return f"The user {found['rest']}" if found else None


def announces_change(quote: str) -> bool:
    """Whether the user's words say that something changed: "from now on", "no longer"."""
    return _CHANGE.search(quote) is not None


def adds(quote: str) -> bool:
    """Whether the user's words put something beside what was known: "I also like ..."."""
    return _ALSO.search(quote) is not None


def _words(statement: str) -> list[str]:
    text = unicodedata.normalize("NFKC", statement).casefold()
    words = (word.strip(_EDGES) for word in text.split())
    return [_word(word) for word in words if word and word not in _FILLERS]


def _word(word: str) -> str:
    if word in _LIKES:
        return _LIKE
    if word in _DISLIKES:
        return _DISLIKE
    if _SHORT_NEGATION.search(word):
        return "not"
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "oes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
