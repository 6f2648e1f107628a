"""How strongly a statement says what it says, and what is told as fine again."""

import re

from pa_jax.english import memory, opinions, statements, words

_WEAK = re.compile(
    r"\b(?:slightly|mildly|somewhat|moderately|finds .* (?:okay|ok|alright|all right|fine)"
    r"|quite (?=likes?\b|enjoys?\b|fond\b)|a (?:little|bit|tad)(?: bit)?|(?:kind|sort) of)\b",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"\b(?:severely|extremely|very|deadly|badly|terribly|highly|seriously|violently|deeply"
    r"|utterly|absolutely|totally|completely|passionate|terrified|petrified"
    r"|adores?|loves?|hates?|loathes?|obsessed|a lot|so much|more than anything)\b",
    re.IGNORECASE,
)
_UTTERLY = re.compile(
    r"\b(?:severely|extremely|deadly|terribly|violently|utterly|absolutely|totally)\b",
    re.IGNORECASE,
)
_DEGREES = frozenset(
    map(
        words.stem,
        "slightly mildly somewhat moderately little bit tad kind sort severely extremely very "
        "deadly badly terribly highly seriously violently deeply lot much quite utterly absolutely "
        "totally completely okay ok alright fine".split(),
    )
)


_FEARS = frozenset(
    map(
        words.stem,
        "afraid scared frightened terrified petrified nervous anxious uneasy fearful".split(),
    )
)


@memory.remembered(16384)
def _degree(statement: str) -> int:
    """1 for "slightly", -1 for "severely", 0 where a statement tells none or both."""
    return bool(_WEAK.search(statement)) - bool(_STRONG.search(statement))


def another(new: str, old: str) -> bool:
    """Whether two statements say one thing more or less strongly: "slightly", "severely allergic".

    What tells no degree says nothing against one, and from a plain liking to love is no step back.
    """
    told = _degree(new), _degree(old)
    if told[0] == 0 or told[0] == told[1] or not (1 in told or _UTTERLY.search(new)):
        return False
    now, was = statements.parse(new), statements.parse(old)
    alike = now.against == was.against and (
        now.kind == was.kind or opinions.FINDS in (now.verb, was.verb)
    )
    named, known = now.named - _DEGREES, was.named - _DEGREES
    if named & _FEARS and known & _FEARS:  # "terrified of", "slightly nervous about"
        named, known = named - _FEARS, known - _FEARS
    return alike and bool(named) and named == known and now.whose == was.whose


_AGAIN = re.compile(
    r"^the user (?:now )?(?:(?:can|may|is (?:able|allowed) to) (?:now )?(?:safely )?"
    r"(?:eat|have|drink|tolerate|use|wear|take|touch)|tolerates)\b.*\b(?:again|now|by now)\b",
    re.IGNORECASE,
)
_HOPED = re.compile(
    r"\b(?:hop\w+|wish\w*|wait|if|until|till|once|when|would|could|some ?day|one day|dream\w*)\b",
    re.IGNORECASE,
)


def cured(new: str, old: str, quote: str) -> bool:
    """Whether what the user reacted to is told as fine again, as it is: "can eat eggs again".

    Baked eggs are no eggs, and what the words only hope for is not so.
    """
    if not _AGAIN.match(new) or _HOPED.search(quote):
        return False
    now, was = statements.parse(new), statements.parse(old)
    ill = was.kind == statements.ALLERGY and not was.against
    whole = not (now.against or now.exceptions or now.scope)
    return ill and whole and frozenset(now.core) == frozenset(was.core) - _DEGREES
