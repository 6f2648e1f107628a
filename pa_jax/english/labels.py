"""Labels for what fits no heading: the thing that a statement is about, as a person would file it.

English only; of a text in another language its last content words are taken.
"""

import re

from pa_jax.english import stance, statements, words

_LONGEST = 2  # words of a label
# Behind these stands what says more of the thing, or another: "garments | made from denim".
_CUT = re.compile(
    r"[,;:()]|\s(?:in|on|at|for|with|without|when|whenever|while|during|after|before|because|to|due"
    r"|from|by|as|than|over|under|near|around|about|unless|if|since|so|rather|instead|even|except"
    r"|that|which|who|whose|where|such|like|including|especially|related|containing|involving|made"
    r"|designed|based|set|prone|centered|centred|and|or|but|is|are|was|were|has|have|every|each"
    r"|does|do|don't|doesn't|prefers?|they|there)(?=\s)",
    re.IGNORECASE,
)
# What stands before the thing: "using [devices]", "any form of [gambling]", "to watch [opera]".
_BEFORE = re.compile(
    r"^\s*(?:(?:not|to|the|a|an|any|all|some|most|many|its|their|his|her|my|this|these|those)\s+"
    r"|(?:idea|thought|form|forms|kind|kinds|sort|sorts|type|types|lot|lots|number|range|fan|fear"
    r"|phobia|use)\s+of\s+"
    r"|(?:strong|deep|severe|acute|intense|particular|clear|certain)\s+(?=\w)"
    r"|(?:dislike|aversion|preference|distaste|hatred|love|passion|weakness)\s+(?:for|to|of)\s+"
    r"|(?:using|having|visiting|wearing|owning|playing|eating|drinking|consuming|watching|reading"
    r"|buying|purchasing|learning|doing|being|going|participating|engaging|use|wear|buy|avoid|watch"
    r"|read|play|eat|drink|visit|own|have|keep|follow|explore|learn|listen|go|stay|engage"
    r"|participate|try|uses|tries|finds|gets|wears|buys|keeps|follows|cannot|can't|handle"
    r"|only)\s+(?=\w)(?:to\s+|in\s+|with\s+)?)+",
    re.IGNORECASE,
)
_EMPTY = frozenset(  # what names nothing by itself
    "anything something everything nothing things thing stuff one ones someone people possible due "
    "everyone anyone related such other others way ways".split()
)
_BROAD = frozenset(  # heads that things of many kinds share: "Thai food" is no "Mexican food"
    "food dish cuisine meal drink music song film movie book show series game sport activity place "
    "product item material event thing style type option brand restaurant".split()
)


def propose(statement: str, known: list[str]) -> str:
    """The label to propose for a statement that fits no heading.

    One of the `known` labels that names the same kind of thing, so that labels recur; else the
    thing that the statement is about, in at most two words.
    """
    about = set(statements.parse(statement).core)
    for name in known:
        stems = [words.stem(word) for word in name.split("_")]
        broad = name.split("_")[-1] in _BROAD
        if about.issuperset(stems) if broad else about.intersection(stems):
            return name
    named = _named(statement) or statements.parse(statement).core[:1]
    return words.label(" ".join([_singular(word) for word in named][-_LONGEST:]))


def _named(statement: str) -> list[str]:
    """The words of the first thing that the statement names behind its verb."""
    found = stance.find(words.expanded(statement))
    rest = found.object if found.words else statements.without_subject(statement)
    while rest.strip():
        rest = _BEFORE.sub("", f" {rest.strip()} ", count=1)
        here, *_ = _CUT.split(f" {rest.strip()} ", maxsplit=1)
        named = [
            word
            for word in words.tokens(here)
            if statements.tells(word) and word not in _EMPTY and not word.endswith("ly")
        ]
        if named:
            return named
        rest = f" {rest.strip()} "[len(here) :].strip().partition(" ")[2]
    return []


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("shes", "ches", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
