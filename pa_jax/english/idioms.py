"""Words beside a request to forget: quotes, suppositions and idioms that are none, this once, and
what a sentence in front of "delete that" names.
"""

import re
from collections.abc import Sequence

from pa_jax.english import statements, words

OPENING = (  # what may stand before a request
    r"please|just|kindly|ok|okay|oh|hey|hi|hello|hm+|um+|uh|ah|well|right|wait|yes|yeah|sorry|no"
    r"|actually|and|also|now|then|so|thanks|thank you|on (?:second thoughts?|reflection)|again"
    r"|by the way|btw|one more thing|lol|haha|jk|just kidding|kidding|joking"
)
_QUOTE = re.compile(r"[\"“«][^\"”»]*[\"”»]|(?<!\w)['‘][^'’]*['’](?!\w)")
_SPOKEN = re.compile(  # what stands behind a colon is another's word, a text or a plan then
    r"(?<!\bi )\b(?:says?|said|tells?|told|reads?|wrote|goes|sings?)\b|\b(?:advice|mottos?|quotes?"
    r"|tips?|title|slogan|translate|rephrase|rewrite|write|proofread|draft|letter|e-?mail|message"
    r"|text|lyrics?|plans?|list|routine|steps?|to-?dos?|night|morning|evening)\b",
    re.IGNORECASE,
)
_SUPPOSES = re.compile(  # "would you forget it if I asked?", "could you ever forget my dog?"
    r"^\W*(?:will|would|could|can|do|did) you (?:ever\b|.*\b(?:if|once|after|when) "
    r"(?:i|we|this|the) (?:ask|tell|told|say|close|leave|log|quit|stop|delete|go|end|am|app|chat)"
    r"|.*\bwhen (?:this|the) )",
    re.IGNORECASE,
)
_MOMENT = re.compile(
    r"\bfor (?:just )?(?:a|one|this|that) (?:moment|second|sec|minute|bit|while|one|recipe"
    r"|question)"
    r"\b|\bjust (?:this|for)\b|\bwhen you (?:write|answer|reply|talk|speak)\b",
    re.IGNORECASE,
)
_FOR_OTHERS = re.compile(  # "..., this cake is for my colleague", "..., I'm asking for a friend"
    r"[,–—-]\s*(?:because |since )?(?:(?:this|it|that|they|these|the)(?: \w+)? (?:is|are)"
    r"|i (?:am )?(?:ask|cook|bak|buy|shop|book|plan)(?:ing)?) for "
    r"(?:a|an|my|our|the|some|other|guests?|friends?|someone|somebody)\b",
    re.IGNORECASE,
)
_AT_ONCE = re.compile(r"\bright now\b", re.IGNORECASE)
_FOR_GOOD = re.compile(r"\b(?:delete|erase|remove|wipe|clear|purge)\b", re.IGNORECASE)
_AND_ON = (
    r"(?:go|watch|have|get|start|focus|talk|move|do|make|play|eat|drink|enjoy|just|explain|tell"
    r"|give|help|show|write|use|try|let|take|be|look|find|plan|cook|order|concentrate)\b"
)
_LET_US = re.compile(
    rf"\blet(?:['’]?s| us) (?:just )?(?:forget|ignore)\b.* and {_AND_ON}", re.IGNORECASE
)
_MORE = re.compile(rf" and (?={_AND_ON})", re.IGNORECASE)
_PLAN = (
    r"(?:what|which|how|where|any|give|show|suggest|let us|i (?:would|will|want|need|feel|am going)"
    r"|we (?:will|are)|it is)\b"
)
_NOT_NOW = re.compile(  # "forget the gym, I'd rather nap", "forget it, I found one"
    rf"\bforget (?:about )?the [\w -]+,\s*{_PLAN}"
    r"|\bforget it\b\W+(?:i|we|you|this|it|let)\b|\bnever mind\W+(?:just )?forget it\b",
    re.IGNORECASE,
)
OF_TELLING = re.compile(
    r"\b(?:said|say|t[eo]ld|tell|mention\w*|lying|lied|joking|kidding|private|personal|wrong|true"
    r"|secret|serious|mean|meant|gave up|over|anymore|business)\b",
    re.IGNORECASE,
)

