"""How right a profile is: its facts against the statements that gold says hold, one to one.

Two statements match when they are for or against alike, and either have the same statements.topic,
or share at least LEVEL of their content words (token-F1 without stances and stop words), or one
says a part of the other and nothing else, at least PART of its content words. The levels are ours:
of the taxonomy's pairs of different values of one slot, stated as gold states them, 5 % match (of
all words, "prefers ... when eating out" among them, they share far more), of gold statements and
their rewordings all. Slots are counted apart: a right statement in the wrong slot is right.

Every held fact is one of
  right        matches a gold statement that holds and that no better fact matches
  duplicate    matches a gold statement that another fact has
  stale        matches a gold statement that the user has taken back
  unsupported  matches none
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pa_jax.dialogue import schema, snippet
from pa_jax.english import statements
from pa_jax.profile import facts

LEVEL = 0.7
PART = 0.5
PART_F1 = 2 * PART / (1 + PART)


@dataclasses.dataclass(frozen=True)
class Gold:
    """A user's gold statements after the last turn, each with its slot ("" where unknown).

    held        those that hold, oldest first
    retired     those that were taken back and not said again
    unlabelled  numbers of the turns of which nothing is known
    """

    held: Mapping[str, str]
    retired: Mapping[str, str]
    unlabelled: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True)
class Match:
    """Counts of one user. facts and gold: how many are held; the rest as the module says.

    learnt      retired gold statements that the profile held at some time
    retired     those of them that it holds no more
    lost        gold statements that hold, which the profile knew and ended
    slotted     right facts whose gold slot is known; in_slot those of them in that slot
    """

    facts: int
    gold: int
    right: int
    duplicate: int
    stale: int
    unsupported: int
    learnt: int
    retired: int
    lost: int
    slotted: int
    in_slot: int


def gold_of(turns: Iterable[schema.Turn]) -> Gold | None:
    """What the gold of the labelled turns leaves; None where none of them is labelled."""
    held: dict[str, str] = {}
    retired: dict[str, str] = {}
    unlabelled = set()
    turns = list(turns)
    for number, turn in enumerate(turns):
        if turn.gold is None:
            unlabelled.add(number)
            continue
        for statement in turn.retires:
            if statement in held:
                retired[statement] = held.pop(statement)
        parsed = snippet.parse(turn.gold)
        if isinstance(parsed, snippet.ParseFailure):
            raise ValueError(f"gold {turn.gold!r} is no snippet: {parsed.reason}; mend the data.")
        for place, statement in enumerate(parsed.statements):
            held[statement] = turn.slot if place == 0 else ""
            retired.pop(statement, None)
    if turns and len(unlabelled) == len(turns):
        return None
    return Gold(held, retired, frozenset(unlabelled))


def likeness(a: str, b: str) -> float:
    """F1 of the content words of two statements, LEVEL or more where they match, else less."""
    one, other = statements.content(a), statements.content(b)
    if statements.polarity(a) != statements.polarity(b):
        return 0.0
    f1 = 2 * len(one & other) / max(len(one) + len(other), 1)
    part = one <= other or other <= one
    same = statements.topic(a) == statements.topic(b) or (
        part and bool(one & other) and f1 >= PART_F1
    )
    return max(f1, LEVEL) if same else f1


def compare(history: Iterable[facts.Fact], gold: Gold) -> Match:
    """The match of one user. `history` has every fact's latest version, ended ones too.

    A fact that an unlabelled turn gave and that matches no gold is left out: it may be right.
    """
    history = list(history)
    now = [
        fact
        for fact in history
        if fact.valid_to is None
        and (
            fact.source.turn not in gold.unlabelled or _kind(fact.statement, gold) != "unsupported"
        )
    ]
    ended = [fact for fact in history if fact.valid_to is not None]
    pairs = assign([fact.statement for fact in now], list(gold.held))
    right = {fact for fact, _ in pairs}
    rest = [fact.statement for k, fact in enumerate(now) if k not in right]
    kinds = [_kind(statement, gold) for statement in rest]
    ended_texts = [fact.statement for fact in ended]
    unmatched = [text for k, text in enumerate(gold.held) if k not in {g for _, g in pairs}]
    learnt = [text for text in gold.retired if _among(text, (f.statement for f in history))]
    still = [text for text, kind in zip(rest, kinds, strict=True) if kind == "stale"]
    slots = list(gold.held.values())
    known = [(now[fact].slot, slots[g]) for fact, g in pairs if slots[g]]
    return Match(
        facts=len(now),
        gold=len(gold.held),
        right=len(pairs),
        duplicate=kinds.count("duplicate"),
        stale=kinds.count("stale"),
        unsupported=kinds.count("unsupported"),
        learnt=len(learnt),
        retired=sum(not _among(text, still) for text in learnt),
        lost=sum(_among(text, ended_texts) for text in unmatched),
        slotted=len(known),
        in_slot=sum(slot == wanted for slot, wanted in known),
    )


def assign(found: Sequence[str], wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs (place in found, place in wanted), each place once, the likest first."""
    scored = [
        (score, i, k)
        for i, a in enumerate(found)
        for k, b in enumerate(wanted)
        if (score := likeness(a, b)) >= LEVEL
    ]
    pairs: list[tuple[int, int]] = []
    for _, i, k in sorted(scored, key=lambda item: (-item[0], item[1], item[2])):
        if all(i != a and k != b for a, b in pairs):
            pairs.append((i, k))
    return pairs


