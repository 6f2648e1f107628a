"""PrefEval's items, the noise between a preference and its question, and dialogues made of both."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import items, prefeval
from pa_jax.dialogue import schema
from pa_jax.evaluate.benchmarks import choice, parse, protocol
from pa_jax.evaluate.systems import baselines

NOISE = (0, 2, 5, 10, 30, 70, 300)
ACKNOWLEDGED = "Understood, I will keep that in mind."  # where the model is not asked for its own


@dataclasses.dataclass(frozen=True)
class PrefEvalConfig:
    """Which items and how.

    path         PrefEval's folder
    form         explicit | choice | persona
    topics       empty: all
    per_topic    items of a topic, at most
    noise        pairs between preference and question, each a part of its own
    acknowledge  whether the model under test answers the preference itself (PrefEval does), or
                 ACKNOWLEDGED stands there
    words        limit that the generation task names
    chunk        items computed together, at all noise levels
    seed         of the order of options
    """

    path: str
    form: str
    topics: tuple[str, ...]
    per_topic: int
    noise: tuple[int, ...]
    acknowledge: bool
    words: int
    chunk: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Item:
    """One of PrefEval's: `before` reveals the preference; options[0] is the aligned one."""

    id: str
    topic: str
    preference: str
    question: str
    before: baselines.Chat
    options: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class NoisyItem:
    """An item behind some pairs of noise."""

    item: Item
    noise: int


class Dialogues:
    """Items, and the noise that goes between what reveals a preference and the question."""

    def __init__(
        self, cfg: PrefEvalConfig, quarantine: quarantine_lib.Quarantine, *, mcq: bool
    ) -> None:
        """`mcq`: items of the multiple choice, whose file words a few of them differently."""
        self.cfg = cfg
        self.items = read(cfg, quarantine, mcq=mcq)
        self.noise = read_noise(cfg.path, cfg.noise)

    def cases(self) -> list[NoisyItem]:
        """Every item at every noise level, item by item: its levels share their beginning."""
        return [NoisyItem(item, noise) for item in self.items for noise in self.cfg.noise]

    def histories(self, cases: Sequence[NoisyItem], tools: protocol.Tools) -> list[baselines.Chat]:
        """What was said before each question; the model acknowledges what the user states."""
        said = [ACKNOWLEDGED] * len(cases)
        if self.cfg.form == "explicit" and self.cfg.acknowledge:
            system = schema.Message("system", baselines.INSTRUCTION)
            asked = [(system, *case.item.before) for case in cases]
            said = [one.text or ACKNOWLEDGED for one in tools.model.reply(asked)]
        out = []
        for case, acknowledged in zip(cases, said, strict=True):
            before = case.item.before
            if self.cfg.form == "explicit":
                before = (*before, schema.Message("assistant", acknowledged))
            out.append((*before, *self.noise[: 2 * case.noise]))
        return out

    def chunks(self) -> list[protocol.Chunk]:
        cases = self.cases()
        size = self.cfg.chunk * len(self.cfg.noise)
        return protocol.cut(cases, [[name_of(case)] for case in cases], size)

    def row(self, case: NoisyItem, benchmark: str, system: str) -> protocol.Row:
        return {
            "benchmark": benchmark,
            "system": system,
            "id": name_of(case),
            "part": f"{self.cfg.form} N={case.noise}",
            "cluster": case.item.id,
            "noise": case.noise,
            "failed": False,
        }


def name_of(case: NoisyItem) -> str:
    return f"{case.item.id}/N{case.noise}"


