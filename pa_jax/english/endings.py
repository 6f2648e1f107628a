"""What a user's words give up: "sold the car", "tea is over", "the window, not the aisle"."""

import re

from pa_jax.english import changes, errands, memory, person, stance, statements, words

_UNHEARD = frozenset(map(words.stem, words.STOP))  # `given_up` has no such words
NAMED = 0.8  # share of a statement's object by which words name it

_BEFORE = re.compile(  # what is given up follows
    r"\b(?:gave up|given up|give up|giving up|quit|quitting|stopped|not|no|no more|never again"
    r"|dropped|ditched|sold|got rid of|used to|instead of|rather than|in place of|switched from"
    r"|changed from|moved (?:away )?from|moved out of|left|leaving|done with|tired of|sick of"
    r"|bored of|fed up with|had enough of|over with|wrong about|thought better of|decided against"
    r"|forget|scrap|scratch|strike"
    r"|drop|ignore|out with|stop assuming|swore by|once (?:wanted|liked|loved|had)"
    r"|(?:have|has) me down for|i (?:said|typed)"
    r"|why (?:did )?i (?:say|put|typed?|wr[io]te)|i told you(?: about)?"
    r"|changed my mind (?:about|on)"
    r"|changed (?:about|on)|days of|remember|take back (?:what i said about)?"
    r"|correct (?:your|the) notes on|lost (?:my|our|the)|broke up with|divorced"
    r"|(?:cancelled|canceled|(?<=i )cancel)"
    r"|replaced|swapped|traded|outgrew|outgrown|too (?:old|young|tired|ill) for|grew out of"
    r"|(?:am|been|went|gone|came|come|coming|weaned|tapered|taken) off"
    r"|took (?:me|us) off|through with|moved on from|goodbye to|parted (?:ways )?with|cut out"
    r"|gave away|threw (?:out|away)|kicked|ended"
    r"|finished with"
    r"|(?<!come )(?<!came )(?<!all )(?<!been )over(?! (?:dinner|lunch|breakfast|supper|coffee"
    r"|drinks"
    r"|here|there|for|at|to|in|on|and|time|night|christmas|easter|winter|summer|a|the (?:next"
    r"|last|past"
    r"|weekend|years?|months?|phone|summer|winter|holidays?))\b)"
    r"|(?:retired|resigned) (?:as|from))\b(?P<what>.*)",
    re.IGNORECASE,
)
_KEPT_UP = re.compile(  # nothing is given up: "I can't quit", "should I stop", "not sure about"
    r"\b(?:never|not|refuse[sd]? to|hate to|hard to|without|if|should i|would|want(?:ed)? to"
    r"|try(?:ing)? to"
    r"|think(?:ing)? (?:of|about)|plan(?:ning)? (?:to|on)|might|may|could|tempted to) "
    r"(?:(?:i|we|ever|really|even|be) )*(?:giv\w+ up|gave up|quit\w*|stop\w*|drop\w*|ditch\w*"
    r"|sell\w*|los\w+"
    r"|leav\w+|cut(?:ting)? out|cancel\w*|forget\w*|replac\w+)\b"
    r"|\bnot (?:sure|mind|just|only|bad|least|to mention|because|yet|(?:\w+ )?in the mood"
    r"|have time|a problem)\b"
    r"|\bno (?:doubt|problem|wonder|matter|chance|need|reason)\b|\bno\b.*\bleft\b"
    r"|\b(?:left|forgot|lost) (?:my|the|our|his|her|it|them)(?: \w+){0,2} (?:behind|today|again"
    r"|on the|(?:at|in)"
    r" (?:home|work|school|my|a|(?:the|our) (?:office|car|train|bus|hotel|gym|house|kitchen)))\b"
    r"|\b(?:had|tried|gave|served|brought) .*\binstead of\b|\bstopped (?:at|by|in|over)\b"
    r"|\bended up\b",
    re.IGNORECASE,
)
_REMINDS = re.compile(  # what was said stays so, where no word of change stands beside it
    r"\b(?:remember|(?<!what )i said|(?<!what )i told you)\b", re.IGNORECASE
)
_RETHOUGHT = re.compile(
    r"\b(?:chang\w+ my mind|second thoughts|change of (?:mind|heart)) (?:about|on) (?P<what>.+)",
    re.IGNORECASE,
)
_AFTER = re.compile(  # what is given up comes first
    r"(?P<what>.+?)\b(?:anymore|any longer|no more|no longer|out of date|died|passed away|broke"
    r"|retired"
    r"|(?:is|are) (?:out|over|history|gone|dead|off|behind me|not for me|a thing of the past)"
    r"|got stolen|fell through|put me off|was wrong)\b",
    re.IGNORECASE,
)
_BACK = re.compile(  # "that" is the clause before
    r"\b(?:done with (?:that|it|those|them)|not (?:that|those|them) anymore"
    r"|(?:that|it) (?:is|was) (?:all )?(?:out of date|over|wrong|history|in the past|not true"
    r"|no longer true|not the case))\b",
    re.IGNORECASE,
)
_NOT_THEN = re.compile(
    r"\b(?:did|was|were|had|could|would) (?:not|never|no)\b(?!.*\b(?:since|anymore|again)\b)"
    r"|\bthere (?:was|were) no\b",
    re.IGNORECASE,
)


