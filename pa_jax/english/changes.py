"""What a user's words say about a change: turned, corrected, added, or for this once.

Words count where they stand: in the clause that speaks of the fact, not anywhere in the message.
"""

import re

from pa_jax.english import abroad, memory, statements, words

HALF = 0.5  # share from which a clause is about a statement

_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
LIKEWISE = (  # "so do canals", which asks for nothing; "so can you" does
    r" (?:do|does|did|is|are|was|were|has|have|can|will|would)"
    r" (?!(?:you|we|it|he|she|they|there|any\w*|some\w*|your)\b|i\b(?! *$))"
)
# A clause ends at a mark, and before an "and" that begins a new one.
_CLAUSE = re.compile(
    r"[,:.](?!\d)|[;!?]|\s[-–—]\s|\b(?:but|because|while|whereas|though|although"
    rf"|so(?!{LIKEWISE}))\b"
    r"|\band (?=(?:now|then|i|my|we|it|took|take|started|switched|went|have|am|there|prefer|only"
    r"|(?:the|our) \w+ (?:is|are|was|were|has|have|will))\b)",
    re.IGNORECASE,
)
_DAY = (
    rf"(?:now|here|today|tomorrow|immediately|(?:this|next|the) (?:\w+ )?(?:{statements.TIMES}"
    rf"|week|month|year|term|season|quarter)|(?:{statements.TIMES})|\d+(?:st|nd|rd|th)\b(?: of)?)"
)
SINCE = (  # a day from which something holds
    rf"from {_DAY} on(?:wards?)?|from (?:today|tomorrow|next \w+)(?! (?:to|till|until)\b)"
    r"|hence(?:forth|forward)"
    rf"|(?:as (?:of|from)|starting|beginning|effective)(?: (?:in|on|from|as of|with))? {_DAY}"
)
_STRONG = re.compile(  # the whole clause speaks of a change
    rf"\b(?:{SINCE}|(?:ditched|dropped|quit|gave up|got rid of|done with) (?:it|that|them|those)"
    r"|instead|switched(?: sides)?"
    r"|changed my mind|change of (?:mind|heart|plans?)|on (?:second thoughts?|reflection)"
    r"|(?:re-?considered|rethought|rethink|thought better of)"
    r"|slept (?:on|over) (?:it|this|that)"
    r"|(?:have|having|had) thought (?:about|over) (?:it|this|that)"
    r"|(?:thought|thinking|think) (?:it|this|that) (?:over|through)|convert(?:ed)? (?:me|us|to)"
    r"|won (?:me|us) over|(?:settled|decided) on|changed (?:sides|tack|course)"
    r"|plans (?:have )?changed"
    r"|(?:made|makes|had) (?:me|us)(?: all)? (?:change|switch|swap)|had to (?:change|switch|swap)"
    r"|the one (?:at|by|in|near|next|on|with)\b.* now"
    r"|(?:pushed|put|moved|brought|shifted) (?:(?:back|forward|up|off|on|out) )?(?:to|till|until)"
    r"|postponed|rescheduled"
    r"|(?:gone|went) (?:over|back) to|returned to|again,? (?:please|for me)(?=\W*$)"
    r"|(?:fixed|repaired|mended)(?=\W*$)"
    r"|come (?:round|around) to|for good|(?:going|moving) forward|in future"
    r"|(?<!\w )in the future"
    r"|(?:have|has) (?:changed|shifted)|not going back|after all|take back|turns out"
    r"|(?:changed|moved|swapped|upgraded|promoted|traded|replaced|part-exchanged)|make (?:it|that)"
    r"|it is(?: \w+)? (?:now|then)|now it is)\b",
    re.IGNORECASE,
)
_NEWLY = re.compile(  # how things are, and were not before
    r"\b(?:now|nowadays|these days|lately|since|passed|raised|bec[ao]me|turned|birthday"
    r"|(?:up|down|back) (?:to|at|on|in))\b",
    re.IGNORECASE,
)
_PUTS_RIGHT = (
    r"i meant|i mean|correction|i misspoke|my mistake|typo|what am i saying"
    r"|(?:scratch|scrap|strike) that(?! (?!i\b|we\b|it\b|my\b|make\b)\w)"
    rf"|make (?:that|it)(?!.*\b(?:{SINCE})\b)"
    r"|scrap the|i take (?:that|it) back|take back|that (?:was|is) wrong"
    r"|(?:is|was) a lie"
    r"|should have (?:said|been|read)|should be|autocorrect"
    r"|no,? wait|wait,? no|wrong (?:word|name|term)"
    r"|(?:mix|muddl|confus)(?:e|ed|ing)? (?:(?:that|it|them|those) up|up(?=\W*$)"
    r"|(?:up )?(?:the (?:words|names|two)|(?:words|names)))"
    r"|(?:i (?:have )?|(?<!\w ))got (?:my|the) \w+ (?:mixed up|crossed|muddled|confused)(?! with\b)"
    r"|let me (?:rephrase|correct)"
    r"|(?:came|come) out wrong"
    r"|(?:phone|keyboard|spell ?check\w*) (?:changed|mangled|messed|corrected|wrote|typed)"
    r"|mistyped|mis-?spel(?:t|led)|slip of the (?:tongue|pen)|my bad|brain fart"
    r"|(?:had|got|typed|wrote|put) (?:that|it|this) (?:all )?wrong"
    r"|typed (?:that|it|this) too (?:quick(?:ly)?|fast)|i (?:am|was) (?:wrong|mistaken)\b"
    r"|i (?:wrote|typed|put) [\w ]{1,30}? but (?:it|that) (?:is|was|should)"
    r"|why (?:did )?i (?:typed?|sa(?:id|y)|wrote|write|put)"
    r"|(?<!as )(?<!like )(?<!what )(?<!have )(?<!did )(?<!because )i said(?! before| already"
    r"| that)(?!.*\band (?:i|my|we)\b)"
)
_SCRAPS = re.compile(  # what was said last is to stand no more, whatever it was
    r"^\W*(?:(?:no|ah|oh|wait|sorry|actually|ok|okay|hm+|well|lol|haha|i|we|had|have)\b\W*)*"
    r"(?:forget what i just (?:said|told you)|(?:scrap|scratch|strike|mixed|got) (?:that|this|it)"
    r"(?: up| wrong)?|take (?:that|it) back)(?= *(?:[,.;:!–—-]|$))",
    re.IGNORECASE,
)
_RETHINKS = re.compile(  # so it is, where no word names it
    r"\b(?:instead(?! of)|changed my mind(?! (?:about|on))|on (?:second thoughts?|reflection)"
    r"|(?:re-?considered|rethought|slept on (?:it|this|that)|thought better of (?:it|this|that))"
    r"|thought (?:it|this|that) over|change of (?:mind|heart|plans?)|new plan)\b",
    re.IGNORECASE,
)
_DROPS = re.compile(  # "it" was told in the turn before
    r"^\W*(?:(?:and|so|but|well|sorry|oh)\W+)*(?:"
    r"(?:i|we)(?: have| had)?(?: since| now| just)? (?:(?:gave|given) (?:it|that|them|those) up"
    r"|(?:quit|stopped|dropped|ended|gave up|given up)(?: doing)? (?:it|that|them|those))"
    r"|(?:cancel+ed|quit|dropped|ditched|ended|left) (?:that|those)(?: one)?(?= *$| (?:i|im|we)\b)"
    r"|(?:i )?used to\W*$"
    r"|that is (?:that |all |it )?(?:over|history|finished|dead|off)(?: now| with)?\W*$)",
    re.IGNORECASE,
)
_RIGHT = re.compile(  # also "*Oscar", as one mends what one typed
    rf"\b(?:{_PUTS_RIGHT})\b|^\s*\*\s?[\w'’]+(?: [\w'’]+){{0,3}}\W*$"
    r"|^[\w'’]+(?: [\w'’]+){0,2}\*$"
    rf"|^\W*(?:no,? )?(?:\d+|{'|'.join(words.NUMBERS)})(?: \w+){{0,2}},? actually\b",
    re.IGNORECASE,
)
_CORRECTS = re.compile(
    rf"\b(?:{_PUTS_RIGHT}|it is actually|actually it is|(?:wh)?oops|hang on|rather"
    r"|(?<!not )(?<!to )wait(?! (?:for|to|till|until|a)\b)|sorry(?! (?:for|about|to|if)\b))\b",
    re.IGNORECASE,
)
_SLIP = re.compile(r"\b(?:wrong|mistake\w*|mix\w*|confus\w+|mean|meant|bad|brain)\b", re.IGNORECASE)
_OBJECTS = re.compile(
    r"^\W*(?:(?:hm+|um+|oh|er+|well|wait)\W+)?(?:no|nah|nope|actually)"
    r"(?=,| i\b| we\b| (?:make|give|write|keep|put|take|stick|switch|go (?:with|back))\b"
    r"|(?<=actually) (?!(?:can|could|would|is|are|do|does|did|tell|show|give"
    r"|what|how|why|which|where|who|when)\b))(?!, ?(?:thanks|thank you|could|can|would)\b)",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"\b(?:also|too(?= *$)|too(?! \w+ (?:for|to))|as well|the other|my other|in addition"
    r"|on top of (?:that|it)|besides|another|plus|both(?= *$| of | \w+ and )|second"
    r"|additionally|not only|alongside"
    r"|(?:every|any|some)(?:where|thing|one|body) else|elsewhere|otherwise|for the rest|all other"
    r"|at other times)\b",
    re.IGNORECASE,
)
_HAPPENED = re.compile(  # what is so since a day, and not on it alone: "hit 120 days today"
    r"\b(?:first (?:day|week|shift)|hit|turned|reached|passed|moved|sold|quit|signed|became|started"
    r"|joined|switched"
    r"|^\W*\d+ (?:days?|weeks?|months?|years?)|bought (?:an?|my|our))\b"
    r".*\b(?:today|tomorrow|this (?:week|weekend|month|year|morning|afternoon))\b",
    re.IGNORECASE,
)
_ONCE_MORE = re.compile(r"\b(?:moved|switched|changed)\b.*\bagain\b", re.IGNORECASE)
_THIS_TIME = re.compile(r"\bthis time\b", re.IGNORECASE)
_AGAIN = re.compile(r"\bagain\b|\bback (?:on|to|at)\b|\b(?:started|began|allow)\b", re.IGNORECASE)
_REQUEST = re.compile(  # "also" of a request adds nothing to what is known
    r"^\W*(?:(?:and|but|so|also|then|now|please)\W+)*(?:can|could|would|recommend|suggest|give|tell"
    r"|show|help|write|find|what|which|how|where)\b",
    re.IGNORECASE,
)

