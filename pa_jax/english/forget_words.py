"""The wordings by which people ask to have something forgotten, as a verb and what it is about.

What that names, and whether it asks for anything, is read in forgetting.py.
"""

import re
from collections.abc import Iterator

from pa_jax.english import idioms

_KEEP = "remember|know|keep|save|store|note|record|(?:hold|hang) on ?to|hold|track|log"
_KEEPING = (  # the same in any form
    r"know|knew|known|knowing|remember(?:ed|ing)?|keep(?:ing)?|kept|sav(?:e|ed|ing)|stor(?:e|ed"
    r"|ing)"
    r"|not(?:e|ed|ing)|record(?:ed|ing)?|hold(?:ing)?|held|track(?:ed|ing)?|log(?:ged|ging)?"
    r"|have|had|having"
)
_KEPT = "stored|saved|kept|remembered|noted|known|recorded|tracked"
_LOST = (
    "forgotten|deleted|removed|erased|wiped|dropped|cleared|purged|struck|scrubbed|taken|crossed"
    "|gone"
)
FILES = (
    r"(?:your (?:notes?|memory|memories|records?|files?|data|head|mind|brain|system)"
    r"|(?:my|the) (?:profile|notes?|records?|file)"
    r"|what you (?:know|have)(?: (?:of|about|on) me)?|memory)"
)
_OUT = r"(?:out|off|away)"
_VERBS = (
    r"forget|un-?(?:learn|remember|note|know|save)|delete|erase"
    r"|stop (?:remember|keep|stor|not|track)ing"
    rf"|no longer (?:{_KEEP})"
    r"|(?!do not know\b)(?:do not(?: (?:need|have) to)?|(?:you |there is )?no need (?:for you )?to"
    rf"|you (?:need not|do not (?:need|have) to)) (?:{_KEEP})"
    rf"|(?:(?<=you )|(?<=please ))not (?:{_KEEP})"
    r"|disregard|scratch|never mind|ignore|get rid of|purge|clean out"
    rf"|(?:remove|wipe|clear|scrub|drop|scrap|strike)(?: {_OUT}| clean)?"
    rf"|(?:take|throw|cross|rub|leave|keep) {_OUT}"
    rf"|(?:take|throw|cross|rub|leave|keep|pull|cut|get)(?= .{{1,60}} (?:off|from|out of) {FILES})"
    r"|(?:pretend|act|behave)(?: (?:that|as if|as though|like))?(?:"
    r" i (?:have |had )?(?:never|did not)(?: have)? (?:said|say|mention(?:ed)?|told you|tell you)"
    r"| you (?:have |had )?(?:never|did not|do not) (?:hear|heard|kn[eo]w|known|read)(?: of)?)"
    r"|reset(?= .{1,40}(?:preferences|tastes|habits|profile|memory)\b)"
)
_ASKED = (  # how one asks for it
    r"please|(?P<just>just)|(?:can|could|will|would) you|you can|you may|you should"
    r"|let(?:['’]?s| us)"
    r"|(?:can|could) we(?= (?:wipe|delete|erase)\b)"
    r"|(?:is it possible|is there (?:a|any) way)(?: for you)? to"
    r"|we can|i (?:need|want|am asking|ask|beg|would like) you to|feel free to|favou?r and"
)
FORGET = re.compile(
    rf"(?:(?P<start>^\W*(?:(?:{idioms.OPENING})\b\W*)*)|\b(?:{_ASKED})(?: please| just)?\s+"
    rf"|(?P<loose>(?:,|\s[-–—])\s*(?:so )?|\band\s+))(?P<verb>{_VERBS})\s+(?P<what>.{{1,200}})",
    re.IGNORECASE,
)
_WOULD_MIND = re.compile(
    r"\b(?:would|do) you mind (?P<verb>forgett|delet|eras|remov|wip|dropp|unlearn)ing"
    r" (?P<what>.{1,200})",
    re.IGNORECASE,
)
SPLIT = re.compile(  # "take it out" is "take out it"
    r"\b(strike|take|throw|cross|rub|leave|keep|wipe|clear|scrub) (it|that|this|them|those)"
    rf" ({_OUT})\b(?! (?:of|your|my|the)\b)",
    re.IGNORECASE,
)
_ENDS = r"(?:,? (?:now|too|as well|then|please.*|anymore|any longer|in there|there))*(?:,.*)?$"
_MAY_GO = re.compile(  # "all the music stuff can go"
    r"^\W*(?P<what>(?:all|everything|anything|whatever)\b.{1,80}?"
    rf"|.{{1,60}}?(?= (?:in|on|from) {FILES}))"
    rf"(?: (?:in|on|from) {FILES})? (?:can|should|may|must|ought to|needs? to|has to|have to) "
    r"(?:go|disappear|come off|be (?:deleted|removed|erased|forgotten|wiped|dropped|cleared))"
    rf"{_ENDS}",
    re.IGNORECASE,
)
_CAN_BE = re.compile(  # "what I said about tea, could that be deleted?"
    r"^\W*(?:(?P<before>.{2,60}), )?(?:can|could|may) (?P<what>(?:that|it|this|my|what|all"
    r"|everything)\b.{0,50}?) be (?:deleted|erased|forgotten|wiped)\b",
    re.IGNORECASE,
)
_NOT_KEPT = re.compile(  # "I don't want my age on file", "nothing about my work should stay"
    r"^\W*(?:i (?:do not want|would (?:rather|prefer) not (?:to )?have)"
    r" (?P<what>(?:my|our|the|any\w*) .{1,60}?) (?:to be )?"
    rf"(?:on (?:record|file)|{_KEPT}|in {FILES})"
    r"|i would (?:rather|prefer|like|(?:be|feel|sleep) \w+)(?: it)?(?: if)?"
    r" (?P<rather>.{1,60}?) (?:"
    rf"(?:was|were|is) not (?:{_KEPT}|on (?:record|file)|in there|(?:{_KEPT} )?(?:in|on) {FILES})"
    rf"|(?:disappeared|vanished|came|(?:was|were) (?:{_LOST})) (?:from|out of|off) {FILES})"
    r"|(?P<wrong>.{1,60}?) should (?:not (?:be|have been) "
    rf"(?:on (?:record|file)|(?:{_KEPT} )?(?:in|on) {FILES})"
    rf"|(?:stay|remain|be (?:kept|left)) (?:out of|off) {FILES})"
    r"|i (?:want|need|would (?:like|prefer)|should like) (?P<out>.{1,60}?) (?:to be )?"
    rf"(?:forgotten|(?:{_LOST})(?: {_OUT})?(?: from| of)? {FILES})"
    r"|nothing (?:about|on) (?P<none>.{1,60}?) (?:should|must|may)"
    rf" (?:stay|remain|be (?:kept|stored))){_ENDS}",
    re.IGNORECASE,
)
_TAKE_BACK = re.compile(
    r"\bi take (?:(?:it|that) )?back (?P<what>(?:what i said )?(?:about|regarding|on) .{1,200}"
    r"|(?:the|that) .{1,60}(?:thing|bit|part))",
    re.IGNORECASE,
)
_NO_OBJECT = re.compile(  # "what I said about tea, please forget"
    r",\s*(?:please |just |so )*(?P<verb>forget|delete|erase|remove)(?: please)?$", re.IGNORECASE
)
YOU = re.compile(r"\bu\b")

