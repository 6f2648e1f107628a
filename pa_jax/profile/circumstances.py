"""Homes, jobs and diets: there is one at a time, so that a new one ends the former.

Wherever they are filed: "lives above a noisy bar in Porto" is a home like "lives in Braga", and "is
a student" ends with a job. What kind of job a statement names tells what a new one ends: an
employer ends an employer, a trade a trade, and both end having none. A diet ends with what it rules
out: who eats fish again is no vegetarian. What rules food out for health is no diet.
"""

import dataclasses
import re

from pa_jax.english import abroad, changes, endings, foods, memory, statements, words

OCCUPATION = "work/occupation"
HOME = "there is one home at a time"
JOB = "there is one job at a time"
DIET = "it is eaten again"

_MEANS = (  # "lives on toast" and "on one pension" are no homes, "on Skye" and "on a farm" are
    r"(?:(?:one|two) |(?-i:(?!campus|base|board|site|land|the|his|her|their)[a-z]{3,}\b)"
    r"|(?:a|the|his|her|their) (?:\w+ )?(?:pension|wage|salary|income|grant|budget|diet)\b)"
)
_LIVES = re.compile(
    rf"^the user (?:(?:\w+ly|now|has|is|also) )*(?:(?:lives?|living)(?! on {_MEANS})|resides?"
    r"|residing|rents?|moved(?! (?:\w+ )?from (?!.* to\b))|emigrated|immigrated|relocated|settled"
    r"|based"
    r"|shares? (?:a|an) (?:\w+ )?(?:flat|apartment|house|room|place))\b",
    re.IGNORECASE,
)
_NO_NOUN = r"\b(?! (?:plants?|keys?|wine|music|party|warming|mates?|number)\b)"  # "a house plant"
_OWNS = re.compile(
    r"^the user (?:has|owns|bought) (?:\w+ ){1,3}?(?:flat|apartment|house|studio|place|room)"
    rf"{_NO_NOUN}",
    re.IGNORECASE,
)
_SECOND = re.compile(
    r"\b(?:half|part of|most of) (?:of )?the\b|\b(?:second|holiday|summer|weekend|winter) "
    r"(?:home|house|flat)\b|\b(?:cabin|cottage) in\b|\bgrew up\b|\bduring the\b",
    re.IGNORECASE,
)
_COMPANY = re.compile(r"\blives? (?:with|alone|together|by (?:him|her|them)sel)", re.IGNORECASE)
_FAMILY = re.compile(  # who comes along
    r"\bwith (?:\w+ ){0,2}?(?:partner|spouse|wife|husband|girlfriend|boyfriend|fianc\w+|child\w*"
    r"|kids?|sons?|daughters?|baby|family|cats?|dogs?|pets?)\b"
    r"|\b(?:alone|by (?:him|her|them)sel\w+)",
    re.IGNORECASE,
)
_WE = re.compile(r"\b(?:we|our|us)\b", re.IGNORECASE)
_PLACE = re.compile(r"(?<=\s)(?:[A-Z][\w'’-]+)")
_MOVES = re.compile(
    r"\b(?:mov(?:ed|ing)|relocat\w+|(?:bought|got) (?:an?|our|my) (?:\w+ ){0,2}(?:flat|house|place"
    r"|home|apartment|studio|houseboat|cottage|bungalow)"
    rf"{_NO_NOUN}"
    r"|new (?:address|flat|house|place|home|apartment)|sold|left"
    r"|live (?:\w+ ){0,4}now|are in \w+ now)\b",
    re.IGNORECASE,
)
_SOLD = re.compile(r"\b(?:sold|gave up|moved (?:out|away)|left|got rid of)\b", re.IGNORECASE)

