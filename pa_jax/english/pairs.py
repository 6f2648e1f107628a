"""What two statements have in common: the frame, the verb, all but a number or a word."""

import re
from collections.abc import Collection, Iterable

from pa_jax.english import endings, opinions, person, roundabout, statements, words

WISHES = frozenset("wants want needs need prefers prefer".split())
_AIM = re.compile(r"^the user (plans?|wants|hopes|intends|would like) to\b", re.IGNORECASE)
_TIMES = frozenset("next year month week".split())

_AGE = re.compile(
    r"\b(?:is|are|turned|aged?)(?: now)? (?P<age>[\w]+)(?: years? old)?(?=\W*$|,| and )"
    r"|\b(?P<old>[\w]+)[- ]years?[- ]old\b",
    re.IGNORECASE,
)

_POST = re.compile(  # whom one has one of at a time
    r"^the user['’]s (?:new )?(?P<post>boss|manager|landlord|landlady|doctor|gp|dentist|therapist"
    r"|coach|husband|wife|partner|girlfriend|boyfriend) is ",
    re.IGNORECASE,
)

_AWAITS = re.compile(
    r"\b(?:pregnant|(?:expect(?:s|ing)|(?:look|wait|search|hunt)(?:s|es|ing) for"
    r"|(?:wants|plans|hopes) to (?:adopt|buy|find|get|rent)) "
    r"(?P<what>(?:(?!(?:in|at|on|for|from|with|near|by) )[\w-]+ ?)+))",
    re.IGNORECASE,
)
_SUPPOSES = re.compile(
    r"^the user (?:(?:still|just|now|also|currently|sometimes) )*(?:(?:is|has been) (?:\w+ly )?"
    r"(?:thinking (?:about|of)|considering|planning|hoping|tempted|toying|wondering|debating|unsure"
    r"|undecided)|might|may|could|plans|hopes|intends|wonders"
    r"|(?:wants|would like) to (?!be|have))\b",
    re.IGNORECASE,
)
_WITHOUT = re.compile(r"\b(?:no|without(?: any)?) (?P<what>[\w-]+)", re.IGNORECASE)
_KINDS = {  # who has one of these has one of those
    words.stem(kind): frozenset(map(words.stem, of_it.split()))
    for kind, of_it in {
        "child": "son daughter baby toddler twin boy girl",
        "sibling": "brother sister",
        "single": "partner girlfriend boyfriend wife husband fiance fiancee",
        "pet": "cat kitten dog puppy rabbit parrot tortoise hamster horse",
    }.items()
}
_CAME = re.compile(
    r"\b(?:came|come|arrived|born|birth|here|got|found|bought|adopted|picked up|moved into)\b",
    re.IGNORECASE,
)


