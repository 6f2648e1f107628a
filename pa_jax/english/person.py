"""Grammatical person: who a text speaks of, the user or somebody else."""

import re

from pa_jax.english import memory, words

KIN = frozenset(
    "mother father mum mom dad parent parents sister brother sibling son daughter boy girl child "
    "children kid kids baby toddler teenager twins wife husband spouse partner girlfriend "
    "boyfriend fiance fiancee friend bestie mate buddy pal colleague coworker boss manager "
    "neighbour neighbor roommate flatmate aunt uncle cousin niece nephew grandmother grandma "
    "grandfather grandpa grandson granddaughter gran granny nan lad family dog cat pet teacher "
    "doctor accountant student".split()
)

SPOUSE = r"wife|husband|spouse|partner|girlfriend|boyfriend|fianc\w+"
HOUSEHOLD = (  # of KIN, for whom a user cooks and plans: what they cannot have counts as well
    rf"(?:{SPOUSE}|son|daughter|child|children|kids?|twins?|toddler|baby|boys?|girls?"
    r"|grand(?:son|daughter|child|kid)\w*)"
)
BODY = frozenset(  # whose state is the person's own
    words.stem(part)
    for part in "knee back neck hip shoulder elbow wrist ankle foot leg arm hand eye ear heart "
    "stomach skin hair lungs liver kidneys blood teeth throat head body spine joints gut".split()
)
VERB = (  # a verb that statements about a user begin with, in either person
    r"(?:(?:also|always|only|really) )?(?:never|does not|doesn['’]t|do not|don['’]t|cannot|can['’]t"
    r"|(?:is|am|has|have|loves?|likes?|hates?|dislikes?|avoids?|prefers?|enjoys?|wants?|needs?"
    r"|lives?"
    r"|works?|plays?|speaks?|owns?|takes?|drinks?|eats?|uses?|listens?|watches|reads?)\b)"
)
_ADVERB = (
    r"\w+ly|only|never|always|also|much|really|often|still|just|no longer|sometimes|seldom|now"
)
_NO_VERB = {
    "be": "is",
    "have": "has",
    "am": "is",
    "do": "does",
    "was": "was",
    "try": "tries",
    "go": "goes",
}
_MODAL = frozenset("can cannot will would should could must may might was".split())
_PAST = frozenset(  # as the third person says them, too; those in -ed are told by their ending
    "ate became began bought came did drank drove gave got grew had kept knew learnt left lost "
    "made met ran said saw slept sold spent spoke took taught told went woke won wore wrote".split()
)
_OPENINGS = {"i'm": "is", "i've": "has", "i'd": "would", "i'll": "will"}
_OTHERS = (
    (r"\bI'm\b", "they are"),
    (r"\bI've\b", "they have"),
    (r"\bI'd\b", "they would"),
    (r"\bI'll\b", "they will"),
    (r"\bI am\b", "they are"),
    (r"\bI was\b", "they were"),
    (r"\bI\b", "they"),
    (r"\bmy\b", "their"),
    (r"\bMy\b", "Their"),
    (r"\bme\b", "them"),
    (r"\bmyself\b", "themselves"),
    (r"\bmine\b", "theirs"),
)
_OPENING = re.compile(
    rf"(^|(?<=[.;!] ))I(?P<short>'\w+)?\s+(?P<adverbs>((?:{_ADVERB})\s+)*)(?P<verb>[\w'-]+)"
)
_SPEAKS = re.compile(r"\b(I|I'm|I've|I'd|I'll|my|My|me|Me|myself|mine)\b")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”")
_BEARER = re.compile(
    rf"^(?:the|this) user (?:has|had|have) (?:[\w-]+ ){{0,3}}?(?P<kin>{'|'.join(sorted(KIN))})s?\b",
    re.IGNORECASE,
)
_MARK = '["“”]'
_SUBJECT = re.compile(r"\b(?:user|user['’]s|I|I['’](?:m|ve|d|ll)|my|me|My|Me)\b")
# Texts of `stated`: a second sentence, ends of a sentence, and what comes first.
_TWO = re.compile(r"(?<![\w.])[a-z]{3,}[.!?]+\s+[A-Z]|[.!?]\s+(?:I|My|We|The user)\b")
_ENDS = tuple(".!。！…")
_MINE = re.compile(r"^[Mm]y ")
_YOU = re.compile(  # "You should be brief" is no statement about the user
    r"you(?:'|\s+(?!(?:should|must|will|would|could|may|might|can)\b(?!')))|your ", re.IGNORECASE
)
_YOURS = tuple(
    (re.compile(rf"\b{you}\b", re.IGNORECASE), own)
    for you, own in (
        ("you're", "I'm"),
        ("you are", "I am"),
        ("you were", "I was"),
        ("yourself", "myself"),
        ("your", "my"),
        ("you", "I"),
    )
)
_NOTHING = re.compile(r"The user(?:'s(?: \w+)?)?")
_USER = re.compile(r"^(?:(?:the|this) )?user\b", re.IGNORECASE)
_STATE = re.compile(
    r"(?:(?:not|no longer|very|also|\w+ly) )*(?:allergic|(?:\w+[ -])?intolerant|vegan|vegetarian"
    r"|diabetic|pregnant|fond of|keen on|interested in|afraid of)\b",
    re.IGNORECASE,
)
_DOES = re.compile(rf"(?=(?:no longer )?{VERB})(?:(?:{_ADVERB}) )*(?P<verb>[\w']+) ", re.IGNORECASE)
_KIN = re.compile(
    rf"^(?:(?:the|this) user['’]s|my|our)\s+(?:\w+\s+)??(?P<kin>{'|'.join(sorted(KIN))})\b",
    re.IGNORECASE,
)


