"""Statements turned into their opposite by a table of stances ("prefers" to "dislikes").

The likelihood judge asks whether gold or its opposite explains a snippet better, and the measuring
code makes snippets that contradict. So that a judge is not measured on the words it was made with,
the two turn a stance with words of their own: JUDGED and MEASURED.
"""

import re

JUDGED, MEASURED = 0, 1

# A stance (a regular expression, longest first) and its opposite in each vocabulary.
_OPPOSITES = (
    (r"goes for", "dislikes", "gives a wide berth to"),
    (r"picks", "dislikes", "turns down"),
    (r"preference is", "dislike is", "pet hate is"),
    (r"suits the user best", "does not suit the user", "suits the user least"),
    (r"stays away from", "likes", "cannot get enough of"),
    (r"is not fond of", "likes", "is very fond of"),
    (r"would rather do without", "likes", "would never do without"),
    (r"the user rejects", "the user likes", "the user insists on"),
    (
        r"((strong|extreme|severe|deep|intense) )?(aversion|dislike|hatred) (to|towards?|of|for)",
        "liking for",
        "soft spot for",
    ),
    (r"no interest in", "an interest in", "a passion for"),
    (r"not interested in", "interested in", "passionate about"),
    (r"not (a fan|fond) of", "fond of", "mad about"),
    (r"not (comfortable|okay) with", "comfortable with", "at ease with"),
    (r"uncomfortable with", "comfortable with", "at ease with"),
    (r"(against|opposed to)", "in favour of", "all for"),
    (r"allergic to", "not allergic to", "perfectly fine with"),
    (r"(does not|doesn't|do not|don't) (really )?(like|enjoy|want)", "likes", "adores"),
    (r"(does not|doesn't|do not|don't)", "does", "is known to"),
    (r"(cannot|can't) stand", "likes", "adores"),
    (r"(is|are|am) not", "is", "is certainly"),
    (r"prefers? (not to|avoiding)", "likes to", "is keen to"),
    (r"prefers? to (avoid|stay away from|steer clear of)", "likes", "is keen on"),
    (r"refuses? to", "likes to", "is glad to"),
    (r"(have|has) to avoid", "can have", "is happy to have"),
    (r"prefers?", "dislikes", "would hate"),
    (r"likes|loves?|enjoys?|favours|wants", "dislikes", "would hate"),
    (r"dislikes?|hates?|despises?|detests?", "likes", "adores"),
    (r"avoids?", "likes", "seeks out"),
    (r"follows?|adheres? to|sticks? to", "does not follow", "has given up"),
    (r"only", "never", "hardly ever"),
    (r"exclusively", "never", "hardly ever"),
)
_STANCE = re.compile("|".join(rf"(?P<s{i}>\b(?:{row[0]})\b)" for i, row in enumerate(_OPPOSITES)))
_DENIED = ("", "It is not true that ", "It is a myth that ")


def turned(text: str, words: int) -> str:
    """Every statement with its stances turned round, or denied as a whole where it shows none."""
    return "\n".join(_turned(line, words) for line in text.splitlines())


def without(text: str) -> str:
    """The text without the stances that the table knows."""
    return _STANCE.sub(" ", text)


def _turned(line: str, words: int) -> str:
    if not _STANCE.search(line):
        start = line[:1] if line[:2] in ("I ", "I'") else line[:1].lower()
        return _DENIED[words + 1] + start + line[1:]
    return _STANCE.sub(lambda hit: _OPPOSITES[int(hit.lastgroup[1:])][words + 1], line)
