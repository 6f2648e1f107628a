"""Standing instructions for the assistant's replies, as statements of what the user wants.

"Keep answers under two sentences", "call me Sam", "always answer in French". What is asked of one
reply or of one text ("keep the answer to this email short") is no standing instruction.
"""

import re

from pa_jax.english import statements

MOST_WORDS = 24

_REPLIES = r"(?:answers?|repl(?:y|ies)|responses?|explanations?|messages)"
_UNITS = r"(?:metric|imperial|celsius|fahrenheit)"
_MEASURES = r"(?:grams|ounces|cups|millilit(?:re|er)s|kilomet(?:re|er)s|miles)"
_NO_NAMES = (
    "back|later|when|if|today|tonight|tomorrow|now|again|crazy|old|maybe|on|at|in|a|an|the|out|up"
)
_CALL = re.compile(
    r"^(?:please |just |do |you can |you may )*(?P<deny>(?:do not|never) )?call me "
    rf"(?P<name>(?!(?:{_NO_NAMES})\b)[\w'-]{{2,20}})(?: please| instead| from now on)?$",
    re.IGNORECASE,
)
_NAME = re.compile(r"^(?:my name is|I go by) (?P<name>[A-Z][\w'-]+)$")
_PRONOUNS = re.compile(r"^my pronouns are (?P<what>\w+(?:/\w+)+)$", re.IGNORECASE)
_BRIEF = re.compile(  # "keep it short, I read on my phone": a reason that lasts
    r"^(?:keep|make) it (?P<how>short|brief|concise|simple)(?: and \w+)?"
    r"(?: if you (?:would|can|could|do not mind))?,? (?:because |since |as )?"
    r"(?:my (?:eyes?|sight|vision|attention|screen|phone|English|reading|dyslexia)\b"
    r"|I (?:(?:always|mostly|usually|only|often) )?(?:read|listen|use|have (?!to\b|a meeting\b"
    r"|no time\b)))",
    re.IGNORECASE,
)
_STANDING = re.compile(
    r"^(?:(?:can|could|would|will) you |i (?:want|need|would like) you to )?"
    r"(?P<when>(?:from now on|in (?:the )?future|going forward|by default)\W+)?"
    r"(?P<deny>do not (?:ever )?|never |stop |no (?:more )?)?(?P<always>always |only )?"
    r"(?P<what>(?P<verb>keep|make|give|giving|write|writing|use|using|answer|reply|respond|speak"
    r"|talk|explain|avoid|skip|add|adding|include|format|greet|swear|repeat|apologi[sz]e"
    r"|apologi[sz]ing|repeating|emojis?|bullet points|jargon)\b ?(?P<rest>.*))$",
    re.IGNORECASE,
)
_ABOUT_REPLIES = re.compile(
    rf"\b{_REPLIES}\b(?! (?:to|from|for) )|\b(?:emojis?|bullet points|exclamation marks|small talk"
    rf"|{_UNITS}|british (?:english|spelling)|american (?:english|spelling)|jargon|markdown"
    r"|headings|tables|swear\w*|apologi\w+"
    rf"|{_MEASURES})\b"
    r"|^(?:answer|reply|respond|speak|talk|write)(?: (?:to )?(?:me|us))?"
    r" (?:in|briefly|simply|formally|casually|without|with|using|like)\b"
    r"|^(?:speak|talk) \w+ (?:to|with) (?:me|us)$",
    re.IGNORECASE,
)
_LASTS = re.compile(
    rf"\b(?:from now on|in (?:the )?future|going forward|by default|every time|each time|keep"
    rf"|avoid|skip|use (?:{_UNITS}|british|american)|apologi\w+|swear|all (?:your )?{_REPLIES}"
    rf"|your {_REPLIES}"
    r"|answers|replies|responses|explanations)\b|, (?:never|not ever) \w+$",
    re.IGNORECASE,
)
_THIS = re.compile(r"\b(?:here|this|that|these|those|it|the (?:following|above|text|list))\b", re.I)
_WHEN = re.compile(r",? ?\b(?:from now on|in (?:the )?future|going forward|by default)\b", re.I)
_POLITE = re.compile(r",? ?\b(?:please|thanks|thank you)\b(?P<comma>,?)", re.IGNORECASE)
_WHY = re.compile(  # "Keep your answers short, I read on my phone": that is told apart
    r"\s*,\s*(?:(?:because|since|as|for) )?(?:i|we|my|our|it|he|she|they)\b.*$"
    r"|\s+(?:because|since) .*$",
    re.IGNORECASE,
)
_HOW = re.compile(r"^(?:in|without|with|using|like)\b")
_ONES = {"using": "use", "giving": "give", "writing": "write", "adding": "add"}
_MEASURED = re.compile(rf"^(?:exact |in )*{_MEASURES}\b", re.IGNORECASE)
_THINGS = ("avoid", "skip", "use", "give", "add", "include")  # what follows is what is wanted


