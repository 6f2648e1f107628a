"""What the words dismiss from memory in no set phrase: a cue, and the things that its clause names.

forgetting.py reads requests by their grammar, and finds what they name among words alone. People
have more ways to say it than a grammar has rules. Here a cue is enough ("cross ... off the list",
"don't bother remembering ...", "... no longer matters"), since all that is named beside it must be
what a held fact is called (profile/forget.py): what names no held fact dismisses nothing.
"""

import dataclasses
import re

from pa_jax.english import changes, errands, idioms, statements, words

_LEAD = (
    rf"^\W*(?:(?:{idioms.OPENING}|lol|haha|kindly|you know what|anyway|listen|look)\b\W*)*"
    r"(?:(?:please|just|(?:can|could|will|would) you|you (?:can|could|may|might|should)"
    r"|feel free to|let us|go ahead and|i (?:want|need|would like) you to|i would like to)\b\W*)*"
)
_FILE = (
    r"(?:what you (?:know|have)\b|(?:the|your|ur|yer|my)"
    r" (?:notes?|notebook|files?|records?|profile|memory|books?|head|mind"
    r"|brain|database|system)|file|record|memory)\b"
)
_KEEP = r"remember|keep(?! \w+ing\b)|hold|hang|store|note|record|retain|save|log|track"
_FORGET = (
    r"nvm|never ?mind|forget|disregard|ignore|unremember|discard|dismiss|erase|delete|remove|drop"
    r"|scrap|strike|scratch|wipe"
)
_CUES = (
    rf"(?:{_FORGET})"
    # of how it was told: "never mind my nut allergy, it's for a friend" is of this once
    r"(?=.*\b(?:remark|comment|mention(?:ed|ing)?|said|told|earlier|previous|thing|bit|part)\b)",
    r"(?:do not|no need to|need not|(?:there is )?no (?:need|point|use)(?: in)?|stop)"
    r" (?:bother(?: about)? |go on |have to |need to )?"
    rf"(?:(?:{_KEEP})(?:n|t)?(?:ing)?|sav?ing|not?ing|stor?ing)(?: on)?(?: on ?to)?",
    r"pretend(?: that)? (?:i|we|you) (?:have |had )?(?:never|not|did not)(?: ever)?"
    r"(?: \w+ed| said| told(?: you)?| heard| say| tell(?: you)?| hear| mention)?",
)
_CUE = re.compile(rf"{_LEAD}(?:{'|'.join(_CUES)})\b", re.IGNORECASE)
_SET_ASIDE = re.compile(rf"{_LEAD}(?:{_FORGET})\b", re.IGNORECASE)
_TOPIC = re.compile(  # "the badge collecting, could you strike that from ...?"
    r"^\W*(?=(?:(?:the|my|our|that|all) )(?:[\w'’-]+ ){0,4}[\w'’-]+\W*$)", re.IGNORECASE
)
_OFF_FILE = re.compile(
    rf"{_LEAD}(?:take|cross|strike|scratch|remove|delete|drop|leave|wipe|erase|clear|scrub|bin|lose"
    rf"|knock|get|pull|cut|throw|toss|chuck|tick)\b(?P<what>.+?)\b(?:off|from|out of) {_FILE}",
    re.IGNORECASE,
)
_OFF_LIST = re.compile(  # of a shopping list, too
    rf"{_LEAD}(?:cross|strike|scratch|tick|take)\b(?P<what>.+?)\b(?:off|from) (?:the|your|my)"
    r" list\b",
    re.IGNORECASE,
)
_ADVISED = re.compile(
    r"[:\"“”]|\b(?:says?|said to|told me|tells? me|advice|advised)\b", re.IGNORECASE
)
_NOT_KEPT = re.compile(
    r"(?=.*\b(?:not|no|never)\b)\bi (?:would|do) (?:rather|prefer|not want)\b"
    r".{0,20}?\byou\b.{0,12}?"
    r"\b(?:keep(?! \w+ing\b)|kept|hold|held|know|knew|stored?|remember(?:ed)?)\b(?P<what>.*)",
    re.IGNORECASE,
)
_OF_MEMORY = re.compile(  # "don't store insulin" may be said of a fridge
    rf"\b{_FILE}|\b(?:on (?:file|record)|no records?|remember\w*|knew|know|pretend|remark|comment"
    r"|mention\w*|said|told)\b",
    re.IGNORECASE,
)
_MOOT = re.compile(  # what it says is over names it: "the campervan no longer matters"
    r"^\W*(?:(?:and|but|so|oh|well|btw|also|actually|by the way)\b\W*)*"
    r"(?P<what>(?:the|that|this|my|our|all)\b.{2,50}?) (?:no longer"
    r" (?:matters?|counts?|appl(?:ies|y)|is (?:relevant|important|needed|true))"
    r"|(?:does|do) not (?:matter|count|apply)(?: any ?more| now)?"
    r"|is (?:no longer|not) (?:relevant|important|needed|true|happening|a thing)"
    r"(?: any ?more| now)?"
    r"|is (?:moot|history|irrelevant|cancell?ed|scrapped|off the (?:table|cards))"
    r"|can (?:all )?(?:go|be (?:dropped|deleted|binned|ignored)))$",
    re.IGNORECASE,
)
_NOT_SO = re.compile(  # what must stay
    r"\b(?:do not|never|not|to) (?:\w+ly )?(?:forget|delete|remove|drop|take|cross|strike|erase"
    r"|ignore|disregard|lose)\b",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"[,;:–—]|\s-\s|\b(?:and|but|because|since|as|before|so)"
    r" (?=i\b|we\b|the\b|my\b|some\w+|any\w+|you\b)|\b(?=(?:it is|its) \w+\W*$)",
    re.IGNORECASE,
)
_EMPTY = frozenset(  # what they say of how it was told, or of it as a thing to keep
    map(
        words.stem,
        "remark comment mention thing bit part stuff business idea plan dream search whole entire "
        "time times mate earlier previous last former note notes file record list info "
        "information detail matter question topic subject concerning regarding about longer more "
        "anymore now then ya would you said say told tell never mind entirely altogether "
        "completely kindly please thanks pls no not all talk story "
        "news line entry one ones again".split(),
    )
)


