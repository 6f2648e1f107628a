"""Lines that say several things: their statements, and what is left without one of the things."""

import re

from pa_jax.english import person, statements

# Verbs that begin another statement about the same person: "likes tea and hates coffee". What may
# be a noun too ("planes and trains") counts before a word that follows a verb only.
_SURE = (
    r"loves|likes|hates|dislikes|avoids|prefers|enjoys|wants|needs|lives|works|plays|speaks|owns"
    r"|takes|drinks|eats|uses|listens|watches|reads|goes|wears|grows|keeps|cycles|collects|studies"
    r"|teaches|sings|follows|travels|sleeps|wakes|gets|does|believes|celebrates|prays|knits|finds"
    r"|feels|adores|detests|loathes|gave up|quit|used to|would|can|cannot|can['’]t|is|was|has|had"
    r"|never|does not|doesn['’]t|is not|isn['’]t|no longer"
)
_PERHAPS = r"walks|runs|swims|trains|drives|rides|cooks|bakes|paints|codes|writes|supports|smokes"
_BEHIND = r"to|the|a|an|every|at|on|in|with|for|his|her|their|only|mostly|daily|twice|once|about"
_ADVERB = r"(?:(?:also|always|only|really|sometimes|usually|often|mostly|just|still|\w+ly) )?"
_THIRD = rf"{_ADVERB}(?:(?:{_SURE})\b|(?:{_PERHAPS}) (?:{_BEHIND})\b)"
_MARK = r"(?P<mark>\s*[,;]\s*(?:and|but)?|\s+but|\s+and)\s+"
_JOINT = re.compile(rf"{_MARK}(?=the user |{_THIRD})", re.IGNORECASE)
_JOINT_OF_MINE = re.compile(rf"{_MARK}(?=I |{person.VERB})")
_ANOTHER = re.compile(r"\b(?:who|whose|which|that)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"\b(?:because|since|when|if|while|until|unless|than)\b", re.IGNORECASE)
_SUBJECT = re.compile(r"^(?:(?:the|this) user|i|we)\s+", re.IGNORECASE)
_OF_USER = re.compile(
    r"^(?:(?:the|this) user['’]s|my|our)\s+.{1,60}?(?=\s(?:is|was|has|had|does|can|[a-z]+s)\s)\s",
    re.IGNORECASE,
)
_LISTED = re.compile(r"\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+")
# "Thai and Ethiopian food" is two kinds of it; "black and white photos" are one
_ORIGIN = r"[A-Z]\w*(?:ese|ish|an|i|ch|ek|ic)"
_KINDS = re.compile(
    rf"\b(?P<some>{_ORIGIN}(?:, {_ORIGIN})*),? (?:and|or) (?P<last>{_ORIGIN}) (?P<what>food|cuisine"
    r"|dishes|cooking|music|films|movies|literature|authors|novels|wines?|beers?|restaurants)\b"
)
_POINTS_BACK = re.compile(r"(?:\w+ ){1,5}(?:back|there)\W*$")  # to what the part before names
_SHORT = 4  # words of a thing in a list
_VERB_AT = re.compile(rf"(?:the user|I)\b|{person.VERB}", re.IGNORECASE)


def parts(line: str) -> list[str]:
    """The statements of a compound line: "loves tea, and never eats meat" says two things.

    What follows another person ("a son who is four and has asthma") tells of that person, and
    within a clause ("when it is cold and wet") only a comma or "but" begins another statement.
    """
    line = line.strip()
    start = _OF_USER.match(line) or _SUBJECT.match(line)
    if start is None:
        return [line]
    mine = re.match(r"(?:I|we|my|our)\b", line, re.IGNORECASE) is not None
    found, begin = [], 0
    for hit in (_JOINT_OF_MINE if mine else _JOINT).finditer(line):
        if _ANOTHER.search(line, 0, hit.start()) or _POINTS_BACK.match(line, hit.end()):
            break
        weak = hit["mark"].strip() == "and"
        within = _CLAUSE.search(line, begin, hit.start()) is not None
        aims = mine and re.search(r"\bto \w+", line[begin : hit.start()]) is not None
        if hit.start() > start.end() and not (weak and (within or aims)):
            found.append(line[begin : hit.start()])
            begin = hit.end()
    found.append(line[begin:])
    whole = [part if _begins(part) else start[0] + part for part in found]
    if len(whole) == 1 or len(whole[0][start.end() :].split()) < 2:
        whole = [line]
    else:
        whole = [f"{part.rstrip(' .,;')}." for part in whole]
    return [each for part in whole for each in _kinds(part)]


def _kinds(part: str) -> list[str]:
    """A statement of each kind of a thing: of Thai and of Ethiopian food."""
    hit = _KINDS.search(part)
    if hit is None:
        return [part]
    names = [*hit["some"].split(", "), hit["last"]]
    return [f"{part[: hit.start()]}{name} {hit['what']}{part[hit.end() :]}" for name in names]


def _begins(part: str) -> bool:
    """Whether a part has a subject of its own."""
    return (_SUBJECT.match(part) or _OF_USER.match(part)) is not None


def without(line: str, named: frozenset[str]) -> str:
    """The statement without those of the things it lists that `named` names.

    "listens to jazz and techno" without techno; "" where it is not one of several, or all.
    """
    if _named(line, named):
        return ""
    first, *rest = _LISTED.split(line.strip().rstrip("."))
    if not rest or any(len(part.split()) > _SHORT or _VERB_AT.match(part) for part in rest):
        return ""
    kept = [part for part in rest if not _named(part, named)]
    if not kept and _named(first.split()[-1], named):
        return ""  # "for taxes and paperwork": all of the list is named
    if len(kept) == len(rest):  # then the first of them goes, the words at the end of its part
        told = first.split()
        while len(told) > 2 and _named(told[-1], named):
            told.pop()
        if len(told) == len(first.split()):
            return ""
        first, kept = " ".join([*told, kept[0]]), kept[1:]
    listed = f"{', '.join(kept[:-1])} and {kept[-1]}" if len(kept) > 1 else "".join(kept)
    joint = ", " if len(kept) > 1 else " and " if kept else ""
    return f"{first}{joint}{listed}."


def _named(part: str, named: frozenset[str]) -> bool:
    own = statements.content(part)
    return bool(own) and own <= named
