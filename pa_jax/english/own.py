"""Whether what a statement says is the user's own and holds: no request, nor another's or past."""

import itertools
import re

from pa_jax.english import changes, person, stance, statements, words

_ASKS = re.compile(
    r"^\W*(?:(?:and|but|so|also|then|now|hi|hello|hey|hi there|please|kindly|just|ok|okay)\W+)*(?:"
    r"(?:does|is|are|has) (?!I\b|to\b)\w+"  # "have a dog", "did Georgia last spring" leave "I" out
    r"|(?:do|did|have) (?:you|we|they|he|she|it|people|any\w*|some\w*|all|most|the|these|those"
    r"|there|your|others)\b"
    r"|(?:can|could|would|will|should|might) (?:you|we|one|it|he|she|they|some\w+|any\w+|the|a|an"
    r"|my|our|this|that|these|those|there)"
    r"|(?:what(?! (?:\w+ )?(?:people|others|everyone|anyone|they) sees?\b)"
    r"|which|who(?!(?:['’]d| would| had) have\b| am i kidding\b)"
    r"|how(?! (?:good|nice|lovely|great|wonderful|sad|funny)\b))\b"
    r"|any (?:idea|tip|suggestion)s?\b"
    r"|make(?! that| it| (?:the|my|our) [\w ]+ \W?\d[\w.,]*\W*$)"  # "make the budget 300"
    r"|give|tell|show|help|write|find|explain|suggest|recommend|list|draft|plan"
    r"|shorten|translate|summari[sz]e|turn|convert|fix|check|compare|describe|define|name|create"
    r"|generate|rewrite|rephrase|proofread|calculate|compute|sort|draw|sketch|prepare"
    r"|design|teach|remind|walk me|talk me|think of|come up|look up|do an?"
    r"|be more (?:specific|detailed)|add|enumerate|identify|split|simplify|improve|re-write|craft"
    r"|display|simulate|elaborate|expand|continue|complete|paraphrase|solve|implement|refactor"
    r"|debug|extract|classify|analy[sz]e|outline|format|count|estimate|predict"
    r"|(?:some )?(?:other|another|more|\d+) (?:\w+ )?(?:ways?|words?|names?|ideas?|examples?"
    r"|suggestions?|titles?|versions?)"
    r")\b",
    re.IGNORECASE,
)
_LIKEWISE = re.compile(  # "so do canals" asks for nothing
    rf"^\W*(?:and )?(?:so|neither|nor){changes.LIKEWISE}", re.IGNORECASE
)
_STANDING = re.compile(  # a request for all replies to come says what the user wants
    rf"\b(?:always|never|{changes.SINCE}|in future|going forward|only|rather than|exact"
    r"|instead of|keep|every time|each time|by default|for good|in general|any day"
    r"|no longer|not|answers|replies|responses|explanations)\b"
    r"|^\W*(?:can|could|would) (?:you|we) (?:please |just )?(?:(?<=we )do|use|keep|stick to"
    r"|answer|reply|respond|speak|address|call me|switch)"
    r"|\b(?:write|talk|speak|explain(?: \w+)?)(?: to me)? in (?-i:[A-Z])\w+|\b(?:tell|give"
    r"|show) me \w+s in \w+"
    r"|^\W*(?:please )?(?:write|explain|answer|reply|describe|show|summari[sz]e)"
    r"(?: (?:it|things|everything|this|that|to me|me|(?:all |any )?my \w+s))*\s+"
    r"(?:in|as|without|using|like|more|less|briefly|simply|with)\b",
    re.IGNORECASE,
)
_STANCES = (
    r"prefers|likes|loves|enjoys|wants|favou?rs|adores|hates|avoids|insists on|goes for|opts for"
    r"|swears by|sticks to|asked for|raves? about|(?:is|are) (?:mad|crazy|nuts) about"
    r"|(?:is|are) (?:into|fond of)|can(?:['’]t| not) (?:stand|bear|get enough of)"
)
_DOINGS = (
    r"eats|drinks|plays|uses|does|sells|has|gave up|quit|lives|moved|works|needs|takes|switched"
)
_STATES = r"is|are|was|were|has|have|had|can|cannot|could|got|gets|turn(?:s|ed)"
_KIN = "|".join(sorted(person.KIN))
# whose state is no matter of the user's: what a doctor or a boss says often is one, as is a pet's
_CLOSE = "|".join(
    sorted(person.KIN - set("doctor teacher boss manager accountant family dog cat pet".split()))
)
_OTHERS = re.compile(  # somebody else's stance, or of a person of the user's also what they do
    rf"^\W*(?:\w+(?: \w+)?[,.:]\W+)?(?:(?:(?!I\b|We\b)[A-Z]\w+|[Aa]n? [\w ]{{1,30}}? I know)"
    rf"(?: from \w+)? (?:{_STANCES})"
    rf"|(?:[Mm]y (?:\w+ )?(?:{_KIN})|(?:[Mm]y|[Oo]ur) (?P<whose>\w+)|[Hh]e|[Ss]he|[Tt]hey)"
    rf"(?: from \w+)? (?:{_STANCES}|{_DOINGS})"
    rf"|(?:(?:[Mm]y|[Oo]ur) (?:\w+ )?(?:{_CLOSE})|[Hh]e|[Ss]he) (?:{_STATES}))\b"
    r"(?! (?:(?:me|us)\b|(?:it|that) to\b))"  # to the user: "they switched me to another tablet"
)
_FOR_ME = re.compile(r"\b(?:for|to) (?:me|us)\b", re.IGNORECASE)  # what they did is the user's
_DESCRIBES = re.compile(r"^\W*(?:he|she|they) (?:is|are)\b", re.IGNORECASE)  # a pet of theirs, say
_LIKES = (  # of things that a user who cooks for them may leave out
    r"likes|loves|enjoys|adores|swears by|raves? about|lives on|lived on|fancies"
    r"|is (?:also |really )?(?:mad|crazy|nuts|obsessed|passionate) (?:about|with)"
    r"|is (?:into|fond of|keen on)|can(?:['’]t| ?not) get enough of"
)
_LIVES = (  # of no concern to the user; what they walk or breathe with may be
    r"(?:eats|drinks|watches|listens to)(?! (?:no|only|nothing)\b)|plays|grows|grew|sells|does"
    r"|thinks|says|keeps \w+ing|goes|has been (?:on|to|in)\b"
    r"|uses(?! (?:an? )?(?:\w+ )?"
    r"(?:walker|wheel\w+|stick|cane|frame|hearing|inhaler|oxygen|insulin))"
)
_TASTE_OF = re.compile(  # what an adult likes, or one of another household does, is theirs alone
    rf"^the user has (?:\w+ ){{0,3}}(?:(?!{person.HOUSEHOLD}|(?:dog|cat|pet|doctor)s?\b)(?:{_KIN})"
    r"(?:[ -]in[ -]law)? who (?:also |really )?"
    rf"(?:{_STANCES}|{_LIKES}|dislikes|{_LIVES})"
    rf"|(?:{person.SPOUSE}) who (?:also |really )?(?:{_LIKES}))\b"
    r"(?!.*\b(?:with|for) (?:them|the user)\b)",
    re.IGNORECASE,
)
_OF_KIN = re.compile(rf"\b(?:my|our) (?:\w+ )?(?:{_KIN})(?:s|es)?\b", re.IGNORECASE)
_REACTS = re.compile(  # the user's own mind about what was said of another
    r"\bnot (?:my \w+|for me|me|mine)\b|^\W*(?:and )?me\? (?:not|no|never|i) "
    r"|\bthat is what I (?:am (?:after|looking for)|want|need|like)\b"
    r"|\bI (?:just |simply |really |honestly )?(?:do not(?! get| know| see| understand| think)"
    r"|am not|find (?:it|that|them|those)|never"
    r"|prefer|hate|can not)\b"
    r"|\b(?:neither|so) (?:do|am) I\b|\bme (?:too|neither)\b",
    re.IGNORECASE,
)
_SAYS = re.compile(
    r"^the user (?:(?:just|now|also|has|would like to|wants to) )*(?:tak(?:es?|en) back|took back"
    r"|retract(?:s|ed)?|withdraw(?:s|n)? (?:what|the)|apologi[sz]e[sd]?|thank(?:s"
    r"|ed)? the assistant"
    r"|chang(?:es?|ed) (?:their|his|her) minds?(?!.*\b(?:often|easily|a lot|frequently|always)\b)"
    r"|correct(?:s|ed) (?:what|themsel\w+|himself|herself))\b",
    re.IGNORECASE,
)
_USED = re.compile(r"\bI used to (?:really |always |often |absolutely )?(?P<rest>.+)$", re.I)
_STILL = re.compile(r"\b(?:now|still|again|these days|nowadays|since)\b", re.IGNORECASE)
_SHORT = 6  # words of a sentence that only judges
_TOPIC = re.compile(  # "Steep stairs? Not for me.": named to be judged, not asked for
    r"^\W*(?:(?:and|but|oh)\W+)?(?!(?:any\w*|what|which|who|whose|how|why|where|when|is|are|am|was|were|do|does|did|can"
    r"|could|would|will|should|shall|may|might|has|have|had|if|and|or)\b)(?:\S+\s+){0,7}\S+\?\W*$",
    re.IGNORECASE,
)
_RATHER = re.compile(  # "no pep talks, give me facts" is no request for this once
    r"\bno\b[^.?!]*\bgive me\b|\bgive me\b[^.?!]*\b(?:not|never)\b"
    r"|, (?:always|never|from now on|in future)\b",
    re.IGNORECASE,
)
_PERSONAL = re.compile(r"\b(?:I|me|my|mine|we|our|us|no|not|nothing|without|never)\b", re.I)
_IT = re.compile(r"\b(?:it|them|that|those|these)\b", re.IGNORECASE)


