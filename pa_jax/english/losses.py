"""What a statement says is gone: "sold their horse Juno", "the user's cat Nina died"."""

import re
from collections.abc import Sequence

from pa_jax.english import changes, memory, person, statements, words

_GONE = re.compile(  # what is lost follows
    r"^the user (?:has )?(?:recently |just )?(?:sold|lost|gave away|given away|gave up|got rid of"
    r"|threw (?:out|away)|no longer (?:has|owns|keeps)"
    r"|is no longer (?:together with|with|dating|seeing|married to|engaged to)"
    r"|broke up with|split up with|separated from"
    r"|divorced|is divorced from|parted with|rehomed|traded in"
    r"|(?:gave|handed|sent) back) (?P<what>[^,;]+)",
    re.IGNORECASE,
)
_DEAD = re.compile(  # it comes first
    r"^the user['’]s (?P<what>[^,;]+?) (?:has |have |was |were |is |got )?"
    r"(?:died|dead|passed away|broke(?: down)?|broken|stolen|gone|ran away)\b(?!.*\b(?:back|found"
    r"|returned)\b)",
    re.IGNORECASE,
)
_TO_WHOM = re.compile(r"(?<=back|away) to (?:my|our|the|a) .*$", re.IGNORECASE)
_BACK = re.compile(r"^(?P<did>gave|handed|sent) (?P<what>(?:my|our|the) [\w ]+?) back\b", re.I)
_REGAINED = re.compile(r"\b(?:got|found|fixed|replaced|have) (?:it|them|him|her|a new)\b", re.I)
_HAS = re.compile(r"^the user (?:has|owns) (?P<what>[^,;]+?)[.!]?$", re.IGNORECASE)
_NO_LOSS = re.compile(  # of what is another's, or can be mended
    rf"['’]s\b|\b(?:my|our|his|her|their) (?:\w+ )?(?:{'|'.join(person.KIN)})s?\b|\bbro(?:ke|ken)\b"
    r"|\b(?:almost|nearly|if|would|could|might|never|not)\b",
    re.IGNORECASE,
)
_KEEPING = frozenset("run own driv rid keep rent".split())  # what one has one may sell
_CALLED = frozenset(("call", "nam"))
_DAYS = frozenset(
    map(
        words.stem,
        "today yesterday tonight morning afternoon evening weekend recently finally last week "
        "month year".split(),
    )
)
_BESIDE = re.compile(
    r"\s(?:in|at|on|of|from|to|with|for|after|during|last|this|today|yesterday|called|named)\s.*$"
)


@memory.remembered(4096)
def gone(statement: str) -> frozenset[str]:
    """Stems that name what a statement says the user has no more; empty for any other."""
    text = words.expanded(statement).strip().rstrip(".!")
    hit = _GONE.match(text) or _DEAD.match(text)
    return statements.content(hit["what"]) - _CALLED - _DAYS if hit else frozenset()


def told(clause: str) -> list[frozenset[str]]:
    """Stems of what a clause of the user's words says they lost: "sold the Golf", "Olu died"."""
    clause = _TO_WHOM.sub("", clause)
    if _NO_LOSS.search(clause):
        return []
    own = re.sub(r"^(?:i|we)(?: have)? ", "", clause, flags=re.IGNORECASE)
    own = _BACK.sub(r"\g<did> back \g<what>", own)  # "gave the drill back"
    found = [gone(f"The user {own}"), gone(f"The user's {clause}")]
    return [stems for stems in found if stems]


@memory.remembered(4096)
def head(statement: str) -> frozenset[str]:
    """The stem of the thing itself: of "lost their dog's leash" the leash, not the dog."""
    text = words.expanded(statement).strip().rstrip(".!")
    hit = _GONE.match(text) or _DEAD.match(text)
    stems = words.content(_BESIDE.sub("", hit["what"])) if hit else ()
    names = statements.names(statement) & set(stems)
    things = [stem for stem in stems if stem not in names]
    return frozenset(things[-1:]) | (names if stems and stems[-1] in names else frozenset())


def kept(statement: str, heard: str) -> str | None:
    """What "has a slow cooker" should say where the user's words tell that it died; else None."""
    hit = _HAS.match(statement.strip())
    if hit is None or statements.parse(statement).against or _REGAINED.search(heard):
        return None
    thing = statements.content(hit["what"])
    lost = any(thing in told(part) for part in changes.clauses(heard))
    return f"The user no longer has {hit['what']}." if thing and lost else None


def of(gone: frozenset[str], lost: frozenset[str], statement: str, held: Sequence[str]) -> bool:
    """Whether a loss (`gone` and `head` of it) is of what a held statement says the user has.

    Names tell it; without one, "the cat died" means the only cat there is among all that is held.
    """
    old = statements.parse(statement)
    taste = old.kind in (statements.LIKE, statements.ALLERGY)
    if taste or old.against or not lost & old.named:
        return False
    known = statements.names(statement)
    if known:
        alone = sum(gone <= statements.content(other) for other in held)
        unnamed = not known & gone and gone <= old.named
        return known <= gone or (unnamed and alone == 1)
    owned = old.kind == statements.HAVE or old.verb in _KEEPING
    return owned and old.named - {old.verb, *old.numbers} <= gone


def is_called(gone: frozenset[str], statement: str) -> bool:
    """Whether what is gone is what a statement says by name that the user has."""
    have, known = statements.parse(statement), statements.names(statement)
    owned = have.kind == statements.HAVE and not have.against
    return owned and bool(known & gone) and (known <= gone or gone <= have.named)