def read(cfg: PrefEvalConfig, quarantine: quarantine_lib.Quarantine, *, mcq: bool) -> list[Item]:
    """Items of cfg.form in order of topic and number, spread evenly where there are too many.

    As in PrefEval's code, the multiple choice takes its question (and the preference, where the
    user states it) from the file of the options, item by number; the other task from the form's.
    """
    known = prefeval.topics(cfg.path, cfg.form, section="prefeval")
    if not set(cfg.topics) <= set(known):
        raise ValueError(f"prefeval.topics={cfg.topics}: choose among {known}, or none for all.")
    found: list[Item] = []
    for path in prefeval.files(cfg.path, cfg.form, section="prefeval"):
        if cfg.topics and path.stem not in cfg.topics:
            continue
        of_topic = []
        extra = _choices(prefeval.root(path), path.stem) if mcq else None
        for number, value in enumerate(items.read_list(path)):
            try:
                fields = items.as_dict(value)
                fields = fields if extra is None else _with_choice(fields, extra, number, cfg.form)
                of_topic.append(_item(fields, cfg.form, path.stem, number))
            except quarantine_lib.BadItem as error:
                quarantine.reject(path, number, str(error), json.dumps(value))
                continue
            quarantine.accept()
        found += _spread(of_topic, cfg.per_topic)
    quarantine.finish(cfg.path)
    return found


def _choices(folder: pathlib.Path, topic: str) -> list[object]:
    path = folder / "mcq_options" / f"{topic}.json"
    if not path.is_file():
        raise quarantine_lib.DataError(
            f"{path} is not there; fetch PrefEval's mcq_options, or leave out the multiple choice."
        )
    return items.read_list(path)


def _with_choice(item: dict, choices: list[object], number: int, form: str) -> dict:
    """The item with the options, question and stated preference of the multiple choice."""
    if number >= len(choices):
        raise quarantine_lib.BadItem(f"mcq_options has {len(choices)} items, none of this number")
    choice = items.as_dict(choices[number])
    options = choice.get("classification_task_options")
    if not isinstance(options, list) or len(options) != len(parse.LETTERS):
        raise quarantine_lib.BadItem(f"'classification_task_options' must be 4, got {options!r}")
    taken = ("question", "preference") if form == "explicit" else ("question",)
    return item | {key: items.text_of(choice, key) for key in taken} | {"options_": options}


def _item(value: dict, form: str, topic: str, number: int) -> Item:
    preference = items.text_of(value, "preference")
    if form == "explicit":
        before: tuple[schema.Message, ...] = (schema.Message("user", preference),)
    else:
        turns = prefeval.turns(value, form, topic)
        before = tuple(
            message
            for turn in turns
            for message in (
                schema.Message("user", turn.user),
                schema.Message("assistant", turn.assistant),
            )
        )
    question = items.text_of(value, "question")
    options = tuple(items.as_text(option, "option") for option in value.get("options_", ()))
    return Item(f"{form}/{topic}/{number}", topic, preference, question, before, options)


def _spread(found: list[Item], count: int) -> list[Item]:
    if len(found) <= count:
        return found
    return [found[i * len(found) // count] for i in range(count)]


def read_noise(folder: str, levels: Sequence[int]) -> baselines.Chat:
    """The messages of all noise conversations one after the other, user and assistant in turn.

    ValueError where one of the `levels` wants more pairs than there are.
    """
    value = items.read_list(prefeval.noise_file(folder))
    said = [
        schema.Message(message["role"], message["content"])
        for talk in value
        for message in items.as_dict(talk)["conversation"]
    ]
    for number, message in enumerate(said):
        if message.role != ("user", "assistant")[number % 2]:
            raise quarantine_lib.DataError(
                f"filtered_inter_turns.json: message {number} is of {message.role!r}, the roles "
                "must alternate from user on. Fetch it again."
            )
    if 2 * max(levels) > len(said):
        raise ValueError(
            f"noise={tuple(levels)}: filtered_inter_turns.json has {len(said) // 2} pairs; choose "
            "at most that many."
        )
    return tuple(said)


def shuffled(case: NoisyItem, seed: int) -> tuple[tuple[str, ...], int]:
    """The options in an order of the item's own, the same for every system, and the right place."""
    return choice.shuffled(case.item.options, f"{seed}/{case.item.id}")
