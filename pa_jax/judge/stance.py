"""Statements turned into their opposite by a table of stances ("prefers" to "dislikes").

The likelihood judge asks whether gold or its opposite explains a snippet better than the snippet's
own opposite; the measuring code makes snippets that contradict. The two put different words for an
opposite (JUDGED, MEASURED), yet the table finds the words of both: only then does a model, not the
table, tell an affirmed stance from a denied one. A stance that is not in the table is denied as a
whole, which small models hardly notice: such statements count as neither agreeing nor not.
"""

import re

JUDGED, MEASURED = 0, 1

# A stance (a regular expression; what contains another comes first) and its two opposites.
_OPPOSITES = (
    (r"goes for|opts for|chooses|picks|is drawn to", "dislikes", "turns down"),
    (r"gives a wide berth to|turns down", "likes", "goes for"),
    (r"preference is", "dislike is", "pet hate is"),
    (r"(pet hate|dislike) is", "preference is", "preference is"),
    (r"suits the user best", "does not suit the user", "suits the user least"),
    (r"suits the user least", "suits the user best", "suits the user best"),
    (r"(stays? away from|steers? clear of)", "likes", "cannot get enough of"),
    (r"is not fond of", "likes", "is very fond of"),
    (r"would rather do without", "likes", "would never do without"),
    (r"would never do without|cannot get enough of|insists? on", "dislikes", "rejects"),
    (r"rejects?", "likes", "insists on"),
    (
        r"((strong|extreme|severe|deep|intense) )?(aversion|dislike|hatred) (to|towards?|of|for)",
        "liking for",
        "soft spot for",
    ),
    (r"(liking|soft spot|passion|great love) for", "aversion to", "hatred of"),
    (r"no interest in", "an interest in", "a passion for"),
    (r"not interested in", "interested in", "passionate about"),
    (r"not (a fan|fond) of", "fond of", "mad about"),
    (r"not (comfortable|okay) with", "comfortable with", "at ease with"),
    (r"uncomfortable with", "comfortable with", "at ease with"),
    (r"(at ease|comfortable|perfectly fine) with", "uncomfortable with", "ill at ease with"),
    (r"((very )?fond|a (great |big )?fan) of|mad about", "not fond of", "fed up with"),
    (r"passionate about|interested in|keen on|all for", "not interested in", "indifferent to"),
    (r"(against|opposed to)", "in favour of", "all for"),
    (r"not allergic to", "allergic to", "allergic to"),
    (r"allergic to", "not allergic to", "perfectly fine with"),
    (r"(does not|doesn't|do not|don't) (really )?(like|enjoy|want)", "likes", "adores"),
    (r"(does not|doesn't|do not|don't)", "does", "is known to"),
    (r"(cannot|can't) (stand|bear)", "likes", "adores"),
    (r"is certainly", "is not", "is not"),
    (
        r"(is|are|am) not(?! (interested|a fan|fond|comfortable|okay|allergic)\b)",
        "is",
        "is certainly",
    ),
    (r"prefers? (not to|avoiding)", "likes to", "is keen to"),
    (r"prefers? to (avoid|stay away from|steer clear of)", "likes", "is keen on"),
    (r"refuses? to", "likes to", "is glad to"),
    (r"(is|are) (glad|keen|happy) to( have)?", "refuses to", "refuses to"),
    (r"(have|has) to avoid", "can have", "is happy to have"),
    (r"prefers?|favours", "dislikes", "would hate"),
    (r"likes|loves?|enjoys?|wants|adores?|seeks? out", "dislikes", "would hate"),
    (r"would hate|dislikes?|hates?|despises?|detests?", "likes", "adores"),
    (r"avoids?", "likes", "seeks out"),
    (r"does not follow|has given up", "follows", "sticks to"),
    (r"follows?|adheres? to|sticks? to", "does not follow", "has given up"),
    (r"only|exclusively|always", "never", "hardly ever"),
    (r"never|hardly ever", "always", "always"),
)
_STANCE = re.compile("|".join(rf"(?P<s{i}>\b(?:{row[0]})\b)" for i, row in enumerate(_OPPOSITES)))
_DENIED = ("It is not true that ", "It is a myth that ")


def turned(text: str, words: int) -> str:
    """Every statement with its stances turned round, or denied as a whole where it shows none."""
    return "\n".join(_turned(line, words) for line in text.splitlines())


def without(text: str) -> str:
    """The text without the stances that the table knows."""
    return _STANCE.sub(" ", text)


def pair(text: str) -> tuple[str, str]:
    """The text with its stances in the plain words of JUDGED, and its opposite in the same."""
    denied = turned(text, JUDGED)
    return turned(denied, JUDGED), denied


def _turned(line: str, words: int) -> str:
    denied = _DENIED[words]
    if line.startswith(denied):
        return line[len(denied)].upper() + line[len(denied) + 1 :] if line != denied else line
    if not _STANCE.search(line):
        start = line[:1] if line[:2] in ("I ", "I'") else line[:1].lower()
        return denied + start + line[1:]
    return _STANCE.sub(lambda hit: _OPPOSITES[int(hit.lastgroup[1:])][words + 1], line)