_RATHER = (
    r"i (?:would (?:rather|prefer|like|love|appreciate|(?:feel|be) \w+)|wish)"
    r"(?: it)?(?: if| that)? you"
)
_WRONGLY = re.compile(  # "you shouldn't have noted X", "I'd rather you didn't know X", "you forgot"
    rf"^\W*(?:(?:{idioms.OPENING})\b\W*)*(?:\w+, )?(?:(?:you should not (?:have |be )?"
    r"|i (?:do not (?:want|like)|never wanted) you(?: to)?(?: be)? "
    r"|i am not (?:\w+ )?(?:happy|comfortable|okay|ok|fine) (?:with|about) you(?:r)? "
    rf"|{_RATHER} (?:did not|do not|had not|would not|not to|not|never) )(?:{_KEEPING})"
    rf"|{_RATHER} (?:to |could |would )?"
    r"(?:forg[eo]t|deleted?|erased?|removed?|dropped|wiped?|unlearn\w*|cleared))"
    r" (?P<what>.{1,200})",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"\b(?:i|we|he|she|they|you|it|people)\b", re.IGNORECASE)
_BARE = re.compile(r"^the (?!.*\b(?:thing|bit|part|stuff)\b)", re.IGNORECASE)
PLEASE = re.compile(r"\bplease\b", re.IGNORECASE)
_UNSAID = re.compile(
    r"^\W*(?:please |just )*(?:consider|count|treat|regard) (?P<what>.{1,60}?) (?:as )?"
    r"(?:never (?:said|mentioned|told)|not (?:said|mentioned)|unsaid|forgotten)$",
    re.IGNORECASE,
)
_BIN = re.compile(  # asks for it where the words speak of telling: "too personal, please bin it"
    r"(?:^|[,;]|\band\b|[–—-])\s*(?:please |just |so |then )*(?:lose|bin|ditch|trash|dump|toss"
    r"|chuck|(?:(?:could|can|would) you )?let go of)"
    r" (?:that|it|this|them|those)(?: please| again| now)*$",
    re.IGNORECASE,
)
_WIDE = re.compile(r"(?:all|everything|anything|whatever|any|every)\s", re.IGNORECASE)
_END = re.compile(r"[^\w%€$£)\"'’]+$")  # marks and pictures behind a name
_ADDRESS = re.compile(
    r"\b(?:please|kindly|again|now|thanks|thank you|for me|about me|too|completely|entirely|fully"
    r"|altogether|forever|for good|anymore|any longer|at once|right away|immediately|as well"
    r"|tho|though|ok"
    r"|okay|would you"
    r"|will you)\b",
    re.IGNORECASE,
)
LAST = re.compile(
    r"^(?:(?:all )?(?:of )?|about )(?:that|this|it|those|them|(?:the|that) last (?:one|thing|part"
    r"|bit)"
    r"|what i (?:just )?(?:said|told you))(?: one| part| thing)?$",
    re.IGNORECASE,
)
ALL = re.compile(  # all there is of the user
    r"^(?:(?:all|everything|anything|whatever|every\w*)\b(?: (?:\w+ ){0,5}?(?:on|about|of) me)"
    r"|(?:all (?:of )?)?(?:my|your) (?:whole|entire|full|complete) (?:profile|memory of me))$",
    re.IGNORECASE,
)
ASKING = re.compile(rf"\b(?:{_ASKED})\W*$", re.IGNORECASE)