def _kind(statement: str, gold: Gold) -> str:
    """Of a fact that no gold statement was left for; the likest gold statement decides."""
    alive, gone = (
        max((likeness(statement, text) for text in texts), default=0.0)
        for texts in (gold.held, gold.retired)
    )
    if max(alive, gone) < LEVEL:
        return "unsupported"
    return "stale" if gone > alive else "duplicate"


def _among(text: str, others: Iterable[str]) -> bool:
    return any(likeness(text, other) >= LEVEL for other in others)


SHARES = {  # figure: (counts above the line, counts below it)
    "precision": (("right",), ("facts",)),
    "recall": (("right",), ("gold",)),
    "f1": (("right", "right"), ("facts", "gold")),
    "junk": (("unsupported", "duplicate"), ("facts",)),
    "stale": (("stale",), ("facts",)),
    "retired_rightly": (("retired",), ("learnt",)),
    "lost": (("lost",), ("gold",)),
    "in_slot": (("in_slot",), ("slotted",)),
}


def summary(
    matches: Sequence[Match], *, seed: int = 0, draws: int = 2000
) -> dict[str, dict[str, float | int | None]]:
    """Shares over all users' facts, with 95 % bootstrap intervals over users.

    f1 is 2 right / (facts + gold), the harmonic mean of precision and recall. A share of nothing
    is None.
    """
    counts = {
        field.name: np.array([getattr(match, field.name) for match in matches], np.float64)
        for field in dataclasses.fields(Match)
    }
    rows = np.random.default_rng(seed).integers(0, max(len(matches), 1), (draws, len(matches)))
    made: dict[str, dict[str, float | int | None]] = {}
    for name, (above, below) in SHARES.items():
        top, bottom = (np.sum([counts[key] for key in keys], axis=0) for keys in (above, below))
        if not bottom.sum():
            made[name] = {"mean": None, "low": None, "high": None, "n": 0}
            continue
        sums = bottom[rows].sum(axis=1)
        drawn = top[rows].sum(axis=1)[sums > 0] / sums[sums > 0]
        low, high = np.percentile(drawn, [2.5, 97.5])
        made[name] = {
            "mean": float(top.sum() / bottom.sum()),
            "low": float(low),
            "high": float(high),
            "n": int(bottom.sum()),
        }
    return made
