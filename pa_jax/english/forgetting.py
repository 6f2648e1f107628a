"""What the user's words ask to have forgotten: requests, and the words that name what is meant.

"Forget that" points at what was said before; "forget that I like tea", "forget about the tea" name
it; "everything about music" names a topic, "everything you know about me" all there is. "Don't
forget that ..." asks for nothing, "and forget that ..." behind a subject tells what somebody does,
and where a text is worked on ("the second verse"), it is the text that loses something.
"""

import dataclasses
import re
from collections.abc import Iterator

from pa_jax.english import abroad, changes, errands, idioms, stance, statements, words

_KEEP = "remember|know|keep|save|store|note|record|hold|track|log"
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
_FILES = (
    r"(?:your (?:notes?|memory|memories|records?|files?|data)"
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
    rf"|(?:take|throw|cross|rub|leave|keep|pull|cut|get)(?= .{{1,60}} (?:off|from|out of) {_FILES})"
    r"|(?:pretend|act|behave)(?: (?:that|as if|as though|like))?(?:"
    r" i (?:have |had )?(?:never|did not)(?: have)? (?:said|say|mention(?:ed)?|told you|tell you)"
    r"| you (?:have |had )?(?:never|did not|do not) (?:hear|heard|kn[eo]w|known|read)(?: of)?)"
    r"|reset(?= .{1,40}(?:preferences|tastes|habits|profile|memory)\b)"
)
_ASKED = (  # how one asks for it
    r"please|(?P<just>just)|(?:can|could|will|would) you|you can|you may|you should|let(?:['’]?s"
    r"| us)"
    r"|(?:is it possible|is there (?:a|any) way)(?: for you)? to"
    r"|we can|i (?:need|want|am asking|ask|beg|would like) you to|feel free to|favou?r and"
)
_FORGET = re.compile(
    rf"(?:(?P<start>^\W*(?:(?:{idioms.OPENING})\b\W*)*)|\b(?:{_ASKED})(?: please| just)?\s+"
    rf"|(?P<loose>(?:,|\s[-–—])\s*(?:so )?|\band\s+))(?P<verb>{_VERBS})\s+(?P<what>.{{1,200}})",
    re.IGNORECASE,
)
_WOULD_MIND = re.compile(
    r"\b(?:would|do) you mind (?P<verb>forgett|delet|eras|remov|wip|dropp|unlearn)ing"
    r" (?P<what>.{1,200})",
    re.IGNORECASE,
)
_SPLIT = re.compile(  # "take it out" is "take out it"
    rf"\b(take|throw|cross|rub|leave|keep|wipe|clear|scrub) (it|that|this|them|those) ({_OUT})\b",
    re.IGNORECASE,
)
_ENDS = r"(?:,? (?:now|too|as well|then|please.*|anymore|any longer|in there|there))*(?:,.*)?$"
_MAY_GO = re.compile(  # "all the music stuff can go"
    r"^\W*(?P<what>(?:all|everything|anything|whatever)\b.{1,80}?"
    rf"|.{{1,60}}?(?= (?:in|on|from) {_FILES}))"
    rf"(?: (?:in|on|from) {_FILES})? (?:can|should|may|must|ought to|needs? to|has to|have to) "
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
    rf"(?:on (?:record|file)|{_KEPT}|in {_FILES})"
    r"|i would (?:rather|prefer)(?: it)?(?: if)? (?P<rather>.{1,60}?) (?:was|were|is) not "
    rf"(?:{_KEPT}|on (?:record|file)|(?:{_KEPT} )?(?:in|on) {_FILES})"
    r"|(?P<wrong>.{1,60}?) should not (?:be|have been) "
    rf"(?:on (?:record|file)|(?:{_KEPT} )?(?:in|on) {_FILES})"
    r"|i (?:want|need|would (?:like|prefer)) (?P<out>.{1,60}?) (?:to be )?"
    rf"(?:forgotten|(?:{_LOST})(?: {_OUT})?(?: from| of)? {_FILES})"
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
_YOU = re.compile(r"\bu\b")

_ABOUT = re.compile(r"\W*(?:about|regarding|on)\b", re.IGNORECASE)
_POINTS = re.compile(r"\b(?:it|them|that|those|these)\b", re.IGNORECASE)
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
_PLEASE = re.compile(r"\bplease\b", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\b(?:please|kindly|again|now|thanks|thank you|for me|about me|too|completely|entirely|fully"
    r"|altogether|forever|for good|anymore|any longer|at once|right away|immediately|as well"
    r"|tho|though|ok"
    r"|okay|would you"
    r"|will you)\b",
    re.IGNORECASE,
)
_LAST = re.compile(
    r"^(?:(?:all )?(?:of )?|about )(?:that|this|it|those|them|(?:the|that) last (?:one|thing|part"
    r"|bit)"
    r"|what i (?:just )?(?:said|told you))(?: one| part| thing)?$",
    re.IGNORECASE,
)
# "that" is something said with these, without "scratch that", which corrects (changes.py)
_SAID = re.compile(r"forget|un-?\w+|delete|erase|remove|wipe|do not|stop|no longer|take out")
# nuts are removed from elsewhere, too: "remove the nuts"; what is unlearnt was known
_OF_MEMORY = re.compile(
    r"(?:forget|disregard|scratch|scrap|strike|never mind|un-?\w+|stop remembering"
    r"|(?:pretend|act|behave) .*"
    r"|.*\b(?:need|have) .*remember)$"
)
_SURELY = re.compile(r"(?:un-?\w+|stop remembering|(?:pretend|act|behave) .*|.*\bneed .*remember)$")
_POLITE = re.compile(r"(?:forget|.*\b(?:remember|know|note))$")  # so with "please"
_TOLD = re.compile(
    r"^(?:that )?i (?:ever |just |have )*(?:said|told you|mentioned|noted) (?:that |about )?"
    r"(?!(?:that|it|this|anything|something|so)$)",
    re.IGNORECASE,
)
_ALL = re.compile(  # all there is of the user
    r"^(?:(?:all|everything|anything|whatever|every\w*)\b(?: (?:\w+ ){0,5}?(?:on|about|of) me)"
    r"|(?:all (?:of )?)?(?:my|your) (?:whole|entire|full|complete) (?:profile|memory of me))$",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"^(?P<wide>(?:all|everything|anything|whatever|any|every)\s+)?"
    r"(?:(?:that|this|it|ones?|stuff|things?|bits?|part|what|you|your|i|we|have|has|had|got|ever|just"
    r"|once|know|noted|saved|stored|kept|keep|gathered|collected|heard|remember|learned|learnt|said"
    r"|mentioned|told you|earlier|before|the|facts?|notes?|line|entry|memory|of|there is|traces?"
    r"|mentions?|records?|data|info(?:rmation)?|details?|relat(?:ing|ed)|connected|slate"
    r"|clean)\s+)*"
    r"(?:about |that |regarding |on |concerning |to do with |where |how |my |our "
    r"|(?<=relating )to |(?<=related )to |(?<=connected )(?:to|with) "
    r"|(?<=what i )|(?<=who i )|(?P<bare>(?<=the )))(?P<rest>.+?)"
    r"(?P<noted>(?: (?:things?|bit|part|stuff|business|info(?:rmation)?|details?|facts?|entry"
    r"|comment"
    r"|remark|notes?|ones?))?"
    r"(?: (?:that )?(?:i|you) (?:ever |have )?(?:told|said|mentioned|know|noted|saved)(?: you)?)?"
    r"(?: (?:earlier|before|yesterday|last time))?"
    rf"(?: (?:from|in|off|out of|on) {_FILES})?)$",
    re.IGNORECASE,
)
_RELATED = re.compile(  # "anything health-related"
    r"^(?:all|everything|anything|whatever|any|every)\b.*?(?P<rest>\w+)[ -]related\b", re.IGNORECASE
)
_WIDELY = ("things", "stuff", "info", "detail")
_OF_LIFE = re.compile(
    r"\b(?:what|how|where|when) (?:i|we) (?:(?:like|love|prefer|want|enjoy) (?:to )?)?"
    r"(?!said\b|told\b)",
    re.IGNORECASE,
)
_FROM_FILES = re.compile(  # "strike tea from your notes" needs no "that" or "about"
    r"^(?!(?:all|everything|anything|whatever)\b)(?P<rest>[\w'’ -]{1,60}?)"
    rf" (?:from|in|off|out of) {_FILES}$",
    re.IGNORECASE,
)
_ASKING = re.compile(rf"\b(?:{_ASKED})\W*$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class ForgetRequest:
    """What one request asks to have forgotten.

    name     the words that name it, "" for "that" and for everything about the user
    every    whether it is everything about the user
    wide     whether it is a whole topic ("all my music")
    whole    whether a fact that lists several things goes as a whole
    loose    whether other things than what is remembered go by such words ("remove the nuts")
    memory   whether its verb is said of what is remembered
    before   of "that": the words in front that tell what it is, "" where none do
    unclear  whether "that" must be asked for where nothing tells what it is
    it       whether it may be what the user asked: "forget it"
    abroad   whether it is named in another language: as it was told
    """

    name: str
    every: bool = False
    wide: bool = False
    whole: bool = False
    loose: bool = False
    memory: bool = False
    before: str = ""
    unclear: bool = False
    it: bool = False
    abroad: bool = False


def requests(heard: str) -> Iterator[ForgetRequest]:
    """The requests to forget that name something, or point at it."""
    works = any(map(errands.works_on_text, changes.sentences(heard)))
    polite = _PLEASE.search(words.expanded(heard)) is not None or idioms.keeps_another(heard)
    for verb, what, before in _asked(heard):
        read = _read(verb, what, before, polite)
        kept = read is not None and read.memory and read.name and not read.loose
        if read is not None and (kept or not works):
            yield read
    for what in abroad.forgotten(heard):
        yield ForgetRequest(what, whole=True, unclear=not what, abroad=True)


def besides(heard: str) -> str:
    """The words without the requests to forget; taking a word back tells the opposite, too."""
    kept = []
    for part, found in _parts(heard):
        if not found and abroad.forgotten(part):
            continue
        if all(verb == "take back" for verb, _ in found):
            kept.append(part)
        else:  # "forget the nuts, I'm allergic to nuts"
            kept += idioms.told_behind(part)
    return ". ".join(kept)


def named(heard: str) -> frozenset[str]:
    """Words for what is to be forgotten, unless a stance stands beside it ("I hate it")."""
    return frozenset().union(*(asked for asked, beside in _judged(heard) if not beside))


def judged(heard: str) -> frozenset[str]:
    """Words for what is to be forgotten on which a stance beside the request turns: "I hate it"."""
    found = (asked for asked, beside in _judged(heard) if any(map(_POINTS.search, beside)))
    return frozenset().union(*found)


def _judged(heard: str) -> Iterator[tuple[frozenset[str], list[str]]]:
    """The words of each request, and the clauses beside it that give a stance of the user's."""
    for _, what, _ in _asked(heard):
        asked = statements.content((changes.clauses(what) or ("",))[0])
        others = (part for part in changes.clauses(heard) if not asked & statements.content(part))
        yield asked, [part for part in others if stance.is_own(part)]


def _read(verb: str, what: str, before: str, polite: bool) -> ForgetRequest | None:
    if _ALL.match(what):
        return ForgetRequest("", every=True)
    if _LAST.match(what):
        if not (_SAID.match(verb) or idioms.front(before)):  # "scratch that" corrects
            return None
        unclear = verb in ("forget", "unlearn") and not before
        return ForgetRequest("", before=before, unclear=unclear, it=what.lower() == "it")
    if kept := _FROM_FILES.match(what):
        return ForgetRequest(kept["rest"], memory=True)
    if related := _RELATED.match(what):
        return ForgetRequest(related["rest"], wide=True, whole=True, memory=True)
    if _POLITE.match(verb):
        what = re.sub(r"^(?=(?:i|we) )", "that ", _TOLD.sub("that ", what), flags=re.IGNORECASE)
    bare = not re.match(
        r"(?:the|my|our|that|about|all|every\w*|any\w*|wh\w+|how|i|it)\b", what, re.I
    )
    what = idioms.alone(what)
    if bare and (_SURELY.match(verb) or (polite and _POLITE.match(verb))):
        return ForgetRequest(what, loose=True, memory=True)
    hit = _NAMED.match(what)
    if hit is None or idioms.of_other_things(verb, what, hit["noted"]):
        return None
    one = hit["noted"] in (
        " one",
        " ones",
    )  # "the red one" may be anything, a "favourite colour one" not
    life = _OF_LIFE.search(what)  # "what I eat" is a topic
    of_all = hit["wide"] is not None or life is not None
    name = what[life.end() :].strip() if life else hit["rest"]
    if not name:
        return None
    return ForgetRequest(
        name,
        wide=of_all or hit["noted"].strip().startswith(_WIDELY),
        whole=hit["wide"] is not None,
        loose=hit["bare"] is not None and (one or not hit["noted"]),
        memory=bool(_OF_MEMORY.match(verb) or (polite and _POLITE.match(verb)))
        or (one and " " in name),
    )


def _asked(heard: str) -> Iterator[tuple[str, str, str]]:
    """Verb, object, and the words that stand before each request to forget, and name a thing."""
    before = ""
    for part, found in _parts(heard):
        naming = [hit for hit in found if not _LAST.match(hit[1])]
        for verb, what in naming or found:  # "all my films can go, delete them"
            head = _ASKING.sub("", part[: max(part.lower().find(verb), 0)]).strip(" ,-–—")
            meant = _LAST.match(what) and (verb, what) != ("forget", "it")
            topic = idioms.topic(before) if meant else ""
            if topic:  # "The juggling? Please don't keep that."
                yield verb, f"about {topic}", ""
            else:
                yield verb, what, head if idioms.tells(head) else before
        if part.endswith("?"):  # then "that" is what was asked
            before = part
        else:
            names = len(part.split()) > 2 or _ABOUT.match(part)
            before = part if names and idioms.tells(part) else ""


def _parts(heard: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each part of the words, with verb and object of the requests to forget in it."""
    for sentence in changes.sentences(idioms.unquoted(words.expanded(heard), _FORGET)):
        question = sentence.endswith("?")
        quoted, before = False, ""  # whether what stands behind the colon is another's
        pieces = re.split(r"([;:](?!\d))", sentence)
        for sign, part in zip(["", *pieces[1::2]], pieces[::2], strict=True):
            part = _YOU.sub("you", part.strip(" .!?\n"))
            part = _SPLIT.sub(r"\1 \3 \2", part)
            quoted = quoted or (sign == ":" and idioms.introduces(before))
            before = part
            idle = quoted or idioms.asks_nothing(part, question)
            found = [] if idle else list(_found(part))
            asks = not found and question and (changes.only_asks(sentence) or idioms.topic(part))
            yield f"{part}?" if asks else part, found


def _found(part: str) -> Iterator[tuple[str, str]]:
    """Verb and object of the requests to forget in a part of a sentence."""
    hit = _FORGET.search(part)
    if hit is not None and not _told(part, hit):
        yield hit["verb"].lower(), _object(hit["what"])
    elif hit := _NO_OBJECT.search(part):
        yield hit["verb"].lower(), "it"
    if hit := _WOULD_MIND.search(part):
        forgets = hit["verb"].lower().startswith("forg")
        yield "forget" if forgets else "delete", _object(hit["what"])
    if hit := _CAN_BE.search(part):
        yield "delete", _object(hit["before"] or hit["what"])
    if joke := idioms.joke(part):
        yield "forget", f"about {joke}"
    if hit := _WRONGLY.match(part):
        what = _object(hit["what"])
        wide = _NAMED.match(what)
        yield "forget", what if wide and wide["wide"] else f"that {what}"
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
    if _PLEASE.search(part) and not _BARE.match(what):
        return False
    return not (_LAST.match(what) and idioms.OF_TELLING.search(front))


def _object(what: str) -> str:
    """What a request is about, without what only addresses the one who is asked."""
    what = idioms.first(what)
    bare = what if _ALL.match(what) else _ADDRESS.sub("", what).strip(" ,.!?")
    return " ".join(bare.split())
