"""A statement about a user, taken apart: what it is about, for or against, where and when.

English only. A statement in another language has all its words as its core: it is compared as a
whole. Nothing here knows of facts or slots; profile/relation.py compares what is read here.
"""

import dataclasses
import functools
import re
from typing import Any

from pa_jax.english import abroad, memory, opinions, person, roundabout, stance, words

# What kind of thing a statement says; only like is compared with like (profile/relation.py).
LIKE = "like"  # a stance: likes, dislikes, wants
ALLERGY = "allergy"
HABIT = "habit"  # eats, drinks, listens to, watches, reads, plays: what one also likes
HAVE = "have"
BE = "be"
DO = "do"  # any other verb

_HABITS = frozenset("eat drink listen watch read play".split())
_HAVING = frozenset("have has own owns got".split())
_BEING = frozenset("is are am was were be been".split())
# verbs that say little by themselves: "lives in Ghent" is known by "Ghent"
_LIGHT_VERBS = frozenset(
    "liv work eat drink listen watch read play own us use tak wear speak call nam go get keep mak "
    "com look driv rid do have need want buy cook order start mov stay".split()
)
_FILLERS = frozenset(
    "the a an user user's this is are am was were be been being do does did to of in on at for "
    "with by and or that who which it its their his her my i me would will can could may might "
    "must should has have had got there as from into about".split()
)
_DEGREES = frozenset(
    "really very quite rather much most mostly lot lots best just always usually often sometimes "
    "generally only also too still now currently anymore longer instead nowadays strictly "
    "absolutely truly totally fully completely ever already again more so particularly especially "
    "certainly all well either regularly normally typically definitely simply actually favourite "
    "favorite".split()
)
AKIN = 0.6  # share of words from which two statements are about the same
_DENIALS = frozenset("not no never hardly rarely barely cannot any".split())
_COUNTING = frozenset(  # what stands before a number that counts, where nothing follows it
    "at until till is are am of to for about around under over above below than most least by from "
    "size age year aged turned turns exactly nearly almost up".split()
) | {""}

