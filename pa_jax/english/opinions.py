"""Opinions: what somebody finds of a thing, and how it makes them feel.

One lexicon for both sides of it: who is "bored by" opera finds it "boring", and thinks that it is
"dull". How hard a thing is, is no taste: one may love what one finds difficult.
"""

import re

FINDS = "finds"  # the verb of an opinion: "finds opera dull"
HARD = "finds hard"  # the verb of one on how hard a thing is
SORTS = frozenset((FINDS, HARD))

# with "-ed" what the user is ("bored by"), with "-ing" what the thing is ("boring")
_BAD_ROOTS = (
    r"bor|annoy|irritat|disgust|drain|frustrat|appall|disappoint|bother|nauseat|underwhelm|exhaust"
    r"|depress"
)
_GOOD_ROOTS = (
    r"excit|thrill|fascinat|delight|charm|enchant|captivat|intrigu|sooth|inspir|amus|enthrall"
    r"|relax|entertain"
)
BAD_FEELING = rf"(?:(?:{_BAD_ROOTS})ed|unimpressed|unmoved|left cold) (?:by|with|of)"
GOOD_FEELING = rf"(?:(?:{_GOOD_ROOTS})ed|impressed) (?:by|with|about)"

_BAD = (
    rf"(?:{_BAD_ROOTS})ing|dull|tedious|tiresome|awful|horrible|terrible|dreadful|overrated|ugly"
    r"|unpleasant|stressful|creepy|pointless|bad|gross|revolting|nasty|vile|bland|tacky|silly"
    r"|stupid|ridiculous|unbearable|rubbish|nonsense|torture|an? (?:\w+ )?(?:chore|nightmare|pain"
    r"|bore|waste (?:of \w+))"
)
_GOOD = (
    rf"(?:{_GOOD_ROOTS})ing|wonderful|great|good|fun|beautiful|lovely|delicious|tasty|amazing"
    r"|interesting|brilliant|fantastic|excellent|perfect|superb|gorgeous|calming|enjoyable|pleasant"
    r"|addictive|heaven|bliss|an? (?:\w+ )??(?:joy|delight|pleasure|treat"
    r"|(?:great|perfect|good|lovely)(?: \w+){1,2})"
)
_DIFFICULT = r"hard|difficult|challenging|tricky|scary|tiring"
_DEGREE = r"(?:(?:\w+ly|too|so|very|quite|rather|a bit|really|pretty) )*"
_OPINION = re.compile(
    r"\b(?:(?:finds?|considers?) (?P<what>.+?) (?:to be )?"
    r"|thinks?(?: that)? (?P<thing>.+?) (?:is|are) )"
    rf"{_DEGREE}(?:(?P<bad>{_BAD})|{_GOOD}|(?P<difficult>{_DIFFICULT})|(?P<easy>easy|simple|useful))$",
    re.IGNORECASE,
)


def find(text: str) -> tuple[bool, str, str] | None:
    """The opinion that a text gives: whether it is against, FINDS or HARD, and of what."""
    hit = _OPINION.search(text.strip())
    if hit is None:
        return None
    how = HARD if hit["difficult"] or hit["easy"] else FINDS
    denied = re.search(r"\b(?:not|never)\b", text[: hit.start()]) is not None
    return (bool(hit["bad"] or hit["difficult"]) != denied), how, hit["what"] or hit["thing"]
