"""What the words of a statement say: for or against, by whose words, and which fact it replaces.

Rules over English words, ours; a statement in another language is positive and inferred.
"""

import functools
import re
from collections.abc import Container, Sequence, Set

from pa_jax.judge import reference
from pa_jax.profile import facts, wording

MAX_LABEL_WORDS = 2
NAMED = 0.8  # share of a held fact's content words by which a turn's words name it
AKIN = 0.6  # share of topic words from which two statements are about the same

_AGAINST = (
    r"dislikes?|hates?|avoids?|detests?|despises?|rejects?|refuses?|turns? down|stays? away from"
    r"|steers? clear of|gives? a wide berth to|would rather do without|would hate|aversion"
    r"|(?:pet hate|dislike) is|opposed to|allergic to|suits the user least|no interest in"
    r"|given up|(?:cannot|can['’]t) (?:stand|bear)"
)
_FOR = (
    r"prefers?|likes?|loves?|enjoys?|wants?|favou?rs?|adores?|goes for|opts for|chooses|picks"
    r"|fond of|fan of|keen on|passionate about|interested in|drawn to|partial to|preference is"
    r"|suits the user best|insists? on|needs?|seeks?|sticks? to|happiest with"
)
_STANCE = re.compile(rf"\b(?:(?P<against>{_AGAINST})|(?P<favour>{_FOR}))\b", re.IGNORECASE)
_NOT = re.compile(
    r"\b(?:not|never|no longer|hardly|cannot|(?:do|does|is|are|can|wo)n['’]t)\b", re.I
)
_STATE = re.compile(
    r"^(?:the|this) user(?:['’]s \w+)? (?:is|was|has|had|works|lives|owns|speaks|studies|knows)\b",
    re.IGNORECASE,
)
_HEAD = re.compile(r"^(?:\S+\s+){0,5}")  # where a denial without a stance stands
_SUBJECT = re.compile(r"\b(?:user|user['’]s|I|I['’](?:m|ve|d|ll)|my|me|My|Me)\b")
_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;\n]*")
_ASKS = re.compile(
    r"^\W*(?:(?:and|but|so|also|then|now|hi|hello|hey|there|please|kindly|just)\W+)*(?:"
    r"(?:can|could|would|will|won['’]t|do|does|did|is|are|has|have|should|might) (?!I\b)\w+"
    r"|give|tell|show|help|write|make|find|explain|suggest|recommend|list|draft|plan|shorten"
    r"|translate|summari[sz]e|turn|convert|fix|check|compare|describe|define|name|create"
    r"|generate|rewrite|rephrase|proofread|calculate|compute|sort|draw|sketch|prepare"
    r"|design|teach|remind|walk me|talk me|think of|come up|look up"
    r")\b",
    re.IGNORECASE,
)
_OTHERS = re.compile(  # somebody else's stance
    r"^\W*(?:\w+[,.]\W+)?(?:[A-Z]\w+|[Mm]y \w+|[Oo]ur \w+|[Aa]n? [\w ]{1,30}? I know|[Hh]e|[Ss]he)"
    r"(?: from \w+)? (?:prefers|likes|loves|enjoys|wants|favou?rs|adores|hates|avoids|insists on"
    r"|goes for|opts for|swears by|sticks to|asked for|can['’]t (?:stand|bear|get enough of))\b"
)
_OWN = re.compile(  # the user speaks of a stance of theirs, also inside a request
    r"\bI(?:['’](?:d|m|ve|ll))? (?:\w+ ){0,3}?(?:"
    rf"{_FOR}|{_AGAINST}"
    r"|prefer|like|love|enjoy|want|favou?r|adore|choose|pick|need|hate|avoid|detest|go|swear|stick"
    r"|insist|settle|used)\b|\bmy (?:favou?rite|preference|taste|choice|thing)\b",
    re.IGNORECASE,
)
_SITUATION = re.compile(r"\s(?:in|on|at|for|with|when|while|during|after|before|because|to)\s")


