"""Conversations as people have them: what a system knows at the end, and whether replies heed it.

A JSONL file, a person a line, of people's own writing (no training data):
  user_id, sessions  [[{user, gold, assistant?}, ...], ...]; gold: the turn's snippet
  holds, gone        phrases that must stand in what is known at the end, and that must not, from a
                     word's start and without regard to case
  against            topics that what is known may only speak against ("is allergic to peanuts")
  probes             [{user, respect}]: a request, and phrases of the facts that its reply must heed

Two parts. `profile`, a row a person: held (share of `holds`), faults (of `gone`, a count), and of
systems that hold statements turned (statements for what is in `against`, a count), precision and
recall against the gold statements that still hold (evaluate/profiles/match), and facts. What other
systems know is the text that they show the model. `probes`, a row a probe: respected, the share of
its facts that the judge says the reply heeds.

A file of `messages` (data/readers/messages) does as well. Its people have gold statements alone, so
their rows have, under every system, shown: the share of gold statements that hold whose content
words stand in what the system knows, LEVEL of them or more; and precision, where every turn is
labelled, recall and facts of systems that hold statements.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import items, messages
from pa_jax.dialogue import schema, snippet
from pa_jax.english import statements
from pa_jax.evaluate import chat_model
from pa_jax.evaluate.benchmarks import jury, parse, protocol
from pa_jax.evaluate.profiles import match
from pa_jax.evaluate.systems import baselines

KEYS = {"conversations": ("conversations", *protocol.JUDGED, *protocol.SYSTEMS)}
PROFILE, PROBES = "profile", "probes"
LISTS = ("holds", "gone", "against")

_AGAINST = re.compile(
    r"\bnot\b|n['’]t\b|\bno\b|\bnone\b|\bnever\b|\bnor\b|\bcannot\b|\bwithout\b|\bexcept\b|\bfree\b"
    r"|allerg|intoleran|sensitive|react|coeliac|celiac|\bill\b|\bsick\b|\bhives\b|\brash\b"
    r"|avoid|dislike|\bhat(?:e|es|ed|red)\b|despis|detest|loath|refus|reject|object|annoy|bother"
    r"|afraid|\bfear|scared|terrif|phobi|averse|aversion|tired of|had enough|fed up|disgust"
    r"|stopped|\bquit|gave up|given up|gives up|no longer|\boff\b|stays? away|steers? clear"
    r"|cuts? down|\bonly tolerat|can do without|too much for|\bwrong\b|trouble with",
    re.IGNORECASE,
)
_JUDGE = (
    "A fact about a user: {fact}\n\nThe user wrote: {message}\n\nAn assistant replied: {reply}\n\n"
    "Does the reply respect the fact? It does not where it suggests or assumes what the fact "
    "rules out, or misses what the fact calls for. Answer with <answer>Yes</answer> or "
    "<answer>No</answer>."
)


@dataclasses.dataclass(frozen=True)
class ConversationsConfig:
    """Which conversations.

    path   a JSONL file of them or of messages (or a folder of such files)
    chunk  people computed together
    """

    path: str
    chunk: int


@dataclasses.dataclass(frozen=True)
class Probe:
    """A request of a new session, and the statements that its reply must heed."""

    text: str
    facts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class RecordedPerson:
    """One person of the file; `gold` are the gold statements that hold at the end.

    phrases  whether phrases tell what must be known, or gold alone (of messages)
    whole    whether every turn is labelled
    """

    id: str
    history: baselines.Chat
    gold: tuple[str, ...]
    holds: tuple[str, ...]
    gone: tuple[str, ...]
    against: tuple[str, ...]
    probes: tuple[Probe, ...]
    phrases: bool = True
    whole: bool = True

    @property
    def ids(self) -> list[str]:
        """Ids of this person's rows: the profile's, then those of the probes."""
        return [self.id, *(f"{self.id}/{number}" for number in range(len(self.probes)))]


def read(path: str, quarantine: quarantine_lib.Quarantine) -> list[RecordedPerson]:
    """The people of the file in order; a malformed line is set aside."""
    if not path:
        raise quarantine_lib.DataError(
            "conversations.path is empty; give a JSONL file of conversations: "
            "--config.conversations.path=FILE."
        )
    people: dict[str, RecordedPerson] = {}
    files = items.find_files(path, "*.jsonl", key="conversations.path")
    if _of_messages(files[0]):
        return _labelled(path, quarantine)
    for file in files:
        for number, value in items.read_lines(file, quarantine):
            try:
                person = _person(items.as_dict(value))
                if person.id in people:
                    raise quarantine_lib.BadItem(f"user_id {person.id!r} stands twice")
            except quarantine_lib.BadItem as error:
                quarantine.reject(file, number, str(error), str(value))
                continue
            quarantine.accept()
            people[person.id] = person
    quarantine.finish(path)
    return list(people.values())


def _of_messages(file: pathlib.Path) -> bool:
    """Whether the first line that can be read is a session of messages."""
    lines = items.read_lines(file, quarantine_lib.Quarantine(None))
    first = next((value for _, value in lines), None)
    return isinstance(first, dict) and "messages" in first and "sessions" not in first


def _labelled(path: str, quarantine: quarantine_lib.Quarantine) -> list[RecordedPerson]:
    """The people of a file of messages who have a label; how many have none is said."""
    dialogues = list(messages.read(path, quarantine))
    people = []
    for dialogue in dialogues:
        said = match.gold_of(dialogue.turns)
        if said is not None:
            gold, whole = tuple(said.held), not said.unlabelled
            history = baselines.history(dialogue.turns)
            of = RecordedPerson(dialogue.user_id, history, gold, (), (), (), (), False, whole)
            people.append(of)
    if not people:
        raise quarantine_lib.DataError(
            f"conversations.path={path!r} has no gold snippet; label a turn of each user at least "
            "(docs/reference/data.md)."
        )
    if len(people) < len(dialogues):
        logging.info(
            "%d of %d users have no gold and are left out",
            len(dialogues) - len(people),
            len(dialogues),
        )
    return people


def _person(item: dict[str, Any]) -> RecordedPerson:
    turns = [_turn(turn) for turn in _list(item, "sessions", inner=list) for turn in turn]
    if not turns:
        raise quarantine_lib.BadItem("sessions hold no turn")
    holds, gone, against = (tuple(_texts(item, name)) for name in LISTS)
    said = match.gold_of(turns)
    gold = tuple(
        text for text in (said.held if said else ()) if not any(mentions(text, p) for p in gone)
    )
    probes = []
    for probe in _list(item, "probes", inner=dict):
        facts = [_fact(phrase, gold) for phrase in _texts(probe, "respect")]
        probes.append(Probe(items.text_of(probe, "user"), tuple(dict.fromkeys(facts))))
    name = items.text_of(item, "user_id")
    whole = all(turn.gold is not None for turn in turns)
    history = baselines.history(turns)
    return RecordedPerson(name, history, gold, holds, gone, against, tuple(probes), whole=whole)


def _turn(item: Any) -> schema.Turn:
    item = items.as_dict(item)
    gold = None
    if "gold" not in item or item["gold"] is not None:  # null: not labelled
        gold = items.text_of(item, "gold")
        parsed = snippet.parse(gold)
        if isinstance(parsed, snippet.ParseFailure):
            raise quarantine_lib.BadItem(f"gold {gold!r:.80} is no snippet: {parsed.reason}")
    said = items.text_of(item, "assistant") if item.get("assistant") else ""
    return schema.Turn(items.text_of(item, "user"), said, gold)


def _fact(phrase: str, gold: Sequence[str]) -> str:
    """The newest gold statement that names the phrase, or the phrase where none does."""
    return next((text for text in reversed(gold) if mentions(text, phrase)), phrase)


def _list(item: dict[str, Any], name: str, inner: type) -> list[Any]:
    value = item.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, inner) for one in value):
        raise quarantine_lib.BadItem(f"{name} is no list of {inner.__name__}s")
    return value


def _texts(item: dict[str, Any], name: str) -> list[str]:
    return _list(item, name, inner=str)


def mentions(text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text, from a word's start."""
    return re.search(rf"(?<!\w){re.escape(phrase)}", text, re.IGNORECASE) is not None