@dataclasses.dataclass(frozen=True)
class Dismissal:
    """Stems of what is dismissed.

    sure    whether it is surely said of what is remembered; else it ends nothing of safety
    edible  whether it may be food: of a list somebody shops by, one crosses that off, too
    """

    named: frozenset[str]
    sure: bool
    edible: bool = True


def dismissed(heard: str) -> list[Dismissal]:
    """What the words dismiss by name; nothing where they work on a text."""
    found = []
    for sentence in changes.sentences(words.expanded(heard)):
        if errands.works_on_text(sentence) or _NOT_SO.search(sentence):
            continue
        if _ADVISED.search(sentence):
            continue
        aside = frozenset[str]()  # "nvm the keto, pretend I never mentioned it"
        for part in _PARTS.split(sentence.rstrip("?.! ")):
            one = None if statements.passing(part) else _read(part)
            if one is not None:
                found.append(dataclasses.replace(one, named=one.named or aside))
            if hit := _SET_ASIDE.match(part) or _TOPIC.match(part):
                aside = _named(part[hit.end() :])
    return [one for one in found if one.named]


def _read(part: str) -> Dismissal | None:
    sure = _OF_MEMORY.search(part) is not None
    for pattern in (_OFF_FILE, _NOT_KEPT):
        if hit := pattern.search(part):
            return Dismissal(_named(hit["what"]), sure)
    if hit := _CUE.match(part):
        return Dismissal(_named(part[hit.end() :]), sure)
    if hit := _OFF_LIST.search(part):
        return Dismissal(_named(hit["what"]), False, edible=False)
    if hit := _MOOT.match(part.strip()):
        return Dismissal(_named(hit["what"]), False)
    return None


def _named(text: str) -> frozenset[str]:
    return statements.content(text) - _EMPTY
