"""Where a statement belongs in the taxonomy, by its words alone.

Three steps, each surer than the next. A statement that holds most of a slot's own texts belongs
there. Else the words of cues.txt put it into a slot: the longest match wins, situations ("when
flying") count only where nothing else does. Else the slot that shares most of the statement's
information (inverse slot frequency of its words) is the best guess, and a weak one: a single
shared word never places by itself.
"""

import functools
import math
import re
from collections.abc import Sequence
from importlib import resources

import numpy as np

from pa_jax.english import abroad, labels, memory, person, roundabout, stance, statements, words
from pa_jax.profile import facts, slots, taxonomy, topics

LEAST = 0.35  # share from which words alone place a statement
OWN = 0.6  # share of a statement's information by which it speaks in a slot's own words
OWN_WORDS = 3  # of them, at least
WEAK = 0.25  # most that one shared word, or none beside unknown ones, can count

_CUES = "cues.txt"
_PETS = frozenset(("dog", "cat", "pet"))
_OFTEN = re.compile(  # how often and when, of whatever is told
    r"\b(?:(?:once|twice|\w+ times) (?:a|per) (?:day|week|month|year)"
    r"|\w+ (?:years?|months?|weeks?|days?) ago|last (?:year|month|week|summer|winter|spring))\b",
    re.IGNORECASE,
)
_LIST = re.compile(r"^<(\w+)>$")


def place(statement: str, held: Sequence[facts.Fact]) -> str:
    """The slot of a statement, or "other/LABEL" where words do not tell."""
    index = _index()
    shares = index.shares(statement)
    best = int(shares.argmax())
    return index.slots[best].path if shares[best] >= LEAST else away(statement, held)


def away(statement: str, held: Sequence[facts.Fact]) -> str:
    """The path of a statement that fits no slot; the user's own labels come first."""
    known = [fact.subcategory for fact in held if fact.category == facts.OTHER]
    return f"{facts.OTHER}/{labels.propose(abroad.rendered(statement), known)}"


class Index:
    """Which slots' texts and cues hold which words."""

    def __init__(self, slots: Sequence[taxonomy.Subcategory]) -> None:
        self.slots = tuple(slots)
        texts = [
            (place, frozenset(statements.content(text)))
            for place, slot in enumerate(slots)
            for text in (
                slot.name,
                slot.when,
                f"{slot.definition} {slot.question}",
                *slot.values,
                *slot.examples,
            )
        ]
        self.slot_of_text = np.array([place for place, _ in texts])
        lines: dict[str, list[int]] = {}
        for line, (_, held) in enumerate(texts):
            for word in held:
                lines.setdefault(word, []).append(line)
        self.lines = {word: np.array(found) for word, found in lines.items()}
        self.weight = {
            word: self._information(len(set(self.slot_of_text[found])))
            for word, found in self.lines.items()
        }
        self.named = [frozenset(statements.content(slot.name)) for slot in slots]
        self.place = {slot.path: place for place, slot in enumerate(slots)}

    def shares(self, statement: str) -> np.ndarray:
        """[slots] share of the statement's information in each slot, 1 where a cue puts it there.

        Words in no slot count as rare ones.
        """
        held = statements.content(_OFTEN.sub(" ", statement)) or statements.content(statement)
        shares, shared = self._shares(held)
        best = int(shares.argmax())
        told = statements.content(statements.situations(words.expanded(statement))[1])
        cued = cue(statement)
        few = shared[best] < OWN_WORDS + (cued is not None)
        if shares[best] >= OWN and not few and self._tells(best, told):
            return shares
        if cued in self.place:
            found = np.zeros(len(self.slots))
            found[self.place[cued]] = 1.0
            return found
        weak = shared < min(2, max(len(held), 1))
        if len(held) == 1:  # one word is enough where it is the slot's own name
            weak = np.array([not held <= name for name in self.named])
        return np.where(weak, np.minimum(shares, WEAK), shares)

    def _tells(self, slot: int, told: frozenset[str]) -> bool:
        """Whether a slot has one of the words: a situation alone ("in the morning") is none."""
        return any(slot in self.slot_of_text[self.lines[w]] for w in told & self.lines.keys())

    def _shares(self, held: frozenset[str]) -> tuple[np.ndarray, np.ndarray]:
        """[slots] shares, half of all texts and half of the best one, and the words they share."""
        whole, shared = np.zeros((2, len(self.slots)))
        by_line = np.zeros(len(self.slot_of_text))
        for word in held & self.lines.keys():
            found = self.lines[word]
            by_line[found] += self.weight[word]
            at = np.unique(self.slot_of_text[found])
            whole[at] += self.weight[word]
            shared[at] += 1
        best = np.zeros(len(self.slots))
        np.maximum.at(best, self.slot_of_text, by_line)
        everything = math.fsum(self.weight.get(word, self._information(0)) for word in held)
        return (whole + best) / (2 * max(everything, 1e-9)), shared

    def _information(self, slots: int) -> float:
        return math.log((len(self.slots) + 1) / (slots + 0.5))


