"""Does a system know its user, some turns on? Synthetic users, a new session, four options.

After the first T turns a new session opens with a question about a preference that still holds;
the right option is what the user prefers, the others are what else the slot could hold. They are
not shown: the one that is likeliest as the reply is picked. Questions about what the user has not
told yet (`untold`, a part of their own) can be guessed, or answered by who asks back.

unseen        users whose subcategories never occur in training (data.source=unseen trains on the
              rest), from the first message on
long_horizon  users of 10 to 300 turns
noise         users of a few turns, then N pairs of PrefEval's noise, which say nothing of them

Users of a file of one's own are asked in their place where a path names one (recall_own).

Measures: accuracy, p_right (the right option's share of the four), and `stale`: of preferences that
changed, how often the old one is picked. Systems with a profile add figures of it.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from pa_jax.data.synth import truth
from pa_jax.data.synth import users as synth_users
from pa_jax.dialogue import schema
from pa_jax.evaluate import chat_model
from pa_jax.evaluate.asking import simulated
from pa_jax.evaluate.benchmarks import choice, protocol
from pa_jax.evaluate.systems import baselines
from pa_jax.profile import taxonomy

KEYS = {
    "unseen": ("unseen", *protocol.SYSTEMS),
    "long_horizon": ("long_horizon", *protocol.SYSTEMS),
    "noise": ("noise", "prefeval.path", *protocol.SYSTEMS),
}
QUESTION = "Considering what you know about me, what suits me best {when}?"
TURNS_A_SESSION = 10
OPTIONS = 4


@dataclasses.dataclass(frozen=True)
class RecallConfig:
    """Which users and how often they are asked.

    users      of the split, numbered from 0; seed is not the one that training draws users with
    turns      after which they are asked, each a part of its own; 0: of whom nothing is known
    questions  a user and T at most: the newest preferences, and the oldest
    untold     questions about what comes up later only, at most: the next ones
    chunk      users and T computed together
    path       a JSONL file of messages with gold, or a folder of them, whose users are asked in the
               place of synthetic ones (recall_own); "": synthetic users
    noise      pairs of messages about nothing of theirs that follow the T turns, each a part
    """

    users: int
    turns: tuple[int, ...]
    questions: int
    untold: int
    chunk: int
    path: str
    seed: int
    noise: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class RecallQuestion:
    """One preference asked for: options[0] is right; `old` is the one it replaced, "" if none.

    `age` is how many turns ago it was told; below 1: it was not told yet.
    """

    id: str
    text: str
    options: tuple[str, ...]
    old: str
    age: int
    gold: str


@dataclasses.dataclass(frozen=True)
class Moment:
    """A user after some turns and pairs of noise, and what is asked then; `person` is that user."""

    user: str
    turns: int
    noise: int
    history: baselines.Chat
    questions: tuple[RecallQuestion, ...]
    person: simulated.Person


def moments(cfg: RecallConfig, split: str, noise: baselines.Chat = ()) -> list[Moment]:
    """Every user at every T at which something is known, T by T; of a T, N by N.

    `noise` are messages of user and assistant in turn, the first N pairs of which are taken.
    """
    longest = max(cfg.turns)
    size = (-(-longest // TURNS_A_SESSION), TURNS_A_SESSION)
    users = [synth_users.told(cfg.seed, i, split=split, size=size) for i in range(cfg.users)]
    found = [
        _moment(cfg, *user, turns, noise[: 2 * pairs])
        for turns in cfg.turns
        for pairs in cfg.noise
        for user in users
    ]
    return [moment for moment in found if moment.questions]


def _moment(
    cfg: RecallConfig,
    dialogue: schema.Dialogue,
    facts: Sequence[truth.Preference],
    turns: int,
    noise: baselines.Chat,
) -> Moment:
    history = tuple(
        schema.Message(role, text)
        for turn in dialogue.turns[:turns]
        for role, text in (("user", turn.user), ("assistant", turn.assistant))
        if text
    )
    held: dict[str, list[truth.Preference]] = {}
    later: dict[str, truth.Preference] = {}
    for fact in facts:
        if fact.turn < turns:
            held.setdefault(fact.slot, []).append(fact)
        elif fact.slot not in held:
            later.setdefault(fact.slot, fact)
    liked = [of for of in held.values() if of[-1].polarity == truth.LIKE]
    liked.sort(key=lambda of: of[-1].turn)
    coming = [[fact] for fact in later.values() if fact.polarity == truth.LIKE]
    values = {of[-1].slot: of[-1].value for of in (*liked, *coming)}
    if len(liked) > cfg.questions:  # the oldest ones and the newest ones
        first = cfg.questions // 2
        liked = [*liked[:first], *liked[len(liked) - (cfg.questions - first) :]]
    pairs = len(noise) // 2
    name = f"{dialogue.id}/T{turns}" + (f"/N{pairs}" if len(cfg.noise) > 1 else "")
    asked = tuple(filter(None, (_question(name, of, turns) for of in liked)))
    untold = list(filter(None, (_question(name, of, turns) for of in coming)))[: cfg.untold]
    person = simulated.Person(dialogue.user_id, values, frozenset(), ())
    return Moment(dialogue.user_id, turns, pairs, (*history, *noise), (*asked, *untold), person)


def _question(name: str, of_slot: Sequence[truth.Preference], turns: int) -> RecallQuestion | None:
    slot = taxonomy.Taxonomy.load().get(of_slot[-1].slot)
    right = of_slot[-1].value
    before = [fact.value for fact in of_slot[:-1] if fact.value != right]
    others = [value for value in slot.values if value != right and value not in before[-1:]]
    others = (before[-1:] + others)[: OPTIONS - 1]
    if len(others) < OPTIONS - 1:
        return None
    return RecallQuestion(
        id=f"{name}/{slot.path}",
        text=QUESTION.format(when=slot.when),
        options=(right, *others),
        old=before[-1] if before else "",
        age=turns - of_slot[-1].turn,
        gold=of_slot[-1].line,
    )


class Recall:
    """A row a question and system, of all moments."""

    def __init__(self, cfg: RecallConfig, found: Sequence[Moment], *, name: str) -> None:
        self.cfg, self.name, self.moments = cfg, name, list(found)

    def chunks(self) -> list[protocol.Chunk]:
        ids = [[question.id for question in moment.questions] for moment in self.moments]
        return protocol.cut(self.moments, ids, self.cfg.chunk)

    def run(
        self,
        chunk: protocol.Chunk,
        chosen: Mapping[str, baselines.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> Iterator[list[protocol.Row]]:
        """One list of rows: every question of every moment under every system."""
        groups = [self._requests(moment) for moment in chunk.items]
        options = [[question.options for question in moment.questions] for moment in chunk.items]
        found = choice.texts_scored(groups, options, chosen, tools)
        rows = []
        for moment, requests, of in zip(chunk.items, groups, found, strict=True):
            for question, request, by_system in zip(moment.questions, requests, of, strict=True):
                for name, one in by_system.items():
                    tell = chosen[name].figures
                    figures = tell(request, tools.model, tools.cfg) if tell else {}
                    rows.append(self._row(moment, question, name, one, figures))
        yield rows

    def _requests(self, moment: Moment) -> list[baselines.Request]:
        return [
            baselines.Request(
                id=question.id,
                history=moment.history,
                question=question.text,
                gold=(question.gold,),
                session=len(moment.history),
                person=moment.person,
            )
            for question in moment.questions
        ]

    def _row(
        self,
        moment: Moment,
        question: RecallQuestion,
        system: str,
        one: chat_model.Scored,
        figures: Mapping[str, float],
    ) -> protocol.Row:
        measures, place = choice.measured(one, 0)
        said = question.options[place]
        if question.old:
            measures["stale"] = float(said == question.old)
        part = ("untold " if question.age < 1 else "") + f"T={moment.turns}"
        return {
            "measures": {**measures, **figures},
            "benchmark": self.name,
            "system": system,
            "id": question.id,
            "part": part + (f" N={moment.noise}" if len(self.cfg.noise) > 1 else ""),
            "cluster": moment.user,
            "turns": moment.turns,
            "noise": moment.noise,
            "age": question.age,
            "user": question.text,
            "text": said,
            "right": question.options[0],
            "cut": one.cut,
            "failed": False,
        }