_UNIT = re.compile(r"^[€$£]|\d:\d|(?:[€$£%]|\d(?:k|m|kg|g|mg|l|ml|km|cm|h|am|pm))$")
_LEAD = re.compile(r"^(?P<lead>[^,]{2,80}),\s*(?P<rest>(?:the|this) user\b.+)$", re.IGNORECASE)
_LONGER = re.compile(r"\bno longer\b", re.IGNORECASE)
_SUBJECT = re.compile(r"^(?:(?:the|this) user(?:['’]s)?|i|we|my|our)\s+", re.IGNORECASE)
_ENDED = re.compile(
    r"^(?:the user|i) (?:used to|formerly|previously|once used to) (?P<rest>.+)$", re.IGNORECASE
)
_PAST = re.compile(r"\b(?:was|were|had|used to|formerly|previously)\b", re.IGNORECASE)
_EXCEPT = re.compile(
    r"\b(?:except(?:ing)?(?: for)?|apart from|other than|but not|excluding|unless)\b", re.I
)
_OVER = re.compile(r"\b(?:over|rather than|instead of|more than|better than|than)\b", re.I)
_REASON = re.compile(r"\b(?:because|since|due to|so that|in order to)\b.*$", re.IGNORECASE)
_OFTEN = re.compile(
    r"\b(?:every|each) (?:other )?(?:single )?(?:day|week|month|year|time)\b"
    r"|\b(?:daily|weekly|monthly)\b|\b(?:these|nowa) ?days\b|\bat the moment\b|\bby now\b"
    r"|\bof all\b|\ba (?:lot|bit|little)\b|\bat all\b|\bfrom now on\b",
    re.IGNORECASE,
)
TIMES = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun|week|work|holi|birth)days?|weekends?|mornings?"
    r"|afternoons?|evenings?|nights?|noon|midday|summers?|winters?|spring|autumn|fall|christmas"
    r"|easter|january|february|march|april|may|june|july|august|september|october|november"
    r"|december|free days?|days? off|lunchtime|bedtime|mealtimes?"
)
_PLACES = (
    r"work|home|school|university|office|gym|parties|party|meetings?|lunch|dinner|breakfast"
    r"|dessert|public|private|bed|car|train|trains|bus|flights?|plane|planes|road|trips?|travels?"
    r"|holidays?|vacations?|journeys?|workouts?|training|kitchen|restaurants?|class|church"
    r"|concerts?|hikes?|walks?|business|guests|friends|recipes?|emails?|letters?|chats?|code|health|fun|phone"
    r"|mobile|computer|laptop|tablet|(?:\w+ )?(?:clients|customers|colleagues|visitors"
    r"|students|pupils|patients)"
)
_ADJECTIVE = r"(?:the |a |an |his |her |their |my |any |all |most |long |short |free |\w+ing )*"
_SCOPE = re.compile(
    r"\b(?:when(?:ever)?|while|if|during|after|before|as long as)\b[^,;]*"
    rf"|\b(?:at|on|in|for|with|over|around|by|until|off)\s+{_ADJECTIVE}(?:{TIMES}|{_PLACES})\b"
    rf"(?:\s+(?:only|{TIMES}))?"
    r"|(?<!\bopts )(?<!\bgoes )(?<!\bgo )(?<!\blives )(?<!\bcare )(?<!\bfallen )(?<!\bfell )"
    r"\bfor (?:\w+ing)\b"
    rf"|\b(?:every|each) (?:{TIMES})\b"
    rf"|\b(?:mornings|evenings|nights|afternoons|weekends|{TIMES}) only\b",
    re.IGNORECASE,
)
_AS = re.compile(r"\bas (?:a|an|the|his|her|their|my|one's)\b[^,;]*", re.IGNORECASE)
_PASSING = re.compile(
    r"\b(?:(?<!from )(?<!as of )(?<!since )(?<!starting )(?<!beginning )(?<!effective )"
    r"this (?:time|one|once|trip|flight"
    r"|week|weekend|month|evening|morning|afternoon|year)"
    r"|for now|for once|just once|for a change|tonight|(?<!as of )(?<!from )(?<!starting )today"
    r"|tomorrow|temporarily|at the moment|right now|in the mood"
    r"|for the (?:moment|time being)|for this \w+|on this \w+"
    r"|for the next (?:few |couple of |\w+ )?(?:day|week|month|year)s?"
    rf"|until (?:further|next|then|tomorrow|{TIMES}))\b",
    re.IGNORECASE,
)
_TODAY = re.compile(  # a state; what happened today lasts: "moved to Berlin today"
    r"^the user (?:is|feels|wants|needs|has)"
    r"(?! (?:\w+ed|become|got|been|quit|left|lost|met|begun)\b) .*"
    r"\b(?:(?<!as of )(?<!from )(?<!since )(?<!starting )(?<! of )today|tonight)\W*$",
    re.IGNORECASE,
)
_ALLERGY = re.compile(r"\b(?:allerg\w+|intoleran\w+|anaphyla\w+|tolerates?|reacts? to)\b", re.I)
_BARRED = re.compile(
    r"(?:can|may|must|should|is (?:able|allowed) to) not\b|is not (?:able|allowed) to\b"
    r"|is (?:forbidden|advised not)\b|has to avoid\b",
    re.IGNORECASE,
)
_NOT_ILL = re.compile(r"\b(?:not(?! tolerate)|no|never|(?<!not )tolerates?)\b")
_CURED = re.compile(r"\b(?:outgrew|outgrown|got over|cured)\b", re.IGNORECASE)
_ILL = frozenset("allerg intoler anaphylactic anaphylaxi tolerat reaction sever react food".split())


@dataclasses.dataclass(frozen=True)
class Statement:
    """What a statement says.

    A `wire.Statement` is a fact as it comes over HTTP.

    whose       of whom it tells, "" for the user
    kind        LIKE, ALLERGY, ... ; `verb` is the habit's or the stance's words
    against     whether it denies or rejects its core
    core        stems of what it is about, in order, without what stands below
    numbers     the numbers in it, digits
    over        what the core is preferred to
    scope       stems of the situations it holds in
    exceptions  stems of what it does not hold for
    barred      whether it tells of what the user may or can not do
    past        whether it tells how things were
    passing     whether it holds for this once
    """

    whose: str
    kind: str
    verb: str
    against: bool
    core: tuple[str, ...]
    numbers: tuple[str, ...]
    over: frozenset[str]
    scope: frozenset[str]
    exceptions: frozenset[str]
    barred: bool
    past: bool
    passing: bool

    @functools.cached_property
    def named(self) -> frozenset[str]:
        """The core without verbs that say little; what is one, and stands last, is no verb."""
        return frozenset(self.core) - _LIGHT_VERBS or frozenset(self.core[-1:])

    @functools.cached_property
    def about(self) -> tuple[Any, ...]:
        """Equal for statements for and against the same, whatever else they say of it."""
        parts = (sorted(self.core), self.numbers, sorted(self.over))
        return (self.whose, *map(tuple, (*parts, sorted(self.scope), sorted(self.exceptions))))