def not_own(statement: str, heard: str) -> bool:
    """Whether a statement only says what the user asks for, or what somebody else likes.

    It does when each clause of the words that holds half of its content words or more, and each
    sentence where no clause does, is a question, a request or another's stance, without a stance of
    the user's own. Where none is, as in "the second one, please", it was understood from what the
    words answer. A statement that tells of the other person tells the user's own business, but not
    what an adult of another household likes.
    """
    if _TASTE_OF.match(statement):
        return True
    own = statements.content(statement)
    if not own or not words.is_english(heard) or changes.puts_right(heard):
        return False
    sentences = [words.expanded(text) for text in changes.sentences(heard)]
    if any(_reacts(text, own) for text in sentences) or any(
        2 * len(own & statements.content(text)) >= len(own) for text in _judged(sentences)
    ):
        return False
    kin = bool(own & {words.stem(word) for word in person.KIN})
    clauses = [(clause, text) for text in sentences for clause in _clauses(text)]
    for parts in (clauses, [(text, text) for text in sentences]):
        carrying = [
            part for part in parts if 2 * len(own & statements.content(part[0])) >= len(own)
        ]
        if carrying:
            has = statements.parse(statement).kind == statements.HAVE
            carrying = [part for part in carrying if not (has and _DESCRIBES.match(part[0]))]
            return bool(carrying) and all(_is_foreign(*part, kin, own) for part in carrying)
    return False


