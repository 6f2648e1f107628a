"""What a statement says is gone: "sold their horse Juno", "the user's cat Nina died"."""

import re

from pa_jax.english import memory, person, statements, words

_GONE = re.compile(  # what is lost follows
    r"^the user (?:has )?(?:recently |just )?(?:sold|lost|gave away|given away|gave up|got rid of"
    r"|threw (?:out|away)|no longer (?:has|owns|keeps)|broke up with|split up with|separated from"
    r"|divorced|is divorced from|parted with|rehomed|traded in) (?P<what>[^,;]+)",
    re.IGNORECASE,
)
_DEAD = re.compile(  # it comes first
    r"^the user['’]s (?P<what>[^,;]+?) (?:has |have |was |were |is |got )?"
    r"(?:died|dead|passed away|broke(?: down)?|broken|stolen|gone|ran away)\b(?!.*\b(?:back|found"
    r"|returned)\b)",
    re.IGNORECASE,
)
_NO_LOSS = re.compile(  # of what is another's, or can be mended
    rf"['’]s\b|\b(?:my|our|his|her|their) (?:\w+ )?(?:{'|'.join(person.KIN)})s?\b|\bbro(?:ke|ken)\b"
    r"|\b(?:almost|nearly|if|would|could|might|never|not)\b",
    re.IGNORECASE,
)
_CALLED = frozenset(("call", "nam"))
_BESIDE = re.compile(r"\s(?:in|at|on|of|from|to|with|for|after|during|last|this|called|named)\s.*$")


@memory.remembered(4096)
def gone(statement: str) -> frozenset[str]:
    """Stems that name what a statement says the user has no more; empty for any other."""
    text = words.expanded(statement).strip().rstrip(".!")
    hit = _GONE.match(text) or _DEAD.match(text)
    return statements.content(hit["what"]) - _CALLED if hit else frozenset()


def told(clause: str) -> list[frozenset[str]]:
    """Stems of what a clause of the user's words says they lost: "sold the Golf", "Olu died"."""
    if _NO_LOSS.search(clause):
        return []
    own = re.sub(r"^(?:i|we)(?: have)? ", "", clause, flags=re.IGNORECASE)
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