_MILD = re.compile(r"(?:ignore|never mind|leave out|keep out|get rid of)$")  # of much else, too
_OF_WORDS = re.compile(
    r"(?:(?:what|that|all|every\w*|any\w*|the fact)\b|(?:about|regarding|on) )", re.I
)
_OWN_FILES = re.compile(  # of the user's, or on the screen: "my notes on chemistry", "my history"
    r"^(?:my|our) (?:notes?|files?|photos?|pictures?|drafts?|e-?mails?|homework)(?: .*)?$"
    r"|^(?:my|our) (?:(?:brows\w+|search|chat|call|watch|order|purchase) )?history$"
    r"|^(?:my|our) (?:data|info|information|details|records?|world|life)$",
    re.IGNORECASE,
)
_DOER = re.compile(  # "I just forget about lunch"
    r"\b(?:i|we|he|she|they|people)(?: (?:\w+ly|would|will|always|sometimes|often|do|can"
    r"|could))*\W*$",
    re.IGNORECASE,
)
_TOPIC = re.compile(  # "The tattoo?", "Did you note the tattoo?"
    r"^(?:(?:did|do|have) you (?:still |really |just )?(?:note|save|store|keep|remember|record|kept"
    r"|noted|saved|stored|recorded|know about|(?:write|wrote|written|jot|note) down) )?"
    r"(?P<what>(?:the|my|our|that i)\b(?: [\w'’-]+){1,4})\??$",
    re.IGNORECASE,
)
_BEHIND = re.compile(r"(?:i|my|we|our)\b", re.IGNORECASE)
_NOT_TO_KEEP = re.compile(  # what is said here, not before: "I'm 52, but don't save that"
    r"(?:,|^|\bbut|\band|[–—-])\s*(?:(?:please|just|so|you) )*(?:do not|never"
    r"|need not)(?: (?:have|need) to)? "
    r"(?:remember|save|store|note|keep|record|write|log) (?:any of )?(?:that|this|it)"
    r"(?: down)?(?: please)?(?=\W*$|:)",
    re.IGNORECASE,
)
_FRONT = re.compile(
    r"\b(?:the|my|our|about|on) (?P<what>(?!second\b)[\w -]+)$"
    r"|^\W*(?:my|our|the) (?P<mine>[\w -]+?) (?:is|are|was|were)\b",
    re.IGNORECASE,
)
_OF_WHAT_IS_KEPT = re.compile(  # "it" of "forget it" is a fact only behind such words
    r"\byou (?:have|know|keep|noted|saved|remember)|\bon (?:file|record)\b|\bmentioned\b"
    r"|\b(?:private|business|preferences|tastes|habits|start (?:fresh|over))\b"
    r"|\b(?:said|told you|tell(?:ing)? you|wrong|not have|joking|kidding|lying)"
    r" (?:\w+ )?(?:about|on)"
    r"|\b(?:told|tell|given) you (?:my|our)\b",
    re.IGNORECASE,
)


_JOKED = re.compile(
    r"^\W*(?:(?:lol|haha|no|ok|okay|oh|sorry|so|well|actually|wait|and|but)\W+)*i (?:was|am) "
    r"(?:(?:only|just|totally|obviously|kind of) )*(?:joking|kidding|lying|messing(?: around)?)"
    r" (?:about|when i (?:said|told you)(?: that)?) (?P<what>[^,]+)",
    re.IGNORECASE,
)
_JOKED_WITH = re.compile(r"\b(?:with|today|yesterday|last|at|when|to)\b", re.IGNORECASE)


_RUN_ON = re.compile(  # a clause that no comma parts from what is named
    r" (?:but|cause|cos|because) .*| (?:it|that|this|they) (?:was|were|is|are) .*"
    r"| (?:i )?(?:do not (?:want|need|like)|would (?:rather|prefer)) "
    r"(?:it|that|this|them|not|you)\b.*"
    r"|(?:(?<= thing)|(?<= stuff)) (?:i|we|it|he|she|they|my|our) "
    r"(?!(?:\w+ )?(?:said|told|mentioned|know|noted)\b).*",
    re.IGNORECASE,
)
_COMMA = re.compile(r",(?!\d)")  # of a number it parts no words
_KEEPS = re.compile(r"\bbut (?:(?:please|do) )*(?:not forget|keep|remember)\b", re.IGNORECASE)


