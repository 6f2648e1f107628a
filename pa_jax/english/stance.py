"""Stances: the one list of words by which a statement is for or against something.

Where a statement stands is told by its first stance and by the denials before it. The table also
turns statements into their opposite ("prefers" to "dislikes"): the likelihood judge asks whether
gold or its opposite explains a snippet better than the snippet's own opposite; the measuring code
makes snippets that contradict. The two put different words for an opposite (JUDGED, MEASURED), yet
the table finds the words of both: only then does a model, not the table, tell an affirmed stance
from a denied one. A stance that is not in the table is denied as a whole, which small models hardly
notice: such statements count as neither agreeing nor not.
"""

import dataclasses
import re

from pa_jax.english import opinions, words

JUDGED, MEASURED = 0, 1
FOR, AGAINST, NEITHER = "for", "against", "neither"  # NEITHER: denies or stresses, no stance itself

# Side, words (a regular expression; what contains another comes first) and the two opposites.
_TABLE = (
    (FOR, r"goes for|opts for|chooses|picks|is drawn to", "dislikes", "turns down"),
    (AGAINST, r"gives a wide berth to|turns down", "likes", "goes for"),
    (FOR, r"preference is", "dislike is", "pet hate is"),
    (AGAINST, r"(pet hate|dislike) is", "preference is", "preference is"),
    (FOR, r"suits the user best", "does not suit the user", "suits the user least"),
    (AGAINST, r"suits the user least", "suits the user best", "suits the user best"),
    (AGAINST, r"(stays? away from|steers? clear of)", "likes", "cannot get enough of"),
    (AGAINST, r"is not fond of", "likes", "is very fond of"),
    (AGAINST, r"would rather do without", "likes", "would never do without"),
    (
        FOR,
        r"would never do without|(cannot|can not|can't) get enough of|insists? on",
        "dislikes",
        "rejects",
    ),
    (AGAINST, r"rejects?", "likes", "insists on"),
    (
        AGAINST,
        r"((strong|extreme|severe|deep|intense) )?(aversion|dislike|hatred) (to|towards?|of|for)",
        "liking for",
        "soft spot for",
    ),
    (FOR, r"(liking|soft spot|passion|great love|weakness) for", "aversion to", "hatred of"),
    (AGAINST, r"no interest in", "an interest in", "a passion for"),
    (AGAINST, r"not interested in", "interested in", "passionate about"),
    (AGAINST, r"(not a|no) (big |great )?fan of|not fond of", "fond of", "mad about"),
    (AGAINST, r"not (comfortable|okay) with", "comfortable with", "at ease with"),
    (AGAINST, r"uncomfortable with", "comfortable with", "at ease with"),
    (
        AGAINST,
        r"(sick|tired) (and tired )?of|fed up with|bored (of|with)|had enough of|done with"
        r"|averse to|put off by|annoyed by|bothered by|indifferent to",
        "fond of",
        "keen on",
    ),
    (
        FOR,
        r"(at ease|comfortable|(perfectly )?fine|okay) with",
        "uncomfortable with",
        "ill at ease with",
    ),
    (FOR, r"((very )?fond|a (great |big |huge )?fan) of", "not fond of", "fed up with"),
    (FOR, r"(mad|crazy|nuts) about|partial to|obsessed with", "not fond of", "fed up with"),
    (FOR, r"passionate about|interested in|keen on|all for", "not interested in", "indifferent to"),
    (FOR, r"drawn to|happiest with|in favour of", "not interested in", "indifferent to"),
    (AGAINST, r"(against|opposed to)", "in favour of", "all for"),
    (NEITHER, r"not allergic to", "allergic to", "allergic to"),
    (AGAINST, r"allergic to", "not allergic to", "perfectly fine with"),
    (
        AGAINST,
        r"(does not|doesn't|do not|don't) (really )?(like|enjoy|want|care for)",
        "likes",
        "adores",
    ),
    (NEITHER, r"(does not|doesn't|do not|don't)", "does", "is known to"),
    (AGAINST, r"(cannot|can't|can not) (stand|bear|abide)", "likes", "adores"),
    (NEITHER, r"is certainly", "is not", "is not"),
    (
        NEITHER,
        r"(is|are|am) not(?! (interested|a fan|fond|comfortable|okay|allergic)\b)",
        "is",
        "is certainly",
    ),
    (AGAINST, r"prefers? (not to|avoiding)", "likes to", "is keen to"),
    (
        AGAINST,
        r"prefers? to (avoid|stay away from|steer clear of)",
        "likes",
        "is keen on",
    ),
    (AGAINST, r"refuses?( to)?", "likes to", "is glad to"),
    (FOR, r"(is|are) (glad|keen|happy) to( have)?", "refuses to", "refuses to"),
    (AGAINST, r"(have|has) to avoid", "can have", "is happy to have"),
    (FOR, r"prefers?|favou?rs", "dislikes", "would hate"),
    (
        FOR,
        r"likes|loves?|enjoys?|wants|adores?|seeks? out|relishe?s?|appreciates?|cherishe?s?",
        "dislikes",
        "would hate",
    ),
    (
        AGAINST,
        r"would hate|dislikes?|hates?|despises?|detests?|loathes?|resents?|dreads?|scorns?",
        "likes",
        "adores",
    ),
    (AGAINST, r"avoids?|shuns?", "likes", "seeks out"),
    (AGAINST, r"does not follow|(has )?given up", "follows", "sticks to"),
    (FOR, r"follows?|adheres? to|sticks? to|swears? by", "does not follow", "has given up"),
    (NEITHER, r"only|exclusively|always", "never", "hardly ever"),
    (NEITHER, r"never|hardly ever", "always", "always"),
)
_FOUND = re.compile("|".join(rf"(?P<s{i}>\b(?:{row[1]})\b)" for i, row in enumerate(_TABLE)))
_DENIED = ("It is not true that ", "It is a myth that ")

