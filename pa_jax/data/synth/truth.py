"""What synthetic users can hold true, by split, and how it is noted: preferences and statements."""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Mapping

from pa_jax.data.synth import phrases, talk
from pa_jax.english import statements
from pa_jax.profile import placement, slots, taxonomy

SPLITS = ("train", "heldout")
LIKE = "like"
DISLIKE = "dislike"

COLD_SPLITS = ("seen", "unseen")  # their users share no subcategory
_UNSEEN_SLOTS_PERCENT = 30
_HELD_OUT_SLOTS_PERCENT = 45  # each holds out two of its four or five values: a fifth of all pairs
_HELD_OUT_VALUES = 2
_TRIED = 4  # options of a choice
_HELD_OUT_STATEMENTS_PERCENT = 25
VERBS = {
    LIKE: ("prefers", "likes", "loves", "wants", "enjoys"),
    DISLIKE: ("dislikes", "hates", "avoids", "does not want"),
}
_NOT_WITH_GERUND = ("wants", "does not want")
_REWORDED = {
    LIKE: (
        "{W}, the user goes for {v}.",
        "Given the choice, the user picks {v} {w}.",
        "{W}, this user's preference is {v}.",
        "What suits the user best {w} is {v}.",
    ),
    DISLIKE: (
        "{W}, the user stays away from {v}.",
        "The user is not fond of {v} {w}.",
        "{W}, this user would rather do without {v}.",
        "One thing the user rejects {w} is {v}.",
    ),
}
_THIRD_PERSON = {"I": "they", "me": "them", "my": "their", "myself": "themselves", "mine": "theirs"}
# a value that already denies something: disliking it would be a double negative
_DENIES = re.compile(
    r"\b(no|not|never|nothing|none|without|free|off|only|avoid\w*|skipping|leaving|ignoring"
    r"|cutting|limiting|keeping|refusing|declining|quitting|staying|having)\b"
)


@dataclasses.dataclass(frozen=True)
class Preference:
    """One preference, the turn that shows it, and its gold line; `polarity` is LIKE or DISLIKE."""

    turn: int
    slot: str
    value: str
    polarity: str
    line: str


@dataclasses.dataclass(frozen=True)
class Said:
    """A user's statement of a section: value, situation ("" where none) and gold line."""

    section: phrases.Section
    value: phrases.Value
    scope: str
    line: str


def digest(*parts: object) -> int:
    """A number that depends on the parts alone, in every process and on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def capital(text: str) -> str:
    """The text with its first letter in upper case, the rest as it was."""
    return text[:1].upper() + text[1:]


@functools.cache
def values_of(split: str) -> Mapping[str, tuple[str, ...]]:
    """Values that users of a split may hold, by slot path; slots without any are left out.

    Nobody prefers a state (an age, a home town): those slots are left out too. `seen` are train's
    values outside the slots of `unseen`, which has all values of its own.
    """
    if split not in SPLITS + COLD_SPLITS:
        raise ValueError(f"split={split!r} does not exist: choose one of {SPLITS + COLD_SPLITS}.")
    allowed = {}
    for slot in taxonomy.Taxonomy.load().subcategories:
        if slot.state:
            continue
        if split in COLD_SPLITS and is_unseen(slot.path) != (split == "unseen"):
            continue
        if split == "unseen":
            allowed[slot.path] = slot.values
            continue
        held_out = _held_out_values(slot)
        values = tuple(v for v in slot.values if (v in held_out) == (split == "heldout"))
        if values:
            allowed[slot.path] = values
    return allowed


@functools.cache
def tastes(split: str) -> tuple[str, ...]:
    """The slots of `values_of` that are no matter of safety."""
    slots = taxonomy.Taxonomy.load()
    return tuple(path for path in values_of(split) if not slots.get(path).safety)


def is_unseen(path: str) -> bool:
    """Whether a slot belongs to the users of `unseen` alone."""
    return digest("unseen", path) % 100 < _UNSEEN_SLOTS_PERCENT


def _held_out_values(slot: taxonomy.Subcategory) -> frozenset[str]:
    if digest("held out", slot.path) % 100 >= _HELD_OUT_SLOTS_PERCENT:
        return frozenset()
    ranked = sorted(slot.values, key=lambda value: digest("held out", slot.path, value))
    return frozenset(ranked[:_HELD_OUT_VALUES])


def can_dislike(value: str) -> bool:
    """Whether "dislikes {value}" is a sensible thing to say."""
    return _DENIES.search(value) is None


def is_gerund(value: str) -> bool:
    """Whether a value names something done: "walking everywhere"."""
    return value.split()[0].endswith("ing")


def verbs(value: str, polarity: str) -> tuple[str, ...]:
    """The verbs with which a preference can be noted, the plainest first."""
    if polarity not in VERBS:
        raise ValueError(f"polarity={polarity!r} does not exist: choose {LIKE!r} or {DISLIKE!r}.")
    gerund = is_gerund(value)
    return tuple(v for v in VERBS[polarity] if not (gerund and v in _NOT_WITH_GERUND))


def statement(slot: taxonomy.Subcategory, value: str, polarity: str, verb: str = "") -> str:
    """The gold line of a preference; the verb says how strongly it was put, else it is plain."""
    verb = verb or verbs(value, polarity)[0]
    return f"The user {verb} {_third_person(value)} {_third_person(slot.when)}."


@functools.cache
def section_values(name: str, split: str) -> tuple[phrases.Value, ...]:
    """The values of a section that users of a split may hold; none where it is another split's."""
    section = phrases.sections()[name]
    if split in COLD_SPLITS:
        unseen = is_unseen(section.key)
        if unseen != (split == "unseen"):
            return ()
        if unseen:
            return section.values
    held_out = split == "heldout"
    return tuple(value for value in section.values if _is_held_out(value) == held_out)


