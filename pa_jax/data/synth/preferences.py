"""How users say what they prefer of a slot of the taxonomy, and pick from what is offered."""

import dataclasses
import random
import re

from pa_jax.data.synth import phrases, truth
from pa_jax.profile import taxonomy

MIN_OPTIONS = 3
MAX_OPTIONS = 4
_OFFER_WORDS = 24
_WITH_REASON = 0.3
_COUNTED = frozenset({"Car", "Destination", "Commute", "Pace"})  # names that need an article
_ORDINALS = ("first", "second", "third", "fourth")
_CUE_ENDS = re.compile(
    r"\b(with|without|at|in|on|of|to|from|for|and|or|but|over|until|before|by|that|as|than|near)\b"
)


@dataclasses.dataclass(frozen=True)
class Offer:
    """Options the assistant lists; `pick` and `lost` point at the one taken and at another."""

    path: str
    value: str
    pick: str
    lost: str
    text: str


def words_of(slot: taxonomy.Subcategory, value: str) -> dict[str, str]:
    """The fillers of a preference."""
    return {
        "v": value,
        "V": truth.capital(value),
        "w": slot.when,
        "W": truth.capital(slot.when),
        "topic": _topic(slot.name),
        "r": "",
    }


def templates(name: str, value: str, split: str) -> tuple[str, ...]:
    """The wordings of a list (the verb of the gold line) that fit a value."""
    unfit = "n|" if truth.is_gerund(value) else "g|"
    lines = phrases.part(phrases.lists("preferences")[name], split)
    return tuple(re.sub(r"^[ng]\| ", "", line) for line in lines if not line.startswith(unfit))


def reason(rng: random.Random, polarity: str) -> str:
    """A reason, or nothing."""
    if rng.random() >= _WITH_REASON:
        return ""
    name = "reasons for" if polarity == truth.LIKE else "reasons against"
    return rng.choice(phrases.lists("preferences")[name])


def offer(
    rng: random.Random, slot: taxonomy.Subcategory, picked: str, options: tuple[str, ...]
) -> Offer:
    """Some of the options, `picked` among them, as the assistant lists them."""
    others = [value for value in options if value != picked]
    n_others = rng.randint(MIN_OPTIONS, MAX_OPTIONS) - 1
    values = [picked, *rng.sample(others, min(n_others, len(others)))]
    rng.shuffle(values)
    if sum(len(value.split()) for value in values) > _OFFER_WORDS and len(values) > MIN_OPTIONS:
        values.remove(next(value for value in values if value != picked))
    style = rng.choice(("plain", "number", "letter"))
    words = words_of(slot, picked)
    words |= {"options": _listed(values, style), "question": slot.question}
    text = rng.choice(phrases.lists("replies")["offers"]).format_map(words)
    lost = rng.choice([value for value in values if value != picked])
    return Offer(
        path=slot.path,
        value=picked,
        pick=rng.choice(_references(values, values.index(picked), style)),
        lost=f"the {_ORDINALS[values.index(lost)]} one",
        text=truth.capital(text),
    )


def _topic(name: str) -> str:
    """A slot's name as it reads within a sentence."""
    first, *rest = name.split()
    words = [first if first.isupper() else first.lower(), *rest]
    return " ".join(["the", *words] if " of the " in name or name in _COUNTED else words)


def _listed(values: list[str], style: str) -> str:
    if style == "plain":
        return f"{', '.join(values[:-1])}, or {values[-1]}"
    marks = "1234" if style == "number" else "ABCD"
    return "; ".join(f"({mark}) {value}" for mark, value in zip(marks, values, strict=False))


def _references(values: list[str], picked: int, style: str) -> list[str]:
    """Ways to point at one of the options without repeating all of it, the usual ones twice."""
    ways = [f"the {_ORDINALS[picked]} one", f"the {_ORDINALS[picked]} option"]
    if style == "number":
        ways += [f"number {picked + 1}"] * 2
    if style == "letter":
        ways += [f"option {'ABCD'[picked]}"] * 2
    if picked == len(values) - 1:
        ways += ["the last one"] * 2
    cue = _cue(values[picked])
    if cue and [_cue(value) for value in values].count(cue) == 1:
        ways += [cue] * 3
    return ways


def _cue(value: str) -> str:
    """The first words of a value, as one would point at it: "the aisle seat"."""
    words = _CUE_ENDS.split(value)[0].split()
    if words and words[0] in ("a", "an", "the"):
        words[0] = "the"
    return " ".join(words) if 1 < len(words) < 6 else ""