def of(sentence: str) -> str:
    """What a sentence instructs for all replies to come, as a statement; "" where nothing.

    The sentence has its contractions written out and no mark at its end.
    """
    bare = " ".join(_POLITE.sub(lambda hit: f"{hit['comma']} ", sentence).split()).lstrip(", ")
    called = _CALL.match(bare) or _NAME.match(bare)
    if called:
        denied = called.groupdict().get("deny")
        name = called["name"] if denied else called["name"][0].upper() + called["name"][1:]
        return f"The user {'does not want' if denied else 'wants'} to be called {name}."
    pronouns = _PRONOUNS.match(bare)
    if pronouns:
        return f"The user's pronouns are {pronouns['what']}."
    brief = _BRIEF.match(bare)
    if brief and not statements.passing(bare):
        return f"The user wants {brief['how'].lower()} answers."
    bare = _WHY.sub("", bare)
    always = bare.endswith(" always")
    hit = _STANDING.match(bare.removesuffix(" always").rstrip(" ,"))
    if hit is None or _THIS.search(bare) or statements.passing(bare):
        return ""
    lasts = always or hit["when"] or hit["always"] or hit["deny"] or _LASTS.search(bare)
    if not (lasts and _ABOUT_REPLIES.search(hit["what"])) or len(bare.split()) > MOST_WORDS:
        return ""
    return _wanted(hit)


def _wanted(hit: re.Match) -> str:
    verb = hit["verb"].lower()
    verb = _ONES.get(verb, re.sub(r"ing$", "e" if verb.startswith("apolog") else "", verb))
    rest = _WHEN.sub("", hit["rest"])
    rest = re.sub(r"\bmy\b", "the user's", re.sub(r"\byour ", "", rest))
    if verb == "add":
        rest = re.sub(rf" (?:to|in) {_REPLIES}$", "", rest)
    rest = re.sub(r"\bme\b", "the user", rest).strip(" ,")
    denied = bool(hit["deny"]) != (verb in ("avoid", "skip"))
    side = "does not want" if denied else "wants"
    how = re.sub(r"^(?:to )?the user ", "", rest)
    if verb.startswith(("emoji", "bullet", "jargon")):
        return f"The user {side} {verb} {rest}".strip() + "."
    if verb in _THINGS and _MEASURED.match(how):
        return f"The user {side} quantities in {how.removeprefix('in ')}."
    if verb in _THINGS:
        return f"The user {side} {how}."
    if verb in ("answer", "reply", "respond", "speak", "talk") and _HOW.match(how):
        return f"The user {side} answers {how}."
    kept = re.match(rf"(?P<what>(?:all )?{_REPLIES}) (?P<how>\w+)$", rest)
    if verb in ("keep", "make") and kept:
        return f"The user {side} {kept['how']} {kept['what']}."
    if verb == "keep":
        return f"The user {side} {rest}."
    return f"The user {side} the assistant to {verb} {rest}".strip() + "."
