"""The form of labelled turns: how long they are, what they tell and by which verbs it is noted.

To compare synthetic users with people; nothing here looks at what is said.
"""

import collections
import dataclasses
import functools
import json
import os
import random
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence

from pa_jax.data.synth import users
from pa_jax.dialogue import schema, snippet
from pa_jax.english import statements

QUANTILES = (5, 25, 50, 75, 95)
MOST_FACTS = 3  # that a turn is counted by
TOP_VERBS = 6

_VERB = re.compile(r"The user (?P<verb>has no\b|(?:(?:does|is) not |no longer )?[\w'-]+)")


@dataclasses.dataclass(frozen=True)
class Form:
    """Figures of turns.

    words     a turn: the mean, and the quantiles of QUANTILES
    facts     share of turns with 0, 1, ... and MOST_FACTS or more statements
    noted     words of a statement, on average
    verbs     share of statements by how they begin, the most frequent first
    negative  share of statements that speak against something
    """

    turns: int
    words: tuple[float, ...]
    facts: tuple[float, ...]
    noted: float
    verbs: Mapping[str, float]
    negative: float


def measured(turns: Iterable[tuple[str, str]]) -> Form:
    """The form of turns, each a user's words and the gold snippet."""
    turns = list(turns)
    lengths = sorted(len(user.split()) for user, _ in turns)
    golds = [[] if gold == snippet.NOTHING else gold.split("\n") for _, gold in turns]
    quantiles = (lengths[len(lengths) * q // 100] for q in QUANTILES)
    counts = collections.Counter(min(len(lines), MOST_FACTS) for lines in golds)
    lines = [line for of_turn in golds for line in of_turn]
    if not lines:
        raise ValueError(f"none of {len(turns)} turns has a statement; give labelled turns.")
    hits = (_VERB.match(line) for line in lines)
    verbs = collections.Counter(hit["verb"] if hit else "" for hit in hits)
    negative = sum(statements.polarity(line) == "negative" for line in lines)
    return Form(
        turns=len(turns),
        words=(float(statistics.mean(lengths)), *map(float, quantiles)),
        facts=tuple(counts[n] / len(turns) for n in range(MOST_FACTS + 1)),
        noted=float(statistics.mean(len(line.split()) for line in lines)),
        verbs={verb: count / len(lines) for verb, count in verbs.most_common()},
        negative=negative / len(lines),
    )


def synthetic(split: str, *, count: int, seed: int) -> Form:
    """The form of `count` synthetic users."""
    turns = _turns(split, count=count, seed=seed)
    return measured((turn.user, turn.gold or "") for turn, _ in turns)


def conversations(path: str | os.PathLike) -> Form:
    """The form of a file of conversations (docs/reference/data.md)."""
    with open(path, encoding="utf-8-sig") as file:
        people = [json.loads(line) for line in file if line.strip()]
    sessions = (session for person in people for session in person["sessions"])
    return measured((turn["user"], turn["gold"]) for session in sessions for turn in session)


def table(columns: Mapping[str, Form]) -> str:
    """A Markdown table, a column a form."""
    quantiles = ", ".join(map(str, QUANTILES))
    rows = {
        "turns": [f"{one.turns}" for one in columns.values()],
        "words a turn, mean": [f"{one.words[0]:.1f}" for one in columns.values()],
        f"at {quantiles} %": [
            ", ".join(f"{length:.0f}" for length in one.words[1:]) for one in columns.values()
        ],
        "turns that tell nothing": [_percent(one.facts[0]) for one in columns.values()],
        f"1, 2, {MOST_FACTS} or more statements": [
            ", ".join(map(_percent, one.facts[1:])) for one in columns.values()
        ],
        "words a statement": [f"{one.noted:.1f}" for one in columns.values()],
        "statements against something": [_percent(one.negative) for one in columns.values()],
        "ways to begin a statement": [f"{len(one.verbs)}" for one in columns.values()],
        "the most frequent": [
            ", ".join(f"{v} {_percent(n)}" for v, n in list(one.verbs.items())[:TOP_VERBS])
            for one in columns.values()
        ],
    }
    lines = [f"| | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def kinds(split: str, *, count: int, seed: int) -> str:
    """A Markdown table of how often each kind of turn comes."""
    turns = _turns(split, count=count, seed=seed)
    found = collections.Counter(turn.kind for turn, _ in turns)
    lines = ["| kind of turn | share |", "| --- | --- |"]
    lines += [f"| {kind} | {_percent(n / len(turns))} |" for kind, n in found.most_common()]
    return "\n".join(lines)


def samples(split: str, *, count: int, seed: int, shown: int) -> str:
    """A Markdown table of turns drawn at random, with the message that a turn may need."""
    turns = random.Random(seed).sample(_turns(split, count=count, seed=seed), shown)
    lines = ["| message before | user | gold |", "| --- | --- | --- |"]
    for turn, before in turns:
        needed = before if turn.kind in ("choice", "answer", "correction", "forget") else ""
        cells = (needed, turn.user, (turn.gold or "").replace("\n", "<br>"))
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


@functools.lru_cache(maxsize=2)  # the figures of a split and its samples are asked for in turn
def _turns(split: str, *, count: int, seed: int) -> Sequence[tuple[schema.Turn, str]]:
    """Every turn of users, with the assistant's message before it."""
    found = []
    for index in range(count):
        dialogue = users.dialogue(seed, index, split=split)
        before = ["", *(turn.assistant for turn in dialogue.turns)]
        found += list(zip(dialogue.turns, before, strict=False))
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
