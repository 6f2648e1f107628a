"""A statement about a user as one says it to them: "The user likes tea." is "You like tea."."""

import re

from pa_jax.english import memory, words

_BASE = {
    "is": "are",
    "was": "were",
    "has": "have",
    "does": "do",
    "goes": "go",
    "isn't": "aren't",
    "wasn't": "weren't",
    "hasn't": "haven't",
    "doesn't": "don't",
    "lies": "lie",
    "dies": "die",
    "ties": "tie",
    "aches": "ache",
    "focuses": "focus",
}
_ADVERB = (  # what may stand between subject and verb
    r"(?:\w+ly|always|also|often|never|no longer|still|just|now|sometimes|seldom|much|even|once"
    r"|very|ever|usually|recently)"
)
_COMPOUND = r"(?:-|\s+(?:manual|guide|interface|account|name|id|group|experience|agreement)s?\b)"
_SAID = re.compile(
    rf"(?P<user>\b(?:the|this) user)\b(?!{_COMPOUND})(?P<own>['’]s\b|s['’])?"
    rf"(?P<adverbs>(?:\s+{_ADVERB})*)"
    r"(?P<verb>\s+[a-z]+(?:['’]t)?\b)?",
    re.IGNORECASE,
)
# A second verb of the same subject: "eats fish but avoids meat". Words that are things as well
# ("plays", "drinks") count where a thing follows them.
_SURE = (
    r"is|has|does|was|isn't|hasn't|doesn't|wasn't|likes|loves|hates|dislikes|avoids|prefers"
    r"|enjoys|wants"
    r"|lives|owns|eats|speaks|listens|believes|finds|takes|needs|thinks|feels|tries|goes|keeps"
    r"|refuses|adores|wishes|knows|sleeps|gives|gets|makes|says|suffers"
)
_ACTS = "works|plays|drinks|uses|watches|reads|walks|runs|cooks|travels|studies|wears|buys|drives"
_AND = re.compile(
    rf"(?P<before>(?:\b(?:and|but|or|so|then)|[,;])\s+(?:{_ADVERB}\s+)*)"
    rf"(?P<verb>(?:{_SURE})\b"
    rf"|(?:{_ACTS})\b(?=\s+(?!in\b|on\b|at\b|for\b|with\b|and\b|or\b)\w))"
)
_INVERTED = {"is", "has", "does", "was"}  # "..., and so is their partner"
# Verbs without a thing each: "You travel, cooks and reads".
_LIST = re.compile(
    rf"^You\s+(?:{_ADVERB}\s+)*[a-z]+(?P<rest>(?:,\s+[a-z]+s)+,?\s+(?:and|or)\s+[a-z]+s)\b"
)
_SELF = re.compile(
    rf"^(?P<verb>You\s+(?:{_ADVERB}\s+)*[a-z]+)\s+(?:himself|herself|themsel(?:f|ves))\b"
)
_WHO = re.compile(r"\b(?:who|which|that)\b")
_THEIR = (
    (re.compile(r"\bthemselves\b"), "yourself"),
    (re.compile(r"\btheirs\b"), "yours"),
    (re.compile(r"\btheir\b"), "your"),
    (re.compile(r"\bthey are\b"), "you are"),
    (re.compile(r"\bthey have\b"), "you have"),
    (re.compile(r"\b(?:they|them)\b"), "you"),
)
_OTHERS = re.compile(r"\b(?:they|them|their|theirs|themselves)\b", re.IGNORECASE)
_SPEAKS = re.compile(r"\b(?:me|my|myself|mine)\b|\bI\b", re.IGNORECASE)


# Of a fact that its user wrote as one, the words before it became a statement are not kept: "they"
# do something where the user does ("when they fly"), and "their" follows nothing that there are
# several of.
_WHEN = re.compile(
    r"\b(when|whenever|while|if|because|before|after|until|since|where|that)"
    r" they (?!are\b|were\b|have\b|is\b)"
)
_PEOPLE = re.compile(
    r"\b(?:children|people|men|women|kids|friends|parents|guests|neighbou?rs|colleagues|others"
    r"|companies|shops)\b"
)
_SEVERAL = re.compile(r"\b(?:[a-z]{2,}[^\Ws]s|children|people|men|women)\b")


@memory.remembered(4096)
def told(statement: str, quote: str = "") -> str:
    """The statement, said to its user; `quote` are the user's own words behind it.

    Who "they" are is told by those: the user, where they say "I" or "my" and no "they". A text in
    another language, or about nobody, stays as it is. A fact that its user wrote as one is its own
    quote.
    """
    if not words.is_english(statement):
        return statement
    found = _SAID.match(statement)
    text = _SAID.sub(_second, statement)
    if found is None or text == statement:
        return text
    if not found["own"]:
        text = _LIST.sub(_listed, _AND.sub(_joined, text))
        text = _SELF.sub(r"\g<verb> yourself", text)
        if _SPEAKS.search(quote) and not _OTHERS.search(quote):
            for pattern, other in _THEIR:
                text = pattern.sub(other, text)
        elif quote == statement:
            said = text
            text = _WHEN.sub(lambda hit: _theirs(hit, said), text)
            at = _OTHERS.search(text)
            if at and at[0] == "their" and not _SEVERAL.search(text, 0, at.start()):
                text = re.sub(r"\btheir\b", "your", text)
    return text


def _theirs(hit: re.Match, text: str) -> str:
    """ "they" of others stays: "hates it when people call before they write"."""
    return hit[0] if _PEOPLE.search(text, 0, hit.start()) else f"{hit[1]} you "


def base(verb: str) -> str:
    """A verb as "you" have it: "watches" is "watch"; others as they are."""
    verb = verb.replace("’", "'")
    if verb in _BASE:
        return _BASE[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    if verb.endswith(("sses", "shes", "ches", "xes", "zzes", "oes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


def _second(hit: re.Match) -> str:
    opens = hit.start() == 0
    if hit["own"]:
        you = "Your" if opens else "your"
        if (hit["verb"] or "").strip() in _INVERTED:  # "The user's is the red one."
            you += "s"
        return f"{you}{hit['adverbs']}{hit['verb'] or ''}"
    verb = (hit["verb"] or "").strip()
    # In the middle of a sentence "the user" may be no subject: "... to the user as a gift".
    known = opens or re.fullmatch(f"{_SURE}|{_ACTS}", verb)
    said = f" {base(verb) if known and verb != 'as' else verb}" if verb else ""
    return f"{'You' if opens else 'you'}{hit['adverbs']}{said}"


def _joined(hit: re.Match) -> str:
    # "has a sister who loves tea and hates rum": the second verb is hers
    if _WHO.search(hit.string, 0, hit.start()):
        return hit[0]
    if hit["before"].strip() == "so" and hit["verb"] in _INVERTED:
        return hit[0]
    return f"{hit['before']}{base(hit['verb'])}"


def _listed(hit: re.Match) -> str:
    verbs = re.sub(r"[a-z]+s\b", lambda verb: base(verb[0]), hit["rest"])
    return hit[0].removesuffix(hit["rest"]) + verbs