@memory.remembered(1024)
def given_up(text: str) -> tuple[frozenset[str], ...]:
    """Of each place in the words where something is given up, the stems that name what is."""
    found: list[str] = []
    before, changed = "", changes.is_new(text) or changes.corrects(text)
    for clause, question in _told(text):
        if person.whose(clause):  # what others gave up is no matter here
            before = ""
            continue
        if question or (_REMINDS.search(clause) and not changed):
            before = clause
            continue
        kept = _KEPT_UP.search(clause)  # of "forget the plan to quit" the plan is over
        for pattern in (_BEFORE, _AFTER):
            hit = pattern.search(clause)
            if kept and hit and (pattern is _AFTER or kept.start() <= hit.start()):
                continue
            while hit is not None and hit["what"].strip():
                once = statements.passing(clause) and hit[0].lower().startswith("no")
                if not once and not errands.is_business(hit["what"]):
                    found.append(hit["what"])
                hit = None if kept else pattern.search(hit["what"])
        if _BACK.search(clause):
            found.append(before)
        before = clause
    return tuple(frozenset(words.content(part)) | set(words.numbers(part)) for part in found)


def _told(text: str) -> list[tuple[str, bool]]:
    """The clauses of the words, and whether each asks: "I quit, what now?" asks behind."""
    found = []
    for sentence in changes.sentences(text):
        parts = changes.clauses(sentence)
        last = len(parts) - 1 if sentence.endswith("?") else -1
        found += [(part, place == last) for place, part in enumerate(parts)]
    return found


def gives_up(text: str, what: frozenset[str], name: frozenset[str] = frozenset()) -> bool:
    """Whether the words give up what `what` names, or the topic that goes by `name`."""
    return any(_names(part, what) or (name and name <= part) for part in given_up(text))


def _names(part: frozenset[str], what: frozenset[str]) -> bool:
    what = what - _UNHEARD or what
    return bool(what) and len(part & what) >= NAMED * len(what)


@memory.remembered(1024)
def rethought(text: str) -> frozenset[str]:
    """Stems of what the words say that a mind was changed about: "changed my mind about seats"."""
    hits = filter(None, map(_RETHOUGHT.search, changes.clauses(text)))
    return frozenset(stem for hit in hits for stem in words.content(hit["what"]))


def stops(text: str) -> bool:
    """Whether words that tell how it was say beside it that it is no more: "not since spring".

    What was not there then ("I did not have a car") says nothing of today.
    """
    rest = (part for part in changes.clauses(text) if "used to" not in part.lower())
    rest = (part for part in rest if not _NOT_THEN.search(part))
    return any(stance.denials(part) or _BEFORE.search(part) for part in rest)
