"""What is told in a roundabout way, said plainly.

Who "sneezes from ginger" reacts to it, who "cannot live without music" needs it, and a boy whom the
user has is a son.
"""

import re

from pa_jax.english import words

_OFTEN = r"(?:(?:often|always|usually|sometimes|easily|badly|quickly|at once|really) )*"
_BODY = r"(?:sneez|itch|wheez|vomit|faint|swell|retch|gag|blister|bloat)(?:s|es|ing|ed)?"
_SIGNS = (
    r"(?:hives?|rash(?:es)?|welts?|spots|blisters|eczema|head ?aches?|migraines?|cramps?|heartburn"
    r"|diarrhoea|nausea|asthma attacks?|(?:stomach|tummy|belly) ?aches?|palpitations"
    r"|(?:sore|itchy|swollen|running|runny|streaming|watery|numb) (?:\w+ )?"
    r"(?:throat|mouth|skin|eyes?|nose|lips?|tongue|hands?))"
)
_GETS = r"(?:gets?|has|have|develops?|(?:comes?|breaks?) out in|suffers from)"
_REACTS = re.compile(
    rf"\b{_OFTEN}(?:{_BODY}(?: up| out)? {_OFTEN}(?:at|around|near|because of|from|after)"
    rf"|{_GETS} (?:an? |bad |severe |terrible |the )*{_SIGNS} {_OFTEN}(?:because of|from|after)"
    rf"|(?:is|gets?|feels?) (?:very |really )?(?:ill|sick|queasy) {_OFTEN}(?:because of|from|after)"
    r"|reacts? \w+ly to) (?:(?:eating|drinking|touching|having) )?(?!it\b|that\b|this\b|them\b)",
    re.IGNORECASE,
)
_NEEDS = re.compile(
    r"\b(?:(?:can|could|would|will|do(?:es)?) not|never) (?:do|lives?|be|copes?|manages?|exists?"
    r"|functions?|survives?|(?:goes|go)(?: out| anywhere)?|leaves? (?:home|the house)) without ",
    re.IGNORECASE,
)

SET = r"(?:set|fixed|particular|specific|certain|exact|strict|firm|hard|regular|upper)"
_UNSET = re.compile(r"\bno (?:set|fixed) (?=\w)", re.IGNORECASE)
_BLACK = re.compile(r"\b(?P<cup>coffee|tea) black\b", re.IGNORECASE)
_CHILD = re.compile(
    r"(?<=\bhas )(?P<which>(?:(?:an?|two|three) )?(?:\w+ )?)(?P<child>boy|girl)"
    r"(?=s?(?: who\b| with\b| called\b| named\b| aged\b|[.,]|$))"
)
_YEAR = re.compile(
    r"\b(?:(?P<word>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)"
    r"|(?P<number>\d+)(?:st|nd|rd|th))[ -](?:year|grade|semester|term|trimester)\b",
    re.IGNORECASE,
)
_DOING = {  # what is under way is what somebody does: "is planning a trip" is "plans a trip"
    "planning": "plans",
    "looking": "looks",
    "training": "trains",
    "saving": "saves",
    "building": "builds",
    "learning": "learns",
    "studying": "studies",
    "using": "uses",
    "making": "makes",
    "taking": "takes",
    "trying": "tries",
    "writing": "writes",
    "reading": "reads",
    "playing": "plays",
    "working": "works",
    "organising": "organises",
    "organizing": "organizes",
    "preparing": "prepares",
    "hoping": "hopes",
}
_UNDER_WAY = re.compile(
    rf"^(?P<who>(?:the|this) user) is (?P<also>(?:also|still|now|currently|no longer) )?"
    rf"(?P<doing>{'|'.join(_DOING)})\b(?! glasses)",
    re.IGNORECASE,
)
_ON_MEDICINE = re.compile(  # "is on warfarin", not "is on holiday"
    r"^(?P<who>[Tt]h(?:e|is) user) is on (?=[a-z]{4,}\.?$)(?!holidays?\b|vacation|leave|foot|call"
    r"|duty|shifts?\b|nights|days|benefits|board|site|time|track|edge|hold|strike|tour|parole"
    r"|probation)",
)
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_CHILDREN = {"boy": "son", "girl": "daughter"}


def reacts(text: str) -> bool:
    """Whether the text tells of a reaction by what happens, without naming an allergy."""
    return _REACTS.search(words.expanded(text)) is not None


def plain(text: str) -> str:
    """The text with its contractions written out and all of these said plainly."""
    text = _NEEDS.sub("needs ", _REACTS.sub("reacts to ", words.expanded(text)))
    text = _UNDER_WAY.sub(
        lambda hit: f"{hit['who']} {hit['also'] or ''}{_DOING[hit['doing'].lower()]}", text
    )
    text = _ON_MEDICINE.sub(r"\g<who> takes ", text)
    text = _BLACK.sub(r"\g<cup> without milk", _UNSET.sub("no ", _YEAR.sub(_counted, text)))
    return _CHILD.sub(lambda hit: hit["which"] + _CHILDREN[hit["child"]], text)


def _counted(hit: re.Match) -> str:
    """The year of a course as a number: "third year" is "year 3"."""
    number = hit["number"] or _ORDINALS.index(hit["word"].lower()) + 1
    return f"year {number}"
