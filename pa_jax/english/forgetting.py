"""What the user's words ask to have forgotten: requests, and the words that name what is meant.

"Forget that" points at what was said before; "forget that I like tea", "forget about the tea" name
it; "everything about music" names a topic, "everything you know about me" all there is. "Don't
forget that ..." asks for nothing, "and forget that ..." behind a subject tells what somebody does,
and where a text is worked on ("the second verse"), it is the text that loses something.
"""

import dataclasses
import re
from collections.abc import Iterator

from pa_jax.english import abroad, changes, errands, forget_words, idioms, stance, statements, words

_ABOUT = re.compile(r"\W*(?:about|regarding|on)\b", re.IGNORECASE)
_POINTS = re.compile(r"\b(?:it|them|that|those|these)\b", re.IGNORECASE)
# "that" is something said with these, without "scratch that", which corrects (changes.py)
_SAID = re.compile(
    r"forget|bin|un-?\w+|delete|erase|remove|wipe|do not|stop|no longer|take out"
    r"|(?:there is |you )?(?:no need|need not)|not (?:keep|store|save|remember|hold)"
)
# nuts are removed from elsewhere, too: "remove the nuts"; what is unlearnt was known
_OF_MEMORY = re.compile(
    r"(?:forget|disregard|scratch|scrap|strike|never mind|un-?\w+|stop remembering"
    r"|(?:pretend|act|behave) .*"
    r"|.*\b(?:need|have) .*(?:remember|h[ao](?:ld|ng) on ?to))$"
)
_SURELY = re.compile(r"(?:un-?\w+|stop remembering|(?:pretend|act|behave) .*|.*\bneed .*remember)$")
_POLITE = re.compile(r"(?:forget|.*\b(?:remember|know|note))$")  # so with "please"
_TOLD = re.compile(
    r"^(?:that )?i (?:ever |just |have )*(?:said|told you|mentioned|noted)"
    r" (?:(?:anything |something |a word )?about |that )?"
    r"(?!(?:that|it|this|anything|something|so)$)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"^(?P<wide>(?:all|everything|anything|whatever|any|every)\s+)?"
    r"(?:(?:that|this|it|ones?|stuff|things?|bits?|part|what|you|your|i|we|have|has|had|got|ever|just"
    r"|once|know|noted|saved|stored|kept|keep|gathered|collected|heard|remember|learned|learnt|said"
    r"|mentioned|told you|earlier|before|the|facts?|notes?|line|entry|memory|of|there is|traces?"
    r"|mentions?|records?|data|info(?:rmation)?|details?|relat(?:ing|ed)|connected|slate"
    r"|clean)\s+)*"
    r"(?:about |that |regarding |on |concerning |to do with |with |where |how |my |our "
    r"|(?<=trace of )|(?<=traces of )|(?<=mention of )|(?<=mentions of )"
    r"|(?<=relating )to |(?<=related )to |(?<=connected )(?:to|with) "
    r"|(?<=what i )|(?<=who i )|(?P<bare>(?<=the )))(?P<rest>.+?)"
    r"(?P<noted>(?: (?:things?|bit|part|stuff|business|info(?:rmation)?|details?|facts?|entry"
    r"|comment"
    r"|remark|notes?|ones?))?"
    r"(?: (?:that )?(?:i|you) (?:ever |have )?(?:told|said|mentioned|know|noted|saved)(?: you)?)?"
    r"(?: (?:earlier|before|yesterday|last time))?"
    rf"(?: (?:from|in|off|out of|on) {forget_words.FILES}| on (?:record|file))?)$",
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
    rf"(?: (?:bit|thing|part|stuff))? (?:from|in|off|out of) {forget_words.FILES}$",
    re.IGNORECASE,
)


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
    polite = forget_words.PLEASE.search(words.expanded(heard)) is not None or idioms.keeps_another(
        heard
    )
    for verb, what, before in _asked(heard):
        if verb == "bin" and not idioms.OF_TELLING.search(heard):
            continue
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
    if forget_words.ALL.match(what):
        return ForgetRequest("", every=True)
    if forget_words.LAST.match(what):
        if not (_SAID.match(verb) or idioms.front(before)):  # "scratch that" corrects
            return None
        unclear = verb in ("forget", "unlearn") and not before
        return ForgetRequest("", before=before, unclear=unclear, it=what.lower() == "it")
    if kept := _FROM_FILES.match(what):
        if forget_words.LAST.match(kept["rest"]):
            return _read("delete", kept["rest"], before, polite)
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
        naming = [hit for hit in found if not forget_words.LAST.match(hit[1])]
        for verb, what in naming or found:  # "all my films can go, delete them"
            head = forget_words.ASKING.sub("", part[: max(part.lower().find(verb), 0)]).strip(
                " ,-–—"
            )
            meant = forget_words.LAST.match(what) and (verb, what) != ("forget", "it")
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
    for sentence in changes.sentences(idioms.unquoted(words.expanded(heard), forget_words.FORGET)):
        question = sentence.endswith("?")
        quoted, before = False, ""  # whether what stands behind the colon is another's
        pieces = re.split(r"([;:](?!\d))", sentence)
        for sign, part in zip(["", *pieces[1::2]], pieces[::2], strict=True):
            part = forget_words.YOU.sub("you", part.strip(" .!?\n"))
            part = forget_words.SPLIT.sub(r"\1 \3 \2", part)
            quoted = quoted or (sign == ":" and idioms.introduces(before))
            before = part
            idle = quoted or idioms.asks_nothing(part, question)
            found = [] if idle else list(forget_words.found(part))
            asks = not found and question and (changes.only_asks(sentence) or idioms.topic(part))
            yield f"{part}?" if asks else part, found