def found(part: str) -> Iterator[tuple[str, str]]:
    """Verb and object of the requests to forget in a part of a sentence."""
    hit = FORGET.search(part)
    if hit is not None and not _told(part, hit):
        yield hit["verb"].lower(), _object(hit["what"])
    elif hit := _NO_OBJECT.search(part):
        yield hit["verb"].lower(), "it"
    if _BIN.search(part):
        yield "bin", "it"
    if hit := _UNSAID.match(part):
        yield "delete", hit["what"] if LAST.match(hit["what"]) else f"about {hit['what']}"
    if hit := _WOULD_MIND.search(part):
        forgets = hit["verb"].lower().startswith("forg")
        yield "forget" if forgets else "delete", _object(hit["what"])
    if hit := _CAN_BE.search(part):
        yield "delete", _object(hit["before"] or hit["what"])
    if joke := idioms.joke(part):
        yield "forget", f"about {joke}"
    if hit := _WRONGLY.match(part):
        what = _object(hit["what"])
        yield "forget", what if _WIDE.match(what) else f"that {what}"
    if hit := _MAY_GO.match(part):
        yield "forget", hit["what"]
    if hit := _NOT_KEPT.match(part):
        name = hit["rather"] or hit["wrong"] or hit["out"]
        name = f"about {name}" if name else hit["what"]
        yield "forget", name or f"everything about {hit['none']}"
    if hit := _TAKE_BACK.search(part):
        yield "take back", hit["what"].split(",")[0].strip()


def _told(part: str, hit: re.Match) -> bool:
    """Whether a request behind a subject only tells what somebody does: "and forget my keys"."""
    front = part[: hit.start()]
    what = _object(hit["what"])
    if hit["just"] and idioms.is_habit(front):
        return True
    if hit["loose"] is None or not _SUBJECT.search(front) or idioms.front(front):
        return False
    if PLEASE.search(part) and not _BARE.match(what):
        return False
    return not (LAST.match(what) and idioms.OF_TELLING.search(front))


def _object(what: str) -> str:
    """What a request is about, without what only addresses the one who is asked."""
    what = idioms.first(what)
    bare = what if ALL.match(what) else _ADDRESS.sub("", _END.sub("", what)).strip(" ,.!?")
    return " ".join(bare.split())
