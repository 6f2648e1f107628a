"""One frame with another value: "wants prices in pounds", then "... in euros".

A frame is what two statements share word by word. It holds one value where that is a manner: behind
"in", or straight behind the thing ("steak well done"). What stands behind "with" or "for" adds up,
and "horror films" and "horror novels" are two things. Words of one scale ("rare", "well done") are
values of one thing surely; others are where the user's words tell of a change.
"""

import os
import re

from pa_jax.english import changes, memory, pairs, roundabout, statements, words

_SCALES = tuple(
    frozenset(scale.split())
    for scale in (
        "rare raw done bloody pink",
        "open shut closed",
        "hot cold warm iced lukewarm chilled",
        "strong weak mild",
        "sweet unsweetened",
        "soft hard firm runny",
        "long short brief lengthy",
        "loud quiet silent",
        "dark bright light dim",
        "thick thin",
        "big large small tiny",
        "formal casual informal",
        "first last",
        "high low",
        "early late",
    )
)
_IN = re.compile(r" (?:in|as)(?: (?:the|an?))?$")
_ADVERBS = "ice well very really medium extra half nearly almost barely quite fairly"
_MANNER = re.compile(
    rf"^(?:(?:{_ADVERBS.replace(' ', '|')}|\w+ly) )*(?:(?:\w+ )?\w+(?:ed|en)|black|white|plain|neat"
    rf"|crispy|{'|'.join(sorted(word for scale in _SCALES for word in scale))})$"
)
_MOST = 4  # words of a value

_OPEN = re.compile(  # "has no set time to be home", "need not leave by a set time"
    rf"\b(?:no|(?:not|never) (?P<does>(?:[\w']+ ){{1,6}}?)(?:an?|any)) (?:(?:{roundabout.SET}"
    r" (?:(?P<what>\w+) )??(?:(?P<time>(?:(?P<meal>\w+?)-?)?(?:time|hour|date|day)s?)|numbers?"
    r"|amounts?|prices?))"
    r"|(?:(?P<of>\w+) )??(?:(?P<when>bedtime|deadline|curfew)|limit|budget|maximum|minimum))\b",
    re.IGNORECASE,
)
_AT = re.compile(
    rf"\b(?:at|by|until|till|before|after|from|around|on) (?:\d|(?:{'|'.join(words.NUMBERS)}"
    rf"|half|quarter|{statements.TIMES})\b)",
    re.IGNORECASE,
)
_LITTLE = frozenset(map(words.stem, "need have plan want".split()))


def another_value(new: str, old: str, quote: str) -> bool:
    """Whether two statements give one frame two values, or may and the words tell of a change."""
    now, was = statements.parse(new), statements.parse(old)
    if not (pairs.like(now, was) and now.named & was.named and now.scope == was.scope):
        return False
    wish = now.kind == statements.LIKE and now.verb in pairs.WISHES
    before, values = _apart(new, old)
    manners = all(map(_MANNER.match, values))
    if (wish or manners) and _of_one_scale(values):
        return True
    if not all(0 < len(value.split()) <= _MOST for value in values):
        return False
    if not _IN.search(before):
        return manners and changes.is_new(quote)
    near = changes.near(quote, now.named | now.scope)
    anew = changes.objects(quote, now.named) or any(map(changes.is_new, near))
    return wish and (anew or _of_one_sort((new, old), values))


def _apart(new: str, old: str) -> tuple[str, list[str]]:
    """What two statements begin with, word by word, and how each goes on."""
    plain = [words.tokens(statements.situations(text)[1]) for text in (new, old)]
    parts = [" ".join(tokens).replace("-", " ").split() for tokens in plain]
    shared = len(os.path.commonprefix(parts))
    return " ".join(parts[0][:shared]), [" ".join(part[shared:]) for part in parts]


def _of_one_scale(values: list[str]) -> bool:
    """Whether two values differ in a word of one scale alone, and in how much of it."""
    one, other = (set(value.split()) - set(_ADVERBS.split()) for value in values)
    return any(one - other and other - one and one ^ other <= scale for scale in _SCALES)


def _of_one_sort(texts: tuple[str, str], values: list[str]) -> bool:
    """Whether two values look alike: names both ("English"), or units ("euros")."""
    names = [
        bool(statements.names(text) & set(words.content(value)))
        for text, value in zip(texts, values, strict=True)
    ]
    units = all(" " not in value and value.endswith("s") for value in values)
    return all(names) or (units and not any(names))


def left_open(new: str, old: str) -> bool:
    """Whether one says that nothing is set of what the other gives a time, a number or a limit."""
    return _opens(new, old) or _opens(old, new)


@memory.remembered(16384)
def _open(statement: str) -> re.Match[str] | None:
    return _OPEN.search(words.expanded(statement))


def _opens(statement: str, other: str) -> bool:
    hit = _open(statement)
    if hit is None or statements.parse(other).against:
        return False
    text, told = hit.string, words.expanded(other)
    named = (hit[group] or "" for group in ("does", "what", "meal", "of"))
    parts = [text[: hit.start()], text[hit.end() :], *named]
    about = frozenset(words.content(" ".join(parts))) - _LITTLE
    said = frozenset(words.content(told))
    if not (about and about <= said):
        return False
    timed = hit["time"] or hit["when"]
    return _AT.search(told) is not None if timed else bool(words.numbers(told))
