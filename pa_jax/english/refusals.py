"""Whether the user's words turn a question down. English only; the words alone decide."""

import re

_HEAD = (
    r"(?:^|[.!?;,]\s*|\b(?:no|nah|sorry|hmm|um|well|and|but|oh|please|so|thanks|honestly)\b,?\s+)"
)
_END = r"(?=\s*(?:$|[.!?;,]|\b(?:please|thanks|thank you|sorry|for now|right now|if|but)\b))"
_I = r"(?:i(?:['’]d| would|['’]ll| will| do| am|['’]m)?|we(?:['’]d| would)?)"
_TELL = r"(?:say|tell(?: you)?|answer|share|discuss|disclose|talk about|get into|go into|comment)"
_WHAT = (
    r"(?: (?:that|this|it|on that|on this|about that|about it|the question|that question|to you))?"
)

_DECLINES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_I} (?:much )?(?:rather|prefer|sooner|choose|like) not(?: to)?"
        rf"(?: {_TELL})?{_WHAT}{_END}",
        rf"^\W*(?:rather|prefer) not(?: to)?(?: {_TELL})?{_WHAT}{_END}",
        rf"\b(?:i|we) (?:do not|don['’]t|won['’]t|will not|can['’]t|cannot)"
        rf"(?: (?:want|wish|like|care|need|feel like|going))?(?: to)? {_TELL}{_WHAT}{_END}",
        rf"\bi(?:['’]m| am) not (?:going to|comfortable|happy|willing)(?: to)? ?(?:with )?"
        rf"(?:{_TELL}|saying|telling you|answering|sharing|discussing|talking about){_WHAT}{_END}",
        r"\b(?:none|not any) of your (?:damn |bloody )?(?:business|concern)\b",
        r"\b(?:not|isn['’]t) your (?:business|concern)\b",
        r"\bmind your own business\b",
        rf"{_HEAD}(?:let['’]s )?skip(?: (?:that|this|it))?(?: (?:one|question|part))?{_END}",
        rf"^\W*(?:i(?:['’]ll| will) )?pass(?: on (?:that|this|it)(?: one)?)?{_END}",
        rf"^\W*(?:no comment|next(?: question)?(?: please)?){_END}",
        rf"\b(?:that|this|it)(?:['’]s| is) (?:too |rather |quite |very |a bit )?"
        rf"(?:private|personal|confidential){_END}",
        r"\b(?:don['’]t|do not) ask(?: me)?(?: about)? (?:that|this|it)\b",
        rf"\b(?:leave|drop) (?:that|this|it)(?: (?:question|one|out|alone))?{_END}",
        r"\bi(?:['’]d| would)? (?:rather |prefer to )?keep (?:that|this|it)"
        r" (?:to myself|private)\b",
    )
)
_NO_MORE = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:stop|quit) (?:asking|questioning)\b",
        r"\b(?:no|enough|not) (?:more |any more |further |of these |of the |with the )?questions\b",
        r"\b(?:don['’]t|do not) ask(?: me)? (?:any|anything|so many|these|more|questions)\b",
        r"\b(?:enough|done) with (?:the|your|all these|these) questions\b",
    )
)
_SPEECH = re.compile(r"\"[^\"]*\"|“[^”]*”")  # what others said is not this user's answer
LONGEST = 400  # characters: a refusal stands at the start of a message


def declined(words: str) -> bool:
    """Whether the words turn down the question that was put: "I'd rather not say", "skip that".

    "No preference" and "either is fine" answer it.
    """
    said = _SPEECH.sub(" ", " ".join(words[:LONGEST].split()))
    return declined_all(said) or any(pattern.search(said) for pattern in _DECLINES)


def declined_all(words: str) -> bool:
    """Whether the words ask for no questions of any kind: "stop asking me things"."""
    said = _SPEECH.sub(" ", " ".join(words[:LONGEST].split()))
    return any(pattern.search(said) for pattern in _NO_MORE)