@memory.remembered(16384)
def parse(statement: str) -> Statement:
    """The statement taken apart."""
    text = roundabout.plain(abroad.rendered(words.alike(statement))).strip().rstrip(".!。！")
    lead = _LEAD.match(text)
    if lead:
        text = f"{lead['rest']} {lead['lead']}"
    whose, passing = person.whose(text), _PASSING.search(text) is not None
    text = stance.settled(_LONGER.sub("not", _SUBJECT.sub("", text, count=1)))
    text, exceptions = _cut(_EXCEPT, _PASSING.sub(" ", _REASON.sub("", text)))
    text, over = _cut(_OVER, text)
    found = stance.find(text)
    scope, text = situations(text, bool(found.words))
    found = stance.find(text)
    opinion = None if found.words else opinions.find(text)
    if opinion:
        against, how, of_what = opinion
        found = stance.Found(against, "", how, of_what)
    past = _PAST.search(found.before[:24]) is not None
    ill = _ALLERGY.search(text) is not None
    parts = _tokens(f"{found.before} {found.object}")
    kind, verb, parts = _kind(found, parts, ill)
    against = found.against
    if ill:  # what counts is whether the allergy is there
        denied = len(_NOT_ILL.findall(text[:40]))
        against = denied % 2 == 1 or _CURED.search(text) is not None
        parts = [part for part in parts if part not in _ILL] or parts
    elif not found.words and "no" in parts[:2]:  # "has no car", "eats no meat"
        against = not against
    counted = _counted(text)
    numbers = tuple(part for part in parts if part in counted)
    core = [part for part in parts if part not in _DENIALS and part not in counted]
    if not core and not numbers:
        core = list(words.tokens(statement)) or [statement.casefold()]
    return Statement(
        whose,
        kind,
        verb,
        against,
        tuple(core),
        numbers,
        frozenset(_tokens(over)),
        frozenset(_tokens(scope)) - {"every", "each"},
        frozenset(_tokens(exceptions)),
        _BARRED.match(text) is not None and kind != LIKE,
        past,
        passing,
    )


def _counted(text: str) -> frozenset[str]:
    """The numbers that count something ("two cats", "at 6"), not those of a name ("Portal 2")."""
    found, tokens = set(), words.tokens(text)
    for before, word, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        number = words.NUMBERS.get(word, word)
        counts = after not in _FILLERS | {""} or before in _COUNTING or _UNIT.search(number)
        if words.NUMBER.match(number) and counts:
            found.add(number)
    return frozenset(found)


def _cut(pattern: re.Pattern, text: str) -> tuple[str, str]:
    """The text before the pattern, and behind it."""
    hit = pattern.search(text)
    return (text[: hit.start()], text[hit.end() :]) if hit else (text, "")


def situations(text: str, wanted: bool = True) -> tuple[str, str]:
    """The situations in a text, and the text without them; all of it stays where nothing else is.

    "as a drink" is a situation of what is wanted, "as a nurse" is what somebody works as.
    """
    text = _OFTEN.sub(" ", text)
    patterns = (_SCOPE, _AS) if wanted else (_SCOPE,)
    scope = " ".join(hit[0] for pattern in patterns for hit in pattern.finditer(text))
    rest = text
    for pattern in patterns:
        rest = pattern.sub(" ", rest)
    found = stance.find(rest)
    bare = [t for t in _tokens(f"{found.before} {found.object}") if t not in _LIGHT_VERBS]
    return (scope, rest) if set(bare) - _DENIALS else ("", text)


def _kind(found: stance.Found, parts: list[str], ill: bool) -> tuple[str, str, list[str]]:
    """Kind and verb of a statement, and its words without that verb."""
    if ill:
        return ALLERGY, "", parts
    if found.words:
        return LIKE, found.words.lower(), parts
    known = _DENIALS | _DEGREES | {"do", "does", "did", "can", "could", "may"}
    head = [word for word in words.tokens(found.before) if word not in known]
    first = head[0] if head else ""
    if first in _HAVING and len(head) > 1:
        return HAVE, "have", [part for part in parts if part != "own"]
    if first in _BEING and not (len(head) > 1 and re.search("[a-z]{3}ing$", head[1])):
        return BE, "be", parts
    verb = next((part for part in parts if part not in _DENIALS), "")
    if verb in _HABITS and len(parts) > 1:
        return HABIT, verb, [part for part in parts if part != verb]
    return DO, verb, parts