def about_user(statement: str) -> bool:
    """Whether a line speaks of the user; a reply to the user does not.

    A line in another language counts: these rules cannot tell.
    """
    return _SUBJECT.search(statement) is not None or not words.is_english(statement)


def whose(statement: str) -> str:
    """Of whom a statement tells: "sister" for "The user's sister likes tea", "" for the user."""
    hit = _KIN.match(statement)
    return hit["kin"].lower() if hit else ""


@memory.remembered(16384)
def bearer(statement: str) -> str:
    """The stem of whom a statement tells: "daughter" for "The user has a daughter who sings"."""
    hit = _KIN.match(statement) or _BEARER.match(statement)
    return words.stem(hit["kin"].lower()) if hit else ""


def of_kin(line: str, known: str) -> str | None:
    """A line about somebody by name, as a statement about the user's; None where it is no such.

    "Ida is seven." beside the known "The user has a daughter called Ida."
    """
    hit = _KIN.match(known) or _BEARER.match(known)
    name = re.match(r"[A-Z][\w-]+(?=['’]s|\s)", line)
    if hit is None or name is None or not re.search(rf"(?<!^)\b{re.escape(name[0])}\b", known):
        return None
    return f"The user's {hit['kin'].lower()} {line}"


def stated(text: str) -> str | None:
    """What a user writes of themselves as one sentence, "The user ... ."; None where it is none.

    "I'm vegan", "My sister is vegan", "allergic to nuts", "The user is vegan." are such sentences.
    A text in another language stays as it is: these rules cannot tell.
    """
    text = _unquoted(" ".join(text.split()))
    if not words.is_english(text):
        return text if text.endswith(_ENDS) else f"{text}."
    text = re.sub(r"\bi(?=[' ])", "I", text.replace("’", "'").rstrip(" .!"))
    if _YOU.match(text):  # as they are told what is known of them
        for pattern, own in _YOURS:
            text = pattern.sub(own, text)
    if text.endswith("?") or _TWO.search(text):
        return None
    if re.match(r"I[' ]|[Mm]y ", text):
        text = third_person(_MINE.sub("The user's ", text))
    elif _STATE.match(text):
        text = f"The user is {text[0].lower()}{text[1:]}"
    elif begins := _DOES.match(text):
        text = f"{text[0].lower()}{text[1:]}"
        third = re.search(r"(?<!s)s$", begins["verb"])
        text = f"The user {text}" if third else third_person(f"I {text}")
    text = _USER.sub("The user", text)
    says = re.search(r"\buser\b", text) and not _NOTHING.fullmatch(text)
    return f"{text[0].upper()}{text[1:]}." if says else None


def first_person(text: str) -> float:
    """Share of lines that speak as the user does ("I", "my"), quotations aside."""
    lines = [line for line in text.splitlines() if line.strip()]
    speaking = [bool(_SPEAKS.search(_QUOTED.sub("", line))) for line in lines]
    return sum(speaking) / max(len(lines), 1)


def third_person(text: str) -> str:
    """A first-person statement with the user as its subject; other statements as they are."""
    text = _OPENING.sub(_opened, _unquoted(text))
    for pattern, other in _OTHERS:
        text = re.sub(pattern, other, text)
    if text.startswith("The user "):
        text = re.sub(r"\b(and|but|so) (prefer|avoid|love|dislike)\b", r"\1 \2s", text)
    return text


def _unquoted(text: str) -> str:
    """The text without quotation marks at its ends that quote all of it, or that have no pair."""
    text, marks = text.strip(), re.findall(_MARK, text)
    whole = len(marks) % 2 or re.fullmatch(f'{_MARK}[^"“”]*{_MARK}', text)
    return text.strip('"“” ') if whole else text


def _opened(hit: re.Match) -> str:
    verb, adverbs = hit["verb"], hit["adverbs"]
    if hit["short"]:
        return f"The user {_OPENINGS[('i' + hit['short']).lower()]} {adverbs}{verb}"
    return f"The user {adverbs}{_third(verb)}"


def _third(verb: str) -> str:
    if verb in _NO_VERB:
        return _NO_VERB[verb]
    if verb in _MODAL:
        return verb
    if verb in ("don't", "haven't"):
        return {"don't": "doesn't", "haven't": "hasn't"}[verb]
    if verb.endswith("n't") or verb in _PAST or re.search(r"[^e]ed$", verb):
        return verb
    if re.search(r"(s|sh|ch|x|z)$", verb):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", verb) else verb + "s"
