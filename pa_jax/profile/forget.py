"""What the user's words ask to have forgotten, as operations.

"Forget that" means what was learnt in the last turn; "forget that I like tea", "forget about
the tea" mean the facts that hold every word of the rest. "Forget everything" is no operation:
that is ProfileStore.erase, which a user asks for by command. Nor is "don't forget that ...".
"""

import re
from collections.abc import Sequence

from pa_jax.profile import facts, wording

_FORGET = re.compile(
    r"(?:^|[.!?;]\s+|\b(?:please|just|and|can you|could you|,)\s+)(?:please\s+|just\s+)?"
    r"(?:forget|unlearn|delete|don['’]t remember|do not remember)\s+(?P<what>[^.!?;\n]{1,200})",
    re.IGNORECASE,
)
_LAST = re.compile(
    r"^(?:that|this|it|what i (?:just )?(?:said|told you))(?: please| again| now)?$", re.IGNORECASE
)
_NAMED = re.compile(
    r"^(?:about |that |the fact that |what i (?:said|told you) about )(?P<rest>.+)$", re.IGNORECASE
)


def asked(words: str, profile: Sequence[facts.Fact]) -> tuple[facts.FactOp, ...]:
    """Operations that retract the held facts which the user's words ask to have forgotten."""
    found: dict[str, facts.Fact] = {}
    for match in _FORGET.finditer(words):
        what = match["what"].strip(" ,")
        named = _NAMED.match(what)
        if _LAST.match(what):
            hits = _of_last_turn(profile)
        elif named:
            hits = _naming(named["rest"], profile)
        else:
            hits = []
        found |= {fact.id: fact for fact in hits}
    return tuple(
        facts.FactOp(facts.RETRACT, None, fact.slot, fact.statement, fact.polarity, "stated", 1.0)
        for fact in found.values()
    )


def _of_last_turn(profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    last = max(((fact.source.session, fact.source.turn) for fact in profile), default=None)
    return [fact for fact in profile if (fact.source.session, fact.source.turn) == last]


def _naming(rest: str, profile: Sequence[facts.Fact]) -> list[facts.Fact]:
    wanted = set(wording.topic(rest).split())
    if not wanted:
        return []
    return [fact for fact in profile if wanted <= set(wording.topic(fact.statement).split())]