def _tokens(text: str) -> list[str]:
    """Stems that carry content, in order; numbers as digits."""
    kept = (word for word in words.tokens(text) if word not in _FILLERS and word not in _DEGREES)
    return list(dict.fromkeys(words.NUMBERS.get(word) or words.stem(word) for word in kept))


@memory.remembered(4096)
def topic(statement: str) -> str:
    """Equal for statements for and against the same: "likes tea", "hates tea", "no tea"."""
    return repr(parse(statement).about)


@memory.remembered(4096)
def key(statement: str) -> str:
    """`topic`, and on which side the statement stands."""
    read = parse(statement)
    return repr((read.kind, read.against, read.past, *read.about))


def vague(statement: str) -> bool:
    """Whether a statement does not say what it is about: "finds them dull", "likes that one"."""
    return _VAGUE.search(statement.strip()) is not None


def ended(statement: str) -> str | None:
    """What "The user used to ..." says is over, as a statement; None for any other."""
    found = _ENDED.match(statement.strip())
    return person.third_person(f"I {found['rest']}") if found else None


def passing(text: str) -> bool:
    """Whether a text speaks of this once only: "this time", "for now"."""
    return _PASSING.search(text) is not None


def of_today(statement: str) -> bool:
    """Whether a statement is a state of today: "has nice weather today"."""
    return _TODAY.match(statement) is not None


def lasting(text: str) -> bool:
    """Whether a text says anything beside "this time", "for now"."""
    return bool(words.content(_PASSING.sub(" ", text), words.STOP | {"just", "only"}))


def polarity(statement: str) -> str:
    """ "positive" or "negative" by the first stance, "neutral" for a state ("has two children")."""
    text = roundabout.plain(statement)
    found, read = stance.find(text), parse(statement)
    if found.words:
        return "negative" if found.against else "positive"
    if read.kind == ALLERGY:
        return "positive" if read.against else "negative"
    if read.against:
        return "negative"
    return "neutral" if read.kind in (HAVE, BE) or _STATE.match(text) else "positive"


_VAGUE = re.compile(
    r"^(?:the user|i) (?:(?:does|do|did) not )?[\w'’]+ (?:it|them|this|that|these|those)"
    r"(?: ones?)?(?: \w+)?\W*$",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"^(?:the|this) user(?:['’]s \w+)? (?:is|was|has|had|works|lives|owns|speaks|studies|knows"
    r"|finds)\b",
    re.IGNORECASE,
)


@memory.remembered(4096)
def content(text: str) -> frozenset[str]:
    """The words of a text that carry content, as stems; stances ("prefers") are not among them."""
    return frozenset(words.content(stance.without(words.expanded(text))))


def names(statement: str) -> frozenset[str]:
    """Stems of the proper names in a statement: words with a capital where no sentence begins."""
    named = re.findall(r"(?<!^)(?<![.!?] )\b[A-Z][\w'’-]+", statement)
    return frozenset(words.stem(w.lower()) for w in named if w not in ("I", "I'm")) - words.STOP


def said(statement: str, heard: frozenset[str]) -> float:
    """Share of what the statement is about among `heard`, the content words of the user.

    What tells one thing from another, names and numbers, counts before all.
    """
    read = parse(statement)
    sure = names(statement) | set(read.numbers)
    if sure and sure <= heard:
        return 1.0
    own = content(statement)
    shares = [
        sum(
            word in heard or words.misspelt(word, heard) or words.derived(word, heard)
            for word in part
        )
        / len(part)
        for part in (read.named, own)
        if part
    ]
    return max(shares, default=0.0)


def akin(a: str, b: str) -> bool:
    """Whether two statements are about the same, as far as words tell, whatever they say of it.

    An allergy is no taste: of the same nuts one may be told without the other.
    """
    one, other = parse(a), parse(b)
    if (ALLERGY in (one.kind, other.kind)) and one.kind != other.kind:
        return False
    shared = one.named & other.named | set(one.numbers) & set(other.numbers)
    return one.whose == other.whose and len(shared) >= AKIN * max(
        min(len(one.named), len(other.named)), 1
    )


def without_subject(statement: str) -> str:
    """What follows "The user" or "I"."""
    return _SUBJECT.sub("", statement, count=1)


def tells(word: str) -> bool:
    """Whether a word carries content: it neither joins, nor denies, nor says how much."""
    return word not in _FILLERS | _DEGREES | _DENIALS
