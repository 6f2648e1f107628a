"""What a user says so plainly that no model is needed to note it, as statements.

Requests to remember something, standing instructions (instructions.py), and first-person sentences
of allergies, diets, tastes and habits. What is asked, quoted, supposed, past or about this once is
left to who reads with more than rules.
"""

import re
from collections.abc import Iterator

from pa_jax.english import instructions, lists, memory, person, statements, words

LONGEST = 600  # characters of a message: a longer one is a text that was pasted
MOST_WORDS = 14  # of a sentence that is taken as it stands

_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;]*")
_QUOTES = re.compile(r"[\"“”«»`]|(?<!\w)'|'(?!\w)")
_TASK = re.compile(  # the words are a text to work on, or a game
    r"\b(?:translate|rewrite|rephrase|proofread|summari[sz]e|paraphrase|correct (?:this|the)|edit"
    r"|improve|pretend|imagine|role-?play|act as|suppose|story|poem|song|lyrics|essay|letter"
    r"|paragraph|sentence|dialogue|character|draft|e-?mail (?:to|from|that|saying))\b",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^\W*(?:(?:good (?:morning|afternoon|evening|day)(?: \w+(?=\s*,))?|hiya|yo"
    r"|and|but|so|also|oh|well|hi|hello|hey|yes|yeah|no(?=\W*[,.!])|ok|okay|thanks"
    r"|thank you|please|just|now|then|by the way|btw|fyi|honestly|actually|anyway|again"
    r"|one more thing|quick one)\b[\s,:–-]*)+",
    re.IGNORECASE,
)
_REMEMBER = re.compile(
    r"^\W*(?:(?:please|just|(?:can|could|would) you|i (?:want|need) you to|you should)\W+)*"
    r"(?:remember|note|keep in mind|bear in mind|do not forget|never forget|make a note|know"
    r"|save|write down)(?: for (?:later|next time|the future))?(?: that|:|,)?\s+"
    r"(?P<what>(?:i|my|we|our)\b(?! (?:said|told|asked|mentioned)).+)$",
    re.IGNORECASE,
)
_DOES = (
    r"(?:do|eat|drink|wear|use|touch|read|watch|listen|play|buy|fly|travel|work|run|swim|cycle"
    r"|train|drive|cook|shop|speak|write|sleep|go|take|smoke|stay|pay|bake|order|book|walk)"
)
_FEW = r"(?:an?|no|two|three|four|five|six|\d+)"
_OWNED = (
    rf"(?:{person.HOUSEHOLD}|brothers?|sisters?|dogs?|cats?|rabbits?|horses?|hens|parrots?|pets?"
    r"|cars?|motorbikes?|bikes?|vans?|boats?|gardens?|balcony|allotment|bakery|shops?|caf[eé]|farm"
    r"|pianos?|guitars?|violin|cello|drums|ovens?|dishwasher|freezer|camera)"
)
_NO_NOUN = r"(?=$|,| (?:and|or|who|called|named|at|in|with)\b)"
_TASTE = re.compile(
    r"^I (?:(?:really|just|mostly|usually|generally|still|absolutely|\w+ly) )*"
    r"(?:like|love|hate|dislike|prefer|enjoy|adore|detest|loathe|despise|can not stand|can not bear"
    rf"|do not (?:really )?(?:like|enjoy|eat|drink|smoke|drive)|(?:only|never|always) {_DOES}"
    r"|avoid)"
    r"\s+\w+|^I do not (?:smoke|drive|drink|cook|fly)$"
)
_IS = (
    r"(?:(?:also|very|severely|strictly|a|an|not) )*(?:vegans?|vegetarians?|pescatarian|coeliac"
    r"|celiac|diabetic|pregnant|asthmatic|epileptic|colou?r-?blind|deaf|\w+ intolerant"
    r"|intolerant to .+|allergic to (?!(?:his|her|their|people|work|mornings|mondays|jokes"
    r"|nonsense)\b).+)"
)
_ILLNESS = (
    r"(?:an? |severe |bad )*(?:\w+ )?(?:allerg(?:y|ies)(?: to .+)?|intolerance|asthma|epilepsy"
    r"|diabetes|eczema|coeliac disease|celiac disease|migraines|insulin|warfarin)"
)
_MAY_NOT = r"can not (?:eat|have|drink) \w+(?: \w+)?"
_STATE = re.compile(
    rf"^I am {_IS}$"
    r"|^I (?:am|have been) on (?:insulin|warfarin|blood thinners|a statin|antidepressants)$"
    rf"|^I (?:also )?(?:have|suffer from|take) {_ILLNESS}$"
    rf"|^I {_MAY_NOT}$"
)
_LIFE = re.compile(  # how somebody lives, in sentences that say nothing else
    r"^I (?:(?:also|now|still|currently|just|recently|mostly|usually|only|have) )*(?:"
    r"live (?!in the (?:moment|past|present|now))(?:in|on|at|near|with|alone|above|next to)\b"
    r"|moved (?:here|(?:from .+ )?(?:back )?(?:to|into|in with) \w+)"
    r"|(?:work|teach|study) (?:nights|days|shifts|weekends|part[- ]time|full[- ]time|remotely"
    r"|from home|during|on weekdays|(?:as|in|at|for) (?:an? |the )?\w+|\w+ (?:at|in) \w+)"
    r"|(?:look after|take care of|care for) (?:my|our|an?|two|three) \w+"
    r"|(?:speak|write|teach) (?:\w+ )?(?-i:[A-Z])\w+"
    r"|play (?:the )?\w+(?: (?:on|in|at|with|every|twice|once)\b.*)?$"
    rf"|(?:have|own|keep) {_FEW} (?:\w+ ){{0,2}}{_OWNED}{_NO_NOUN}"
    r"|(?:get up|wake up|go to bed|commute) (?:at|before|around|early|late|by|from|to)\b"
    r"|(?:bike|cycle|walk|drive|commute) (?:to (?:work|school|the office)|everywhere)\b"
    r"|am (?:learning|studying|training for|saving for) \w+"
    r"|am (?:married|single|divorced|widowed|retired|self-employed|unemployed|left-handed"
    r"|\d+ years old)"
    r"|read on (?:my|an?) \w+"
    r"|want to (?:learn (?-i:[A-Z])\w+|learn to \w+|get better at \w+|lose weight"
    r"|(?:quit|give up) \w+ing|run an? (?:half )?marathon)"
    r"|(?:need|want) (?:everything|all (?:of )?my (?:food|meals)|my (?:food|meals)) (?:to be )?\w+)"
)
_THEIR_STATE = re.compile(  # what those of the household cannot have
    rf"^(?:my|our) (?P<who>(?:(?!ex\b)\w+ )?{person.HOUSEHOLD}) (?P<what>(?:is|are) {_IS}"
    rf"|(?:has|have|suffers? from|takes?) {_ILLNESS}|{_MAY_NOT})$",
    re.IGNORECASE,
)
_AND_THEIRS = re.compile(r",? and (?=(?:my|our)\b)", re.IGNORECASE)
_VERDICT = re.compile(  # a thing, and what it does to the user: "country is not for me"
    r"^(?P<what>(?!(?:the|this|that|an?|my|our|your|his|her|their|i|we|you|it|he|she|they|there|what"
    r"|which|who|one|all|some|nothing|something)\b)[\w'’&-]+(?: [\w'’&-]+){0,3}?)"
    r" (?:(?:just|really|simply|still|kind of|kinda|sort of|finally|slowly|honestly) )*(?:"
    r"(?P<likes>(?:(?:has|have|is|are) )?(?:(?:really|kind of|kinda|finally) )?"
    r"(?:grew|grown|growing) on me|never gets? old|(?:is|are) (?:right )?up my street)"
    r"|(?:is|are) (?:(?:just|really|simply|so) )*not (?:really )?"
    r"(?:for me|my (?:thing|cup of tea|world|scene|jam))"
    r"|bores? me(?: (?:to (?:tears|death)|stiff|rigid))?|puts? me (?:to sleep|right off)"
    r"|(?:does|do) nothing for me|leaves? me cold|gets? on my nerves|gives? me the (?:creeps|ick)"
    r"|drives? me (?:mad|crazy|nuts|up the wall|insane))"
    r"(?: (?:though|tho|ngl|lol|honestly|either|too|these days|lately|now|tbh"
    r"|any ?more))*$",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"\s*[,;:]\s*|\s[-–—]\s|\s+but\s+|\s+and\s+(?=\w+ (?:is|are|bores?|puts?|gets?)\b)"
)
_SO = re.compile(r",? so\b.*$")
_NOT_SURE = re.compile(
    r"\b(?:(?:my|our) \w+ and I|if|would|could|might|maybe|perhaps|think|guess|wonder|wish"
    r"|used to|when i was"
    r"|as a (?:child|kid)|said|says|told|unless|sometimes|to know|to see|to hear|to ask|how|what"
    r"|why|where|which|who|idea|sound of|help|you|your|but|first|second|third|former|latter|option"
    r"|version|answer|question)\b",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(?:it|them|this|that|these|those|one|ones|he|she|they|him|her|there)\b", re.I
)
_ASKS_BEHIND = re.compile(
    r",\s*(?:so |and )?(?:what|which|how|where|who|any|can|could|would|will|do|does|is"
    r"|are)\b[^,]*\?$",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"(?<=^I )also |(?<=^I have) got(?= )|(?<=^I am )also |,? (?:too|as well|by now|either|btw"
    r"|by the way|though|actually|lol|haha)$"
)
_AND_I = re.compile(  # another clause with a subject of its own: "I love A, but I can't stand B"
    r"\s*[,;]?\s+(?:but|though|although|whereas|yet)\s+(?=(?:I|my|our|we|he|she|they)\b)"
    r"|\s*,?\s+and\s+(?=I (?:love|hate|like|dislike|prefer|enjoy|adore|avoid|am|can|do|never)\b)"
    r"|\s*,?\s+and\s+(?=(?:he|she|they|(?:my|our) \w+) (?:loves?|hates?|likes?|is|are|has|have|can"
    r"|do|does|wants?|prefers?|eats?|will)\b)"
    r"|\s*[,;]\s+(?=I\b)"
)
_WE = re.compile(
    r"\bwe(?= (?:have|own|keep|live|moved|just|speak|are (?:married|learning))\b)", re.I
)
_AND_MINE = re.compile(r"\b(?:my|our)(?: \w+){1,2}$")  # "my dog and I love walks" is no end of it
_ASIDE = re.compile(
    r",[^,]*\b(?:I|it|that|which|they|my)\b.*$|, (?:so|no|not) .*$| (?:because|since) .*$", re.I
)


@memory.remembered(512)
def said(text: str) -> tuple[str, ...]:
    """The statements that a message makes outright, in the third person, in order."""
    if len(text) > LONGEST or not words.is_english(text):
        return ()
    works = _TASK.search(text) is not None
    found: list[str] = []
    for sentence in _sentences(text):
        for statement in _of(sentence, works):
            if not any(statements.key(statement) == statements.key(other) for other in found):
                found.append(statement)
    return tuple(found)


@memory.remembered(512)
def lived(text: str) -> tuple[str, ...]:
    """What a message tells outright of how its user lives, in the third person, in order.

    It is less sure to be meant for keeping than what `said` has: for who noted nothing of it.
    """
    if len(text) > LONGEST or not words.is_english(text) or _TASK.search(text):
        return ()
    return tuple(
        statement
        for sentence in _sentences(text)
        for part in _clauses(_WE.sub("I", sentence))
        for statement in _stated(part, _LIFE)
    )


def _sentences(text: str) -> Iterator[str]:
    """The sentences that neither quote nor ask, contractions written out, without their marks."""
    for raw in _SENTENCE.findall(words.expanded(text.replace("’", "'"))):
        told = _ASKS_BEHIND.sub("", raw)  # "I'm vegan, what can I cook?" says something first
        bare = _OPENING.sub("", told.strip()).strip(" ,–-")
        wish = re.match(r"(?:can|could|would|will) you ", bare, re.IGNORECASE)
        if bare and not _QUOTES.search(bare) and (wish or not bare.endswith("?")):
            yield re.sub(r"\bi\b", "I", bare.rstrip(" .!?;,"))


def _of(sentence: str, works: bool) -> tuple[str, ...]:
    asked = _REMEMBER.match(sentence)
    if asked:
        return _own(asked["what"])
    instructed = instructions.of(sentence)
    if instructed:
        return (instructed,)
    return () if works else _told(sentence)


def _told(sentence: str) -> tuple[str, ...]:
    """What the clauses of a first-person sentence tell that leave no doubt."""
    if theirs := tuple(_theirs(sentence)):
        return theirs
    own = _clauses(sentence) if sentence.startswith("I ") else ()
    stated = (statement for part in own for statement in _stated(part, _TASTE, _STATE))
    return (*stated, *_judged(sentence))


def _clauses(sentence: str) -> list[str]:
    """The clauses of which the user is the subject."""
    parts = _AND_I.split(sentence)
    if any(map(_AND_MINE.search, parts[:-1])):
        parts = [sentence]
    return [part for part in parts if part.startswith("I ")]


def _stated(sentence: str, *kinds: re.Pattern) -> tuple[str, ...]:
    bare = _ASIDE.sub("", _ALSO.sub("", sentence))
    if _NOT_SURE.search(bare) or statements.passing(bare) or len(bare.split()) > MOST_WORDS:
        return ()
    plain = any(kind.match(bare) for kind in kinds)
    return _own(bare) if plain and not _POINTS.search(bare) else ()


def _theirs(sentence: str) -> Iterator[str]:
    """What those of the household are or cannot have, clause by clause."""
    for part in _AND_THEIRS.split(sentence):
        bare = re.sub(rf"'s (?={_IS}$)", " is ", _SO.sub("", _ASIDE.sub("", part)))
        told = _THEIR_STATE.match(bare)
        unsure = told and (_POINTS.search(bare) or _NOT_SURE.search(bare))
        if told is None or unsure or statements.passing(bare):
            continue
        who = told["who"].lower()
        many = who.endswith("s") or who.endswith("children")
        article = "" if many else "an " if who[0] in "aeiou" else "a "
        yield f"The user has {article}{who} who {told['what'].replace('can not ', 'cannot ')}."


def _judged(sentence: str) -> Iterator[str]:
    """What the user likes or dislikes of the things that are the subjects of the clauses."""
    for part in _MARKS.split(sentence):
        told = _VERDICT.match(_OPENING.sub("", part).strip())
        if told and not (set(told["what"].lower().split()) & person.KIN):
            what = told["what"]
            if re.match(r"[A-Z][a-z]+(?:s|ing| [a-z' -]+)$", what):  # no name
                what = what[0].lower() + what[1:]
            yield f"The user {'likes' if told['likes'] else 'dislikes'} {what}."


def _own(text: str) -> tuple[str, ...]:
    """What a first-person text states, as statements about the user."""
    text = re.sub(r"^(?:i|we)\b", "I", re.sub(r"^our\b", "my", text, flags=re.I), flags=re.I)
    made = [person.stated(part) for part in lists.parts(text)]
    plain = (each.replace(" can not ", " cannot ") for each in made if each)
    return tuple(each for each in plain if not statements.vague(each))
