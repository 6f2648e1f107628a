"""The texts of synthetic users, read from texts/: they are data, not code.

A file of plain lists has "== NAME" and a template a line. A file of statements has sections, each
a kind of thing that people say of themselves:

    == NAME | SLOT | PREDICATE     SLOT is a path of the taxonomy or "-", PREDICATE what is noted
    : FLAG or : KEY TEXT           see Section
    v VALUE | VALUE                the values, or @POOL; "SAID=NOTED" where the two differ
    s SCOPE | SCOPE                situations, where the predicate has one
    + TEMPLATE                     how it is said
    ? QUESTION                     that an assistant may ask, ! ANSWER to it
    % QUESTION                     that names the value, & ANSWER that does not
    > TEMPLATE                     how a value ({old}) gives way to another
    < TEMPLATE                     how what was said in section `turns` of a value is turned

A value that ends in "+" is a plural: "[is/are]" in a template follows it. Templates hold fillers:
{v} the value, {V} with a capital, {bare} without its article, {the} with the definite one, {s} and
{S} the situation. Every fourth template of a list is held out: it is used for held-out users and by
nobody else.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from importlib import resources

STATEMENTS = ("food", "health", "life", "habits", "tastes", "german", "french", "spanish")
NOTHING = ("german", "french", "spanish", "elsewhere")
HELD_OUT_EVERY = 4
ENGLISH = "en"

_FORMS = re.compile(r"\[([^\]/]*)/([^\]]*)\]")
_MARKS = {
    "+": "says",
    "?": "questions",
    "!": "answers",
    "%": "offers",
    "&": "replies",
    ">": "changes",
    "<": "turned",
}


@dataclasses.dataclass(frozen=True)
class Value:
    """What a user says, how it is noted, and whether it is a plural."""

    said: str
    noted: str
    plural: bool


@dataclasses.dataclass(frozen=True)
class Section:
    """A kind of thing that people say of themselves; the lists are those of the module's head.

    slot        path of the taxonomy, "" where there is none
    one         a user has one of them at a time (an age, a home town)
    group       of the sections of a group a user speaks in one alone
    language    of the templates
    weight      how often it is drawn, beside others
    turns       the section whose statements this one can turn; only_turns: and does nothing else
    phrase      values are no nouns: "forget what I said about V" does not read
    verbal      values are whole predicates: nor does "I meant V, not W"
    """

    name: str
    slot: str
    predicate: str
    values: tuple[Value, ...]
    scopes: tuple[str, ...]
    says: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    offers: tuple[str, ...]
    replies: tuple[str, ...]
    changes: tuple[str, ...]
    turned: tuple[str, ...]
    one: bool
    group: str
    language: str
    weight: int
    turns: str
    only_turns: bool
    phrase: bool
    verbal: bool

    @property
    def key(self) -> str:
        """What sections share that may note the same lines."""
        return self.slot or self.predicate


@functools.cache
def lists(name: str) -> Mapping[str, tuple[str, ...]]:
    """The lists of a file by their names; a line keeps the space or comma that it begins with."""
    found: dict[str, list[str]] = {}
    for line in _lines(name):
        if line.startswith("== "):
            found[line[3:].strip()] = current = []
        elif line.strip():
            current.append(line)
    return {title: tuple(lines) for title, lines in found.items()}


@functools.cache
def fillers() -> Mapping[str, tuple[str, ...]]:
    """Words that fill templates, by the name of the filler."""
    named = (line.partition(":") for line in lists("replies")["fillers"])
    return {name: _split(text) for name, _, text in named}


@functools.cache
def sections() -> Mapping[str, Section]:
    """Every section of the statements, by its name."""
    found = {}
    for file in STATEMENTS:
        pools: dict[str, tuple[Value, ...]] = {}
        for title, lines in _blocks(file):
            if title.startswith("@"):
                pools[title] = _values(" ".join(lines))
            elif "|" in title:
                made = _section(title, lines, pools)
                found[made.name] = made
    return found


@functools.cache
def nothing(language: str) -> Mapping[str, tuple[str, ...]]:
    """Messages in a language that say nothing of the user, by kind."""
    if language == ENGLISH:
        return lists("nothing")
    blocks = (block for file in NOTHING for block in _blocks(file))
    kept = next(lines for title, lines in blocks if title == f"{language}_nothing")
    return {"small talk": tuple(line[2:] for line in kept if line.startswith("+"))}


@functools.cache
def part(templates: tuple[str, ...], split: str) -> tuple[str, ...]:
    """The templates of a list that `split` may use; training shares none with the others."""
    held_out = split in ("heldout", "unseen")
    return tuple(
        line
        for index, line in enumerate(templates)
        if (index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out
    )


def fill(template: str, words: Mapping[str, str], *, plural: bool = False) -> str:
    """The template filled in, with the verb forms of a singular or a plural."""
    if "[" in template:
        template = _FORMS.sub(r"\2" if plural else r"\1", template)
    return template.format_map(words)


def _lines(name: str) -> Iterable[str]:
    path = resources.files(__package__).joinpath("texts", f"{name}.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    return (line for line in lines if not line.startswith("#"))


def _blocks(file: str) -> list[tuple[str, list[str]]]:
    """Titles ("@POOL", "NAME | SLOT | PREDICATE") with the lines under each."""
    found: list[tuple[str, list[str]]] = []
    for line in _lines(file):
        if line.startswith(("@", "== ")):
            found.append((line.removeprefix("== ").strip(), []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def _section(title: str, lines: list[str], pools: Mapping[str, tuple[Value, ...]]) -> Section:
    name, slot, predicate = (part.strip() for part in title.split("|"))
    kept: dict[str, list[str]] = {field: [] for field in _MARKS.values()}
    flags: dict[str, str] = {}
    values: tuple[Value, ...] = ()
    scopes: tuple[str, ...] = ()
    for line in lines:
        mark, text = line[0], line[1:].strip()
        if mark in _MARKS:
            kept[_MARKS[mark]].append(text)
        elif mark == ":":
            flag, _, given = text.partition(" ")
            flags[flag] = given
        elif mark == "v":
            values = pools[text] if text.startswith("@") else _values(text)
        elif mark == "s":
            scopes = _split(text)
        else:
            raise ValueError(f"texts, section {name}: {line!r} begins with no mark of phrases.py.")
    return Section(
        name=name,
        slot="" if slot == "-" else slot,
        predicate=predicate,
        values=values,
        scopes=scopes,
        **{field: tuple(lines) for field, lines in kept.items()},
        one="one" in flags,
        group=flags.get("group", ""),
        language=flags.get("lang", ENGLISH),
        weight=int(flags.get("weight", "1")),
        turns=flags.get("turns", ""),
        only_turns="only_turns" in flags,
        phrase="phrase" in flags,
        verbal="verbal" in flags,
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split("|") if item.strip())


def _values(text: str) -> tuple[Value, ...]:
    found = []
    for item in _split(text):
        said, _, noted = item.partition("=")
        plural = said.endswith("+") or noted.endswith("+")
        said, noted = said.rstrip("+"), noted.rstrip("+")
        found.append(Value(said, noted or said, plural))
    return tuple(found)