_TELLS = re.compile(r"\b(?:i|we|my|our)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"^\W*(?:(?:what|which|who|where|how)\b|(?:is|are|do|does|did|can|could|should|would|will) "
    r"(?:there|you|i|we|it|the|any\w*|some\w*)\b)",
    re.IGNORECASE,
)


@memory.remembered(1024)
def clauses(text: str) -> tuple[str, ...]:
    """The clauses of the user's words, contractions written out."""
    parts = _CLAUSE.split(words.expanded(text))
    return tuple(part.strip() for part in parts if part and part.strip())


@memory.remembered(1024)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of the user's words."""
    return tuple(found.strip() for found in _SENTENCE.findall(text))


def about(text: str, what: frozenset[str]) -> list[str]:
    """The clauses that speak of `what`: they hold half of it or more, or the most of all."""
    hits = [(len(what & set(words.content(clause))), clause) for clause in clauses(text)]
    most = max((count for count, _ in hits), default=0)
    return [clause for count, clause in hits if count and count >= min(HALF * len(what), most)]


def near(text: str, what: frozenset[str]) -> list[str]:
    """The clauses that speak of `what`, and of those beside them such as tell a change alone.

    "On reflection, a mustard sofa" has one that says nothing else.
    """
    of_it, all_of = set(about(text, what)), clauses(text)
    alone = [bool(_STRONG.search(part)) and not _besides_change(part) for part in all_of]
    return [
        part
        for place, part in enumerate(all_of)
        if part in of_it or (alone[place] and of_it & set(all_of[max(place - 1, 0) : place + 2]))
    ]


def _besides_change(clause: str) -> tuple[str, ...]:
    return words.content(_STRONG.sub(" ", clause), words.STOP | words.ASKING)


def adds(text: str, what: frozenset[str]) -> bool:
    """Whether a clause that names `what` puts it beside what was known: "I also like ..."."""
    if not words.is_english(text):
        return abroad.ALSO.search(text) is not None
    told = (part for one in sentences(text) if not only_asks(one) for part in clauses(one))
    near = (part for part in told if what & set(words.content(part)))
    return any(_ALSO.search(part) and not _REQUEST.match(part) for part in near)


def only_asks(sentence: str) -> bool:
    """Whether a sentence asks and tells nothing: "besides jazz, what is there?"."""
    rest = [part for part in clauses(sentence) if not _ASKS.match(part)]
    return len(rest) < len(clauses(sentence)) and not any(map(_TELLS.search, rest))


@memory.remembered(1024)
def turns(text: str) -> bool:
    """Whether the words speak of a change outright: "I switched", "make it", "from now on"."""
    return bool(_STRONG.search(words.expanded(text)) or abroad.CHANGE.search(text))


def asks(text: str) -> bool:
    """Whether the words ask something, or ask for something: "suggest a restaurant"."""
    return any(one.endswith("?") or _REQUEST.match(one) for one in sentences(text))


def objects(text: str, what: frozenset[str]) -> bool:
    """Whether the words about `what` begin with an objection to what was said: "no, ..."."""
    whole = [text, *(part for part in sentences(text) if what & set(words.content(part)))]
    return any(map(_OBJECTS.match, whole))


@memory.remembered(1024)
def is_new(text: str) -> bool:
    """Whether the words tell how things are by now: a change outright, "these days", "since"."""
    newly = _NEWLY.search(words.expanded(text)) or abroad.NOW.search(text)
    return turns(text) or newly is not None


def resumes(text: str) -> bool:
    """Whether the words take up what was given up: "again", "back on", "started"."""
    return _AGAIN.search(text) is not None


@memory.remembered(1024)
def corrects(text: str, what: frozenset[str] = frozenset()) -> bool:
    """Whether the words take back what was said before them, perhaps: "sorry", "wait".

    What tells of something else ("oops, spilled my coffee") takes nothing back of `what`.
    """
    if puts_right(text):
        return True
    hits = filter(_CORRECTS.search, sentences(words.expanded(text)))
    return any(_of_itself(one, what) for one in hits)


def _of_itself(sentence: str, what: frozenset[str]) -> bool:
    """Whether a sentence that says "sorry" says it of `what`, or says little else."""
    rest = set(words.content(_CORRECTS.sub(" ", sentence), words.STOP | words.ASKING))
    return not what or len(rest) < 2 or bool(rest & what) or _SLIP.search(sentence) is not None


@memory.remembered(1024)
def puts_right(text: str) -> bool:
    """Whether they surely do: "I meant", "scratch that"."""
    return bool(_RIGHT.search(words.expanded(text)) or abroad.MEANT.search(text))


def scraps(text: str) -> bool:
    """Whether the words begin by taking back what was said last: "scrap that, ..."."""
    return _SCRAPS.match(words.expanded(text)) is not None


def scraps_only(text: str) -> bool:
    """Whether they do, in the end and in words of their own: not "I take it back, it was fine"."""
    rest: list[str] | None = None
    for clause in clauses(text):
        if scraps(clause):
            rest = []
        elif rest is not None:
            rest.append(clause)
    return rest is not None and (not rest or any(map(_TELLS.search, rest)))


@memory.remembered(1024)
def rethinks(text: str) -> bool:
    """Whether they tell of second thoughts on what was said last, and name no thing for it."""
    return _RETHINKS.search(words.expanded(text)) is not None


def drops(text: str) -> bool:
    """Whether they give up what was said last: "I gave it up in June", "that's over now".

    Where the user told something in the words before it, "it" is that.
    """
    before = ""
    for clause in clauses(text):
        if _DROPS.match(clause):
            return not _TELLS.search(before)
        before += f" {clause}"
    return False


def passing(text: str, what: frozenset[str]) -> bool:
    """Whether a clause about `what` speaks of this once only: "this time I want ...".

    One that says nothing else ("just this once, ...") speaks of the others. What happened today or
    once more ("moved again, to Ghent this time") lasts.
    """
    if _ONCE_MORE.search(text):
        text = _THIS_TIME.sub(" ", text)
    alone = [part for part in clauses(text) if not statements.lasting(part)]
    once = (part for part in about(text, what) + alone if not _HAPPENED.search(part))
    return any(map(statements.passing, once))