def only_says(statement: str) -> bool:
    """Whether a statement tells an act of speech: "takes back what the user said about tea"."""
    return _SAYS.match(statement) is not None


def past(statement: str, heard: str) -> bool:
    """Whether the words tell only that it was so: "I used to love fondue"."""
    parts = [(clause, _USED.search(clause)) for clause in changes.clauses(heard)]
    if any(statements.akin(statement, person.third_person(part)) for part, hit in parts if not hit):
        return False
    was = [
        person.third_person(f"I {hit['rest']}")
        for part, hit in parts
        if hit and not _STILL.search(part)
    ]
    new, content = statements.parse(statement), statements.content(statement)
    return any(
        content <= statements.content(old)
        and (new.verb, new.against) == (statements.parse(old).verb, statements.parse(old).against)
        for old in was
    )


def _reacts(text: str, own: frozenset[str]) -> bool:
    """Whether a sentence gives the user's own mind about what it, or the one before, names."""
    if stance.is_own(text) and _IT.search(text):
        return True
    return _REACTS.search(text) is not None and bool(own & statements.content(text))


def _judged(sentences: list[str]) -> list[str]:
    """Sentences that ask for nothing though they look so: topics that the next one judges."""
    topics = [
        text
        for text, after in itertools.pairwise(sentences)
        if _TOPIC.match(text) and not _ASKS.match(text)
        if not after.rstrip().endswith("?")
        and not _ASKS.match(after)
        and not _OTHERS.match(after.strip())  # "Sushi? My sister loves it."
    ]
    topics += [
        text
        for text, after in itertools.pairwise(sentences)
        if _REACTS.search(after) and len(after.split()) <= _SHORT and "?" not in after
    ]
    return topics + [text for text in sentences if _RATHER.search(text)]


def _clauses(sentence: str) -> list[str]:
    """The clauses of a sentence, the last one with the mark that ends it."""
    parts = list(changes.clauses(sentence))
    mark = sentence[-1] if sentence.endswith((".", "!", "?")) else ""
    return [*parts[:-1], f"{parts[-1]}{mark}"] if parts else []


def _is_foreign(text: str, sentence: str, about_kin: bool, own: frozenset[str]) -> bool:
    """Whether a clause asks, or speaks of another's stance, and of none of the user's own.

    What stands behind a request in its sentence is asked for as well, if it names nobody and rules
    nothing out: "suggest five films that are original". "My flat has two rooms" tells of the user
    where the statement names the flat.
    """
    if stance.is_own(text):
        return False
    other = _OTHERS.match(text.strip())
    if other and not _FOR_ME.search(text):
        whose = words.stem((other["whose"] or "").lower())
        return not about_kin and whose not in own | person.BODY
    if about_kin and _OF_KIN.search(text):  # "what can I cook when my son can't have eggs?"
        return False
    asks = text.rstrip().endswith("?")
    asks = asks or (_ASKS.match(text) is not None and not _LIKEWISE.match(text))
    asks = asks or (_ASKS.match(sentence) is not None and not _PERSONAL.search(text))
    return asks and not _STANDING.search(text)