@memory.remembered(4096)
def cue(statement: str) -> str | None:
    """The slot whose cues match most of a statement, None where none does."""
    text = (
        roundabout.plain(abroad.rendered(words.alike(statement)))
        .lower()
        .strip()
        .rstrip(".!")
        .replace("’", "'")
    )
    rest = statements.situations(text)[1]
    path = _matched(rest) or _matched(text)
    known = slots.get(path or "")
    if not (known and known.safety):
        path = _of_another(text) or path
    rejected = _rejected().get(path or "")
    if rejected and stance.find(text).against:
        return rejected
    return path


def _of_another(text: str) -> str | None:
    """The slot of a statement that tells of a relative or a pet, whatever it tells of them."""
    whose = person.whose(text)
    if whose in _PETS:
        return "home/own_pets"
    told = whose in topics.RELATIVES and "mother tongue" not in text
    return "people/family_members" if told else None


def _matched(text: str) -> str | None:
    longest, path = 0, None
    for slot, pattern in _cues():
        for hit in pattern.finditer(text):
            if len(hit[0]) > longest:
                longest, path = len(hit[0]), slot
    return path


@functools.cache
def _cues() -> tuple[tuple[str, re.Pattern], ...]:
    """The cues of every slot that has some, in file order."""
    text = resources.files(__package__).joinpath(_CUES).read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith(" "):
            sections[name].append(line.strip(" |").replace(" | ", "|"))
        elif line and not line.startswith("#"):
            name = line.strip()
            sections[name] = []
    joined = {name: "|".join(lines) for name, lines in sections.items()}
    lists = {name: alternatives for name, alternatives in joined.items() if _LIST.match(name)}
    made = []
    for slot in taxonomy.Taxonomy.load().subcategories:
        own = [re.escape(slot.when.lower())] if _tells_slot(slot) else []
        joined[slot.path] = "|".join([*filter(None, [joined.get(slot.path)]), *own])
    for path, alternatives in joined.items():
        if path in lists or not alternatives:
            continue
        taxonomy.Taxonomy.load().get(path)
        for name, entries in lists.items():
            alternatives = alternatives.replace(name, entries)
        made.append((path, re.compile(rf"(?<![\w'])(?:{alternatives})(?!\w)")))
    return tuple(made)


def _tells_slot(slot: taxonomy.Subcategory) -> bool:
    """Whether a slot's own situation tells it: "for banking"; "in public" is of much else, too."""
    told = statements.content(slot.when)
    name = statements.content(f"{slot.name} {slot.definition}")
    return not slot.state and (len(told) > 1 or told <= name)


@functools.cache
def _rejected() -> dict[str, str]:
    return {s.path: s.rejected for s in taxonomy.Taxonomy.load().subcategories if s.rejected}


@functools.cache
def _index() -> Index:
    return Index(taxonomy.Taxonomy.load().subcategories)