def about_user(statement: str) -> bool:
    """Whether a line speaks of the user at all; a reply to the user does not."""
    return _SUBJECT.search(statement) is not None


def polarity(statement: str, slot: str) -> str:
    """For (positive) or against (negative) what the statement names, by its first stance.

    What comes behind the stance is its object: "prefers a dish without chili" is positive. A
    state ("has two children") that fits no slot is neutral; in a slot it excludes other values.
    """
    found = _STANCE.search(statement)
    head = statement[: found.start()] if found else _HEAD.match(statement)[0]
    denied = len(_NOT.findall(head)) % 2 == 1
    if found:
        against = (found["against"] is not None) != denied
        return "negative" if against else "positive"
    if denied:
        return "negative"
    other = slot.partition("/")[0] == facts.OTHER
    return "neutral" if other and _STATE.match(statement) else "positive"


@functools.lru_cache(maxsize=4096)
def content(text: str) -> frozenset[str]:
    """The words of a text that carry content, shortened; stances ("prefers") are not among them."""
    return frozenset(reference.content(text))


def said(statement: str, heard: Set[str]) -> float:
    """Share of the statement's content words among `heard`, those of the user's own words."""
    own = content(statement)
    return len(own & heard) / max(len(own), 1)


def not_own(statement: str, words: str) -> bool:
    """Whether a statement only says what the user asks for, or what somebody else likes.

    It does when each sentence of the words that holds half of its content words or more is a
    question, a request or another's stance, without a stance of the user's own. Where no sentence
    does, as in "the second one, please", it was understood from what the words answer.
    """
    own = content(statement)
    if not own:
        return False
    carried = False
    for sentence in _SENTENCE.findall(words):
        if 2 * len(own & content(sentence)) < len(own):
            continue
        asks = sentence.rstrip().endswith("?") or _ASKS.match(sentence) is not None
        if not (asks or _OTHERS.match(sentence.strip())) or _OWN.search(sentence):
            return False
        carried = True
    return carried


def akin(a: str, b: str) -> bool:
    """Whether two statements are about the same, whatever they say of it."""
    one, other = set(wording.topic(a).split()), set(wording.topic(b).split())
    return len(one & other) >= AKIN * max(min(len(one), len(other)), 1)


def label(statement: str, held: Sequence[facts.Fact]) -> str:
    """The label to propose for a statement that fits no slot.

    One of the user's own labels that shares a word with it, so that labels recur; else the last
    content words of its object, before any situation ("... when it rains").
    """
    words = set(wording.topic(statement).split())
    for fact in held:
        if fact.category == facts.OTHER and words & set(fact.subcategory.split("_")):
            return fact.subcategory
    found = _STANCE.search(statement)
    rest = statement[found.end() :] if found else statement
    named = wording.topic(_SITUATION.split(f" {rest.strip()} ", maxsplit=1)[0])
    named = named if named.strip() else wording.topic(statement)
    return wording.label(" ".join(named.split()[-MAX_LABEL_WORDS:]))


def replaced(
    statement: str, slot: str, words: str, held: Sequence[facts.Fact], taken: Container[str]
) -> facts.Fact | None:
    """The held fact that the user's words give up for the statement, None where they name none.

    The words must announce a change and name the fact (NAMED), and the statement must not say it
    itself. Facts of the same slot go first, then those that are named most fully; those whose id
    is `taken` are given up already.
    """
    if not wording.announces_change(words):
        return None
    heard, found = content(words), []
    for fact in held:
        named = said(fact.statement, heard)
        same = wording.topic(fact.statement) == wording.topic(statement)
        if fact.id not in taken and named >= NAMED and not same:
            found.append((fact.slot == slot, named, fact.recorded_at, fact))
    return max(found, key=lambda item: item[:3], default=(None,))[-1]
