"""Words of forgetting that ask for nothing of the kind: quotes, suppositions, idioms, this once."""

import re

from pa_jax.english import statements

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
    r"\bfor (?:just )?(?:a|one|this|that) (?:moment|second|sec|minute|bit|while|one|recipe|question)"
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
_OF_TELLING = re.compile(
    r"\b(?:said|say|t[eo]ld|tell|mention\w*|lying|lied|joking|kidding|private|personal|wrong|true"
    r"|secret|serious|mean|meant|gave up|over|anymore|business)\b",
    re.IGNORECASE,
)


def unquoted(text: str, asks: re.Pattern) -> str:
    """The text without quotations that ask themselves: what another said, or is to be written."""
    return _QUOTE.sub(
        lambda quote: " " if asks.search(quote[0].strip("\"“”«»'‘’")) else quote[0], text
    )


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
    if idle and not _OF_TELLING.search(part, idle.end()):
        return True
    once = _MOMENT.search(part) is not None or statements.passing(_AT_ONCE.sub(" ", part))
    return once and not _FOR_GOOD.search(part)


def alone(what: str) -> str:
    """What is to be forgotten, without what is to be done besides: "work and watch a film"."""
    return _MORE.split(what)[0]