def turned(statement: str, against: Sequence[str]) -> bool:
    """Whether a statement is for a topic that the user is against."""
    named = any(topic.lower() in statement.lower() for topic in against)
    return named and not _AGAINST.search(statement)


class Conversations:
    """Rows as the module says."""

    name = "conversations"

    def __init__(self, cfg: ConversationsConfig, people: Sequence[RecordedPerson]) -> None:
        self.cfg, self.people = cfg, list(people)

    def chunks(self) -> list[protocol.Chunk]:
        return protocol.cut(self.people, [one.ids for one in self.people], self.cfg.chunk)

    def run(
        self,
        chunk: protocol.Chunk,
        chosen: Mapping[str, baselines.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> Iterator[list[protocol.Row]]:
        """What each system knows of each person, then its replies to their probes."""
        for name, system in chosen.items():
            yield self._profiles(chunk.items, name, system, tools)
        yield self._probes(chunk.items, chosen, tools, known)

    def _profiles(
        self,
        people: Sequence[RecordedPerson],
        name: str,
        system: baselines.System,
        tools: protocol.Tools,
    ) -> list[protocol.Row]:
        requests = [_request(person, "", person.id) for person in people]
        if system.statements is not None:
            stated = system.statements(requests, tools.model, tools.cfg)
            found = [
                (profile_measures(p, held), held) for p, held in zip(people, stated, strict=True)
            ]
        else:
            chats = system.prompts(requests, tools.model, tools.cfg)
            shown = ["\n".join(message.content for message in chat) for chat in chats]
            found = [(shown_measures(p, text), ()) for p, text in zip(people, shown, strict=True)]
        return [
            _row(person, name, person.id, PROFILE)
            | {
                "measures": measures,
                "failed": False,
                "text": " ".join(held) or "(no statements)",
                "missing": [p for p in person.holds if not any(mentions(t, p) for t in held)],
                "faults": [p for p in person.gone if any(mentions(t, p) for t in held)],
                "turned": [text for text in held if turned(text, person.against)],
            }
            for person, (measures, held) in zip(people, found, strict=True)
        ]

    def _probes(
        self,
        people: Sequence[RecordedPerson],
        chosen: Mapping[str, baselines.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> list[protocol.Row]:
        asked = [
            (person, probe, f"{person.id}/{number}")
            for person in people
            for number, probe in enumerate(person.probes)
        ]
        requests = [_request(person, probe.text, name) for person, probe, name in asked]
        replies = baselines.answers(chosen, requests, tools.model, tools.cfg) if requests else {}
        left = [
            (name, *of, said)
            for name, row in replies.items()
            for of, said in zip(asked, row, strict=True)
            if (name, of[2]) not in known  # judged in an earlier start
        ]
        questions = [judge_questions(probe, said.text) for _, _, probe, _, said in left]
        verdicts = tools.jury.ask(questions, ("Yes", "No"), "<answer>{}</answer>")
        return [
            _row(person, name, at, PROBES) | _judged(probe, said, of)
            for (name, person, probe, at, said), of in zip(left, verdicts, strict=True)
        ]


def _request(person: RecordedPerson, question: str, name: str) -> baselines.Request:
    """A request that opens a new session."""
    return baselines.Request(
        name, person.history, question, gold=person.gold, session=len(person.history)
    )


def _row(person: RecordedPerson, system: str, name: str, part: str) -> protocol.Row:
    return {
        "benchmark": Conversations.name,
        "system": system,
        "id": name,
        "part": part,
        "cluster": person.id,
        "cut": 0,
    }


def profile_measures(person: RecordedPerson, held: Sequence[str]) -> dict[str, float]:
    """The measures of a system that holds these statements."""
    pairs = match.assign(list(held), list(person.gold))
    measures = shown_measures(person, "\n".join(held))
    if person.phrases:
        right = {a for a, *_ in pairs}  # "finds CrossFit cultish" is what gold says, too
        wrong = [text for place, text in enumerate(held) if place not in right]
        measures["turned"] = float(sum(turned(text, person.against) for text in wrong))
    if person.whole:
        measures["precision"] = len(pairs) / max(len(held), 1)
    if person.gold:
        measures["recall"] = len(pairs) / len(person.gold)
    return measures | {"facts": float(len(held))}


def shown_measures(person: RecordedPerson, text: str) -> dict[str, float]:
    """Those of any text that tells what a system knows."""
    if not person.phrases:
        there = statements.content(text)
        known = sum(statements.said(gold, there) >= match.LEVEL for gold in person.gold)
        return {"shown": known / len(person.gold)} if person.gold else {}
    held = sum(mentions(text, phrase) for phrase in person.holds)
    return {
        "held": held / max(len(person.holds), 1),
        "faults": float(sum(mentions(text, phrase) for phrase in person.gone)),
    }


def judge_questions(probe: Probe, reply: str) -> dict[str, jury.Chat]:
    """One question a fact that the reply must heed."""
    return {
        fact: (schema.Message("user", _JUDGE.format(fact=fact, message=probe.text, reply=reply)),)
        for fact in probe.facts
    }


def _judged(
    probe: Probe, said: chat_model.ChatReply, verdicts: Mapping[str, jury.Verdict]
) -> protocol.Row:
    """The measure of one reply; without a verdict on every fact it has failed."""
    heeds = {fact: parse.yes(verdict.text) for fact, verdict in verdicts.items()}
    failed = None in heeds.values()
    share = sum(map(bool, heeds.values())) / max(len(heeds), 1)
    return {
        "measures": {} if failed else {"respected": share},
        "failed": failed,
        "user": probe.text,
        "text": said.text,
        "cut": said.cut,
        "facts": heeds,
    }