def _is_held_out(value: phrases.Value) -> bool:
    return digest("held out", value.noted) % 100 < _HELD_OUT_STATEMENTS_PERCENT


@functools.cache
def only_slot(line: str) -> str:
    """The slot that holds one value in which the profile places a line, "" where there is none."""
    path = placement.place(line, ())
    return path if slots.holds_one(path) else ""


@functools.cache
def only_slots(template: str) -> frozenset[str]:
    """Those of the lines of a talk; of each choice the first options, which stand for the rest."""

    def option(number: int, size: int) -> int:
        return min(number, size - 1)

    tried = (talk.made(template, functools.partial(option, n)) for n in range(_TRIED))
    return frozenset(only_slot(x) for turns in tried for turn in turns for x in turn.lines) - {""}


@functools.cache
def lines_of_others(split: str) -> frozenset[str]:
    """Lines that users of the splits with other values tell: they are not told by talks."""
    other = dict(zip(SPLITS + COLD_SPLITS, SPLITS[::-1] + COLD_SPLITS[::-1], strict=True))[split]
    told = (
        said(section, value, scope).line
        for section in phrases.sections().values()
        for value in section_values(section.name, other)
        for scope in section.scopes or ("",)
    )
    return talk.lines(other).union(told)


@functools.cache
def content(text: str) -> frozenset[str]:
    """The words of a line or value that tell it from others."""
    return statements.content(text)


def said(section: phrases.Section, value: phrases.Value, scope: str = "") -> Said:
    """What a user of that value tells."""
    text = section.predicate.format(v=value.noted, s=scope)
    return Said(section, value, scope, f"The user {text}.")


def golds(slot_path: str, value: str, polarity: str) -> tuple[str, ...]:
    """Every gold line that a preference can have, the plainest first."""
    slot = taxonomy.Taxonomy.load().get(slot_path)
    if value not in slot.values:
        raise ValueError(f"value {value!r} is none of {slot_path}: choose one of {slot.values}.")
    return tuple(statement(slot, value, polarity, verb) for verb in verbs(value, polarity))


def variants(slot_path: str, value: str, polarity: str) -> tuple[str, ...]:
    """Distinct third-person wordings of one preference; the first is a gold line."""
    plain = golds(slot_path, value, polarity)[0]
    words = {"v": _third_person(value)}
    words["w"] = _third_person(taxonomy.Taxonomy.load().get(slot_path).when)
    words["W"] = capital(words["w"])
    return (plain, *(template.format_map(words) for template in _REWORDED[polarity]))


def _third_person(text: str) -> str:
    return re.sub(r"\b(I|me|my|myself|mine)\b", lambda hit: _THIRD_PERSON[hit[0]], text)