def comparable(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether one can contradict the other: an allergy is no dislike, a cat is no love of cats."""
    if statements.ALLERGY in (new.kind, old.kind):
        return new.kind == old.kind
    if new.kind == old.kind:
        hard = opinions.HARD in (new.verb, old.verb)
        return new.verb == old.verb or not (hard or new.kind == statements.HABIT)
    plain = {new.kind, old.kind} <= {statements.LIKE, statements.HABIT, statements.DO}
    return plain


def one_measure(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether both are opinions of one sort, or neither is: who likes chess may find it hard."""
    measures = [read.verb if read.verb in opinions.SORTS else "" for read in (new, old)]
    return measures[0] == measures[1]


def another_number(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements differ in a number alone; works have numbers in their names."""
    if new.kind != old.kind or new.against != old.against:
        return False
    if new.kind == statements.ALLERGY or new.kind == statements.LIKE and new.verb not in WISHES:
        return False
    return (
        bool(new.numbers and old.numbers)
        and new.numbers != old.numbers
        and frozenset(new.core) == frozenset(old.core)
    )


_INSTEAD = re.compile(  # "drives a Skoda instead of a Polo", "named Stephen, not Stefan"
    r"(?:\b(?:instead|in place) of|, (?:and |but )?not) (?P<gone>[^,;]+?)(?: any ?more)?\W*$"
    r"|\b(?:switched|changed|moved) from (?P<left>[^,;]+?) to\b",
    re.IGNORECASE,
)


def instead(new: str, old: str) -> bool:
    """Whether the new statement names what the old one says as what it stands in place of.

    What one prefers to a thing says nothing against liking it.
    """
    hit = _INSTEAD.search(new)
    if hit is None:
        return False
    was, now = statements.parse(old), statements.parse(new)
    gone = statements.content(hit["gone"] or hit["left"])
    rest = statements.content(new[: hit.start()] + new[hit.end() :])
    if hit["left"]:  # "switched from X to Y for banking" is of the bank, whatever else is at X
        near = bool(rest & (was.named | {was.verb}))
    else:
        near = (now.kind, now.verb) == (was.kind, was.verb) or was.verb in gone
    differs = was.named - rest - {was.verb}
    told = near and not was.against and not now.verb.startswith("prefer")
    return told and bool(differs) and differs <= gone and bool(rest - gone)


_BYGONE = re.compile(
    r"^the user (?:lived|worked|studied|grew up|was|went|had|played|served|spent|drove|owned)\b.*"
    r"\b(?:as an? (?:child|kid|teenager|boy|girl|student|toddler)|in (?:19|20)\d\d|years ago"
    r"|in (?:his|her|their) (?:youth|childhood|teens|twenties|thirties)|when (?:young|little|small)"
    r"|in the (?:\w+ties|(?:19|20)?\d0s))\b",
    re.IGNORECASE,
)


def bygone(new: str, old: str) -> bool:
    """Whether the old statement tells of a time long over, and the new one of today."""
    return _BYGONE.match(old) is not None and _BYGONE.match(new) is None


def counted(new: statements.Statement, old: statements.Statement, said: str) -> bool:
    """Whether what one was told to have one of, as it was said, is counted now: "a tattoo"."""
    held = new.kind == old.kind == statements.HAVE or new.verb in WISHES and like(new, old)
    had = held and not (new.against or old.against)
    one = had and not old.numbers and re.search(r" an? ", said) is not None
    more = len(new.numbers) == 1 and new.numbers[0].isdecimal() and int(new.numbers[0]) > 1
    return one and more and frozenset(new.core) == frozenset(old.core) and new.scope == old.scope


def further(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether a state is told by another number in fewer words: "28 weeks pregnant"."""
    states = new.kind == old.kind == statements.BE and not (new.against or old.against)
    told = bool(new.numbers) and len(new.numbers) == len(old.numbers) and new.numbers != old.numbers
    return states and told and len(new.core) > 1 and frozenset(new.core) <= frozenset(old.core)


def another_age(new: str, old: str, quote: str) -> bool:
    """Whether two statements of one person give that person two ages, in whatever frame.

    The words of the new one may name whom it leaves unnamed.
    """
    named, known = statements.names(new), statements.names(old)
    named = named or frozenset(words.content(quote))
    ages = _age(new), _age(old)
    return bool(named & known) and all(ages) and ages[0] != ages[1]


def another_holder(new: str, old: str) -> bool:
    """Whether two statements name two people for what one has one of: "the user's boss is Lena"."""
    now, was = _POST.match(new), _POST.match(old)
    if now is None or was is None or now["post"].lower() != was["post"].lower():
        return False
    named, known = statements.names(new), statements.names(old)
    return bool(named - known and known - named) and purpose(new) == purpose(old)


def _age(statement: str) -> str:
    hit = _AGE.search(statement)
    said = (hit["age"] or hit["old"]).lower() if hit else ""
    number = words.NUMBERS.get(said, said)
    return number if number.isdecimal() else ""


def framed(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements share what they are about, and differ in a word or two, or in when."""
    return bool(new.named & old.named) and apart(new, old)


def apart(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements of one kind differ in a word or two, or in when."""
    if (new.kind, new.against) != (old.kind, old.against):
        return False
    one, other = frozenset(new.core), frozenset(old.core)
    if new.scope != old.scope:  # "at 6" is a time like "at lunchtime"
        timed = all(read.scope or read.numbers or _TIMES & set(read.core) for read in (new, old))
        return timed and (one <= other or other <= one)
    return bool(one - other and other - one) and max(len(one - other), len(other - one)) <= 2


def other_time(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements differ in when alone: "plays on Mondays", "on Wednesdays"."""
    return new.scope != old.scope and frozenset(new.core) == frozenset(old.core) and apart(new, old)


def like(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements say the same kind of thing, on the same side, with the same verb."""
    return (new.kind, new.against, new.verb) == (old.kind, old.against, old.verb)


def aims(a: str, b: str) -> bool:
    """Whether two statements tell what the user is up to: "plans to get a cat"."""
    one, other = _AIM.match(a), _AIM.match(b)
    return one is not None and other is not None and one[1].lower() == other[1].lower()


def rethought(new: statements.Statement, old: statements.Statement, about: frozenset[str]) -> bool:
    """Whether a mind changed `about` a thing is about the last word of the old, in one situation:
    "takes an aisle seat when flying", "prefers the window when flying".
    """
    does = (statements.LIKE, statements.HABIT, statements.DO)
    plain = new.kind in does and old.kind in does and not (new.against or old.against)
    return plain and about == {*old.core[-1:]} and bool(new.scope & old.scope)


def parallel(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements are alike but for one word: "a daughter called Anna", "... Hanna"."""
    one, other = frozenset(new.core), frozenset(old.core)
    return (
        new.kind == old.kind
        and new.against == old.against
        and bool(new.named & old.named)
        and max(len(one - other), len(other - one)) == 1
    )


def refines(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether one says all that the other does, and more."""
    if new.kind != old.kind or new.against != old.against or not old.core:
        return False
    told = [len(read.core) + len(read.numbers) + len(read.scope) for read in (new, old)]
    whole = frozenset(old.core) <= frozenset(new.core) and old.scope <= new.scope
    return told[0] > told[1] and whole and set(old.numbers) <= set(new.numbers)


def ends(past: str, statement: str, quote: str) -> bool:
    """Whether what is told as past ends a statement that says when besides, as the words do."""
    was, now = statements.parse(past), statements.parse(statement)
    same = like(was, now) and was.whose == now.whose
    alike = (frozenset(was.core), was.numbers) == (frozenset(now.core), now.numbers)
    told = now.scope - was.scope <= statements.content(quote) or endings.stops(quote)
    return same and alike and bool(now.scope) and told


def respelt(new: statements.Statement, old: statements.Statement) -> bool:
    """Whether two statements are alike but for how a word is spelt: "Joanna", "Johanna"."""
    one, other = set(new.core) - set(old.core), set(old.core) - set(new.core)
    return parallel(new, old) and len(one) == 1 and words.misspelt(next(iter(one)), other)


def awaited(new: str, statement: str, quote: str) -> bool:
    """Whether a held statement waits for what the new one has by now: a baby, a flat."""
    has = statements.parse(new)
    if has.kind != statements.HAVE or has.against or not _CAME.search(quote):
        return False
    hit = _AWAITS.search(statement)
    what: Collection[str] = words.content(hit["what"] or "a baby")[-1:] if hit else ()
    stems = [words.stem(word) for word in words.tokens(new)]
    if what == ("baby",):
        what = _KINDS["child"]
    after = [stems[at + 1 : at + 2] for at, stem in enumerate(stems) if stem in what]
    return any(not rest or rest[0] in words.STOP | person.KIN for rest in after)


def purpose(statement: str) -> frozenset[str]:
    """What a statement says something is for: "a budget of 60 euros for a helmet"."""
    return statements.content(statement.rpartition(" for ")[2] if " for " in statement else "")


def supposes(statement: str) -> bool:
    """Whether a statement tells what may come, and not what holds: "is thinking about a move"."""
    return _SUPPOSES.match(statement) is not None


def is_one_of(bearer: str, new: statements.Statement, old: statements.Statement) -> bool:
    """Whether the new statement tells of one where the old says that there is none: a son."""
    none = old.kind == statements.HAVE and old.against and len(old.core) == 1
    none = none or (
        old.kind == statements.BE and old.core == (words.stem("single"),) and not old.against
    )
    has = new.kind == statements.HAVE and not (new.against or new.past or "ex" in new.core)
    return none and has and bool(_KINDS.get(old.core[0], frozenset()) & {bearer, *new.core[-1:]})


def other_detail(new: str, old: str) -> bool:
    """Whether one statement is without what the other is with: "tea with sugar", "... no sugar"."""
    now, was = statements.parse(new), statements.parse(old)
    if further(now, was):
        return True
    lacks = [
        words.content(" ".join(_WITHOUT.findall(roundabout.plain(text)))) for text in (new, old)
    ]
    turned = set(lacks[0]) & set(was.core) - set(lacks[1]) or (
        set(lacks[1]) & set(now.core) - set(lacks[0])
    )
    same = like(now, was) and not now.against and now.scope <= was.scope
    return same and bool(turned) and bool(now.named & was.named - turned)


def flips(new: statements.Statement, held: Iterable[statements.Statement]) -> bool:
    """Whether a statement says the opposite of one of its own kind among those that are held."""
    return any(
        (new.kind, new.about) == (old.kind, old.about) and new.against != old.against
        for old in held
    )


def came(quote: str) -> bool:
    """Whether the words tell that something was got, or arrived."""
    return _CAME.search(quote) is not None


_SETTING = re.compile(  # the last words that say where or what for: "for work emails"
    r"^the user (?!lives|lived|works|studies|is |was |has |had |moved|comes|stays|goes)"
    r"(?P<what>.+?)"
    r" (?:for|at|on|in(?= (?:the |\w+s\b))|to(?= the))"
    r" (?P<where>(?:(?! (?:for|at|on|in) ).)+?)\W*$",
    re.IGNORECASE,
)


def settings_apart(new: str, old: str, own: frozenset[str]) -> bool:
    """Whether two statements say different things, each of another setting: a formal tone for work
    emails, a casual one for texts to friends. `own` as for `scopes_apart`.
    """
    hits = _SETTING.match(new), _SETTING.match(old)
    if hits[0] is None or hits[1] is None:
        return False
    what, where = (
        [statements.content(hit[part]) for hit in hits if hit] for part in ("what", "where")
    )
    told = [words_in - own for words_in in where]
    return what[0] != what[1] and any(told) and not where[0] & where[1]


def scopes_apart(new: statements.Statement, old: statements.Statement, own: frozenset[str]) -> bool:
    """Whether the new statement holds in a situation of which the held one does not speak.

    `own` are the words of their slot, which tell no situation of its own in it.
    """
    now, was = new.scope - old.scope, old.scope - new.scope
    if now and was and new.scope & old.scope:  # "on short flights", "on long flights"
        return True
    if (
        new.scope
        and old.scope
        and "when" not in new.scope | old.scope
        and not new.scope & old.scope
    ):
        return not new.scope | old.scope <= own  # "at work", "at home"
    return bool(now - own)