# What stands in statements but is not turned: verbs as a person says them, and weaker stances.
_BEFORE_INTO = "is am not very so quite more also now still super pretty"  # "moved into" is none
_INTO = "|".join(["(?<=ly )", *(rf"(?<=\b{word} )" for word in _BEFORE_INTO.split())])
_ALSO = {
    FOR: r"prefer|(?:(?<=not )|(?<=ly )|(?<=ever )|(?<=nger )|(?<=ould )|(?<=\bI )|(?<=\bto ))like"
    r"|love|enjoy|want|favou?r|adore|choose|pick|needs?|seeks?|welcomes?|insist on|accepts?"
    r"|(?:believes?|faith) in|trusts?(?: in)?|warmed to|come (?:round|around) to"
    r"|(?<!was )(?<!were )(?<!been )taken to"
    r"|looks? forward to|fallen in love with|hooked on|wild about"
    rf"|(?:{_INTO})into|leans? towards|gravitates? towards|{opinions.GOOD_FEELING}"
    r"|craves?|lives? for|(?:fallen|falls?|fell) for"
    r"|looks? for|favou?rite"
    r"|(?:(?:re)?started|taken up|took up|gone back to)(?= .*\bagain\b)"
    r"|(?<=is )back on",
    AGAINST: r"turn down|(?:dis|mis)trusts?|steer clear of|avoid|reject|refuse"
    r"|can not tolerate|can not stomach"
    r"|could not finish|gave up|quit|stopped(?= \w+ing\b)|skips?|goes without|leaves out"
    r"|detest|hate|despise|loathe|dislike|(?:gone|went) (?:right |completely |totally |clean )?off"
    r"(?! (?:to|at|on|in|with)\b)"
    rf"|{opinions.BAD_FEELING}|can not be bothered (?:with|to)"
    r"|(?:fallen|fell) out of love with|lost (?:all )?interest in|has no (?:time|use|patience) for",
}
_BEGINS = re.compile(
    r"\b(?:(?:is|has) )?(?:start\w*|beg[aiu]n\w*|com(?:e|ing)|grow(?:n|ing)|learn\w*) to "
    r"(?:really )?(?=(?:like|love|enjoy|appreciate|hate|dislike)\b)",
    re.IGNORECASE,
)
_DENIALS = r"not|never|no longer|hardly|rarely|barely|a myth that"


def _side(side: str) -> str:
    rows = [row[1] for row in _TABLE if row[0] == side]
    return "|".join(f"(?:{words})" for words in (*rows, _ALSO[side]))