_WHY = re.compile(  # words in front of "delete that" that do not tell what it is
    rf"^(?:\W*(?:{OPENING})\b)*\W*(?:(?:that|this|it|those|these|they)\b"
    r"(?!.*\babout\b)(?! (?:[\w'-]+ ){0,3}(?:thing|bit|stuff|part)\b).*)?$",
    re.IGNORECASE,
)
_TELLING = frozenset(
    map(
        words.stem,
        "said told tell mention mistake wrong private joke kidding lying lied secret personal "
        "business never sorry mean meant silly".split(),
    )
)


def tells(head: str) -> bool:
    """Whether words in front of "delete that" tell what it is, and not only why."""
    own = set(words.content(head, words.STOP | words.ASKING)) - _TELLING
    return bool(own) and not _WHY.match(head)


def first(what: str) -> str:
    """What is to be forgotten, without a clause that runs on: "the tortoise it was a joke"."""
    what = _COMMA.split(what)[0].strip(" .!?")
    hit = _RUN_ON.search(what)
    return what[: hit.start()] if hit and words.content(what[: hit.start()]) else what


def keeps_another(heard: str) -> bool:
    """Whether a request to forget stands against one to keep: "forget A but don't forget B"."""
    return _KEEPS.search(words.expanded(heard)) is not None


def joke(part: str) -> str:
    """What the user takes back as a joke or a lie: "I was joking about the opera"; "" if none."""
    hit = _JOKED.match(part)
    return "" if hit is None or _JOKED_WITH.search(hit["what"]) else hit["what"]


def unquoted(text: str, asks: re.Pattern) -> str:
    """The text without quotations that ask themselves: what another said, or is to be written."""
    return _QUOTE.sub(
        lambda quote: " " if asks.search(quote[0].strip("\"“”«»'‘’")) else quote[0], text
    )


def not_to_keep(sentences: Sequence[str]) -> list[str]:
    """Of the sentences of a message, those of which it asks in the same breath to note nothing.

    "I'm 52, but don't save that"; a sentence that says nothing else means the one before it.
    """
    found, before = [], ""
    for sentence in map(words.expanded, sentences):
        told = sentence.strip(" .!")
        if _NOT_TO_KEEP.search(told):
            rest = _NOT_TO_KEEP.sub(" ", told).strip(" :,.")
            found.append(rest or before)
        before = told
    return found


def told_behind(part: str) -> list[str]:
    """What the user tells behind a request: "the nuts, I'm allergic to nuts"."""
    clauses = [clause.strip() for clause in part.split(",")[1:]]
    return [one for one in clauses if _BEHIND.match(one) and not OF_TELLING.search(one)]


def topic(question: str) -> str:
    """What a question only names: "the tattoo" of "The tattoo?"; "" where it asks."""
    hit = _TOPIC.match(question)
    return hit["what"] if hit else ""


def is_habit(front: str) -> bool:
    """Whether "just forget" behind these words tells what somebody does: "some days I ..."."""
    return _DOER.search(front) is not None


def of_other_things(verb: str, what: str, noted: str) -> bool:
    """Whether what is to go is no fact: the user's own files, a cat that is to be ignored."""
    mild = _MILD.match(verb) and not (noted or _OF_WORDS.match(what))
    return bool(mild) or _OWN_FILES.match(what) is not None


def introduces(part: str) -> bool:
    """Whether what follows a colon is no request of the user's: "my coach says", "every night"."""
    return _SPOKEN.search(part) is not None


def asks_nothing(part: str, question: bool) -> bool:
    """Whether words that sound like a request to forget ask for nothing, or for this once."""
    if question and _SUPPOSES.search(part):
        return True
    if _FOR_OTHERS.search(part) or _LET_US.search(part):
        return True
    idle = _NOT_NOW.search(part)
    if idle and not OF_TELLING.search(part, idle.end()):
        return True
    once = _MOMENT.search(part) is not None or statements.passing(_AT_ONCE.sub(" ", part))
    return once and not _FOR_GOOD.search(part)


def alone(what: str) -> str:
    """What is to be forgotten, without what is to be done besides: "work and watch a film"."""
    return _MORE.split(what)[0]


def front(sentence: str) -> str:
    """What a sentence in front of "delete that" names as something that is kept; "" where none."""
    hit = _FRONT.search(sentence)
    if hit is None or not _OF_WHAT_IS_KEPT.search(sentence):
        return ""
    return hit["what"] or hit["mine"] or ""