_STATUS = re.compile(
    r"^the user (?:is |is \w+ly )?(?:(?P<looking>(?:looking|searching|hunting) for (?:\w+ ){0,2}"
    r"(?:job|work|position)|between jobs|out of work|unemployed|jobless)|retired|self-employed"
    r"|freelance|a freelancer|(?:a|an) (?:\w+ )?(?:apprentice|trainee|intern)|freelances"
    r"|(?P<studies>(?:a|an) (?:\w+ )?(?:student|freshman|sophomore|undergrad\w*|postgrad\w*)"
    r"|in (?:the|his|her|their) (?:\w+ ){1,2}of (?:an? |his |her |their )?[\w ]*(?:studies|degree)"
    r"|stud(?:ies|ying)|(?:at|goes to) (?:university|college|uni)))\b",
    re.IGNORECASE,
)
_NO_EMPLOYER = re.compile(r"\b(?:unemployed|jobless|retired|self-employed|freelanc\w+|student)\b")
_EMPLOYER = re.compile(
    r"^the user (?:works|is working|is employed|has a job|(?P<trade>(?:is|works as) an? [\w -]+?)) "
    r"(?:at|for|by) (?!home\b|(?:his|her|their|the) (?:hands|children|kids|family)\b)",
    re.IGNORECASE,
)
_TRADE = re.compile(
    r"^the user (?:works|is working) (?:as|in (?!an? |the |shifts\b)(?=[a-z]))\b", re.IGNORECASE
)
_EARNS = re.compile(r"^[Tt]he user \w+s (?:for|at) (?:the )?[A-Z]")  # "drives for Uber"
_HIRED = re.compile(
    r"\b(?:got|took|found|landed|accepted|started|starting|start|began|have)\b.{0,30}"
    r"\b(?:job|position|post|role|contract)\b"
    r"|\bnew (?:job|employer|post|position)\b|\b(?:hired|retrained|graduated|promoted|quit|resigned"
    r"|left|leaving|joined|joining|started (?:as|at|working|out)|laid off|made redundant|fired"
    r"|retired|kept me on|took me on|lost my job|(?:switched|changed) (?:careers|jobs)"
    r"|went (?:freelance|self-employed)|handed in my|cleared (?:out )?my desk"
    r"|(?:first|last) (?:day|week|month|shift) (?:at|in|with|as))\b",
    re.IGNORECASE,
)
_GRADUATES = re.compile(  # a job alone ends no studies
    r"\b(?:graduat\w+|qualified|diploma|finished|finals|dropped out|(?:left|quit|done with|out of)"
    r" (?:uni\w*|college|school)|switched|changed|instead|stud\w+|major\w*|no longer"
    r"|not anymore)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\b(?:on the side|side (?:job|hustle|gig)|second job|weekends?|evenings?|besides|in between"
    r"|to earn|part[- ]time)\b",
    re.IGNORECASE,
)
_FREE_OF = re.compile(r"\b\w+[- ]free\b|\bwithout\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a statement says the user lives.

    place    names of places
    owned    whether it is owned
    company  whether it is shared; `family` whether with those who move along
    """

    place: frozenset[str]
    owned: bool
    company: bool
    family: bool


@memory.remembered(1024)
def tells(statement: str, slot: str) -> bool:
    """Whether a statement tells where the user lives, what they work as or what they eat."""
    works = _jobs(statement, slot) or _EARNS.match(statement)
    return bool(works or _home(statement) or _eats(statement))


def over(new: str, slot: str, old: str, of_old: str, quote: str) -> str:
    """Why a new statement ends a held one: HOME, JOB or DIET, "" where it does not.

    slot and `of_old` are where the two are filed; `quote` are the words of the new one.
    """
    quote = words.expanded(quote)
    if _moved(_home(new), _home(old), quote):
        return HOME
    if eaten := _eats(new) & _not_eaten(old):
        near = changes.near(quote, eaten) or [quote]
        if any(changes.resumes(clause) or changes.is_new(clause) for clause in near):
            return DIET
    hired = _HIRED.search(quote) is not None or changes.is_new(quote) or _stopped(old, quote)
    before = _STATUS.match(old)
    hired = hired or (before is not None and _GRADUATES.search(quote) is not None)
    if studies_on(new, old, quote):
        return ""
    told = " ".join(one for one in changes.sentences(quote) if not one.endswith("?"))
    if hired and not _ASIDE.search(told) and _ends_job(new, slot, old, of_old):
        return JOB
    return ""


def studies_on(new: str, old: str, quote: str) -> bool:
    """Whether a held statement tells of studies that the words, and so the new one, do not end."""
    now, before = _STATUS.match(new), _STATUS.match(old)
    if before is None or not before["studies"]:
        return False
    other = now is not None and now[0].split()[2] != before[0].split()[2]
    ends = _GRADUATES.search(quote) is not None or changes.is_new(quote)
    return other or not ends  # a new subject is no new university


def moves(quote: str) -> bool:
    """Whether the words tell of a move to another home."""
    return _MOVES.search(words.expanded(quote)) is not None


@memory.remembered(1024)
def _home(statement: str) -> Home | None:
    text = words.expanded(abroad.rendered(statement))
    lives, owns = _LIVES.match(text), _OWNS.match(text)
    hit = lives or owns
    if hit is None or _SECOND.search(text) or statements.parse(statement).against:
        return None
    rest = text[hit.end() :]
    place = frozenset(words.stem(name.lower()) for name in _PLACE.findall(rest))
    company = _COMPANY.search(text) is not None
    return Home(place, not lives, company, _FAMILY.search(text) is not None)


def _moved(new: Home | None, old: Home | None, quote: str) -> bool:
    if new is None or old is None:
        return False
    moves = _MOVES.search(quote) is not None or changes.is_new(quote)
    if (old.owned and not _SOLD.search(quote)) or (new.owned and not moves):
        return False
    if new.place and old.place:
        return not new.place & old.place
    if old.company and (old.family or _WE.search(quote)):
        return False
    return moves and not old.place and not new.company


def _looks(statement: str) -> bool:
    """Whether a statement of one's status says that one looks for a job."""
    hit = _STATUS.match(statement)
    return hit is not None and hit["looking"] is not None


def _stopped(old: str, quote: str) -> bool:
    """Whether the words give up what a trade does: "stopped baking" of a baker."""
    stems = [stem for part in endings.given_up(quote) for stem in part if len(stem) > 3]
    return any(word.startswith(stem) for word in statements.content(old) for stem in stems)


def _ends_job(new: str, slot: str, old: str, of_old: str) -> bool:
    now, before = _jobs(new, slot), _jobs(old, of_old)
    status = "status" in before
    if "status" in now:  # who looks for a job may still have one
        looks = _looks(new) and not _NO_EMPLOYER.search(new)
        return bool(before) and not looks
    if not now and _EARNS.match(new):
        return status and _looks(old)
    return bool(now) and (status or bool(now & before))


def _jobs(statement: str, slot: str) -> frozenset[str]:
    """What a statement tells of the user's work: "status", "employer", "trade"."""
    if _STATUS.match(statement):
        return frozenset(("status",))
    employer = _EMPLOYER.match(statement)
    trade = slot == OCCUPATION and not (employer and employer["trade"] is None)
    found = {"employer": bool(employer), "trade": trade or _TRADE.match(statement) is not None}
    return frozenset(kind for kind, told in found.items() if told)


@memory.remembered(1024)
def _eats(statement: str) -> frozenset[str]:
    """The stems of what a statement says that the user eats or drinks."""
    read = statements.parse(statement)
    eaten = read.kind == statements.HABIT and not (read.against or read.past or read.whose)
    return read.named if eaten and not _FREE_OF.search(statement) else frozenset()


@memory.remembered(1024)
def _not_eaten(statement: str) -> frozenset[str]:
    """The stems of what a diet rules out, or of what the user said not to eat or drink."""
    read = statements.parse(statement)
    if read.past or read.whose or read.kind == statements.ALLERGY:
        return frozenset()
    if read.against:
        about = (
            [foods.below(word) for word in words.tokens(statement)]
            if read.kind == statements.HABIT
            else []
        )
    else:
        about = [group for word in words.tokens(statement) for group in foods.diet(word)]
    return frozenset(words.stem(food) for group in about for food in group)