_STANCE = re.compile(
    rf"\b(?:(?P<against>{_side(AGAINST)})|(?P<favour>{_side(FOR)}))(?![\w'])", re.IGNORECASE
)
_NOT = re.compile(rf"\b(?:{_DENIALS})\b", re.IGNORECASE)
_NO = re.compile(r"(?:\s+(?:of|to|for|on))?\s+no\b(?! longer)", re.IGNORECASE)
_LACKS = re.compile(rf"\b(?:{_DENIALS}|no|without|least)\b", re.IGNORECASE)
_HEAD = re.compile(r"^(?:\S+\s+){0,5}\S*")  # where a denial without a stance stands
_FAVOURITE = re.compile(
    r"\bfavou?rite (?P<what>[\w -]{2,40}?) (?:is|of all is)\b"
    r"|\bas (?:a|the|their|his|her) favou?rite (?P<as>[\w -]{2,40}?)\W*$"
    r"|\b(?:best|most) of (?:all|any) (?:the )?(?P<among>[\w -]{2,40}?)\W*$",
    re.IGNORECASE,
)
_SPEAKS = re.compile(
    r"\bI(?! know\b)(?:['’](?:d|m|ve|ll))? (?:\w+ ){0,3}?(?:like|"
    + _side(FOR)
    + "|"
    + _side(AGAINST)
    + ")"
    r"(?![\w'])|\bI(?:['’]ve)? (?:\w+ ){0,2}?(?:go|swear|stick|settle|used)\b"
    r"|\bmy (?:favou?rite|preference|taste|choice|thing)\b",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Found:
    """Where a text stands.

    against     whether it rejects what it names, denials counted
    before      the words before the stance, all of them where there is none
    words       the stance itself, "" where there is none
    object      the words after it
    """

    against: bool
    before: str
    words: str
    object: str


def find(text: str) -> Found:
    """The first stance of a text whose contractions are written out, and its denials.

    What comes behind the stance is its object: "prefers a dish without chili" is for; "likes no
    calls" is against.
    """
    hit = _STANCE.search(text)
    if hit is None:
        head = _HEAD.match(text)
        denied = len(_NOT.findall(head[0])) % 2 == 1 if head else False
        return Found(denied, text, "", "")
    denials = len(_NOT.findall(text[: hit.start()]))
    denials += (hit["against"] is not None) + (_NO.match(text, hit.end()) is not None)
    return Found(denials % 2 == 1, text[: hit.start()], hit[0], text[hit.end() :])


def settled(text: str) -> str:
    """The text with stances that begin as if they stood: "is starting to like" is "like"."""
    return _BEGINS.sub("", text)


def favourite(text: str) -> tuple[str, ...]:
    """Stems of what a text names the one favourite of: "the user's favourite colour is teal"."""
    hit = _FAVOURITE.search(text)
    return words.content(hit["what"] or hit["as"] or hit["among"]) if hit else ()


def is_own(text: str) -> bool:
    """Whether the user speaks of a stance of theirs: "I like", "my favourite"."""
    return _SPEAKS.search(text) is not None


def denials(text: str) -> int:
    """How many words of a text deny or stand against something."""
    text = words.expanded(text)
    against = sum(hit["against"] is not None for hit in _STANCE.finditer(text))
    return against + len(_LACKS.findall(_STANCE.sub(" ", text)))


def turned(text: str, kind: int) -> str:
    """Every statement with its stances turned round, or denied as a whole where it shows none."""
    return "\n".join(_turned(line, kind) for line in text.splitlines())


def without(text: str) -> str:
    """The text without the stances that the table knows."""
    return _FOUND.sub(" ", text)


def pair(text: str) -> tuple[str, str]:
    """The text with its stances in the plain words of JUDGED, and its opposite in the same."""
    denied = turned(text, JUDGED)
    return turned(denied, JUDGED), denied


def _turned(line: str, kind: int) -> str:
    denied = _DENIED[kind]
    if line.startswith(denied):
        return line[len(denied)].upper() + line[len(denied) + 1 :] if line != denied else line
    if not _FOUND.search(line):
        start = line[:1] if line[:2] in ("I ", "I'") else line[:1].lower()
        return denied + start + line[1:]
    return _FOUND.sub(lambda hit: _TABLE[int((hit.lastgroup or "")[1:])][kind + 2], line)
