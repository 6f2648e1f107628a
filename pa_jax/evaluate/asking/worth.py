"""What asking is worth: cold-start users, the same requests, more or fewer questions allowed.

A session is a few requests of a user of whom nothing is known, `turns` turns each; in a turn after
a question the user answers it. What an answer teaches goes into the profile as gold operations, so
the decision is measured apart from the inferencer. Labels of what a request depends on are those of
data/requests.py, which the decision does not see.
"""

import collections
import copy
import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence

import numpy as np

from pa_jax.agent import reply_prompt
from pa_jax.agent.asking import needs as needing
from pa_jax.agent.asking import rule
from pa_jax.core import keys
from pa_jax.core.typing import Float
from pa_jax.data import requests
from pa_jax.english import refusals, statements
from pa_jax.evaluate import metrics
from pa_jax.evaluate.asking import simulated
from pa_jax.infer.sampler import Sampler
from pa_jax.profile import facts, taxonomy, update

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TURN = datetime.timedelta(minutes=1)


@dataclasses.dataclass(frozen=True)
class Answered:
    """The state in which a request was answered last, after all its questions.

    shown   statements of the profile in the reply's prompt; gold: those it should hold
    prompt  token ids of the reply's prompt
    """

    request: requests.Request
    shown: tuple[str, ...]
    gold: tuple[str, ...]
    prompt: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class AskingSession:
    """One user's session under one budget."""

    person: simulated.Person
    asked: tuple[str, ...]
    profile: tuple[facts.Fact, ...]
    answers: tuple[Answered, ...]

    @property
    def alignment(self) -> float:
        """Share of what each answer needs that its prompt holds, mean over the answers."""
        return _mean(
            [len(set(a.shown) & set(a.gold)) / len(a.gold) for a in self.answers if a.gold]
        )

    @property
    def completeness(self) -> float:
        """Share of what the session's requests need that the profile holds in the end."""
        needed = {statement for a in self.answers for statement in a.gold}
        return len(needed & {fact.statement for fact in self.profile}) / max(len(needed), 1)


def remembering(decider: rule.Proactive) -> rule.Proactive:
    """The decider for a simulation: deciding twice on the same words costs little."""
    found: dict[str, needing.Scores] = {}

    def scores(texts: Sequence[str]) -> Float[np.ndarray, "n s 4"]:
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            found.update(zip(new, decider.needs.scores(new), strict=True))
        return np.array([found[text] for text in texts])

    other = copy.copy(decider)
    other.needs = copy.copy(decider.needs)
    other.needs.scores = scores  # type: ignore[method-assign]  # of this copy alone
    return other


class _State:
    """A session while it runs."""

    def __init__(self, person: simulated.Person) -> None:
        self.person = person
        self.profile: tuple[facts.Fact, ...] = ()
        self.asked: list[str] = []
        self.declined: set[str] = set()
        self.since = 0
        self.pending: str | None = None
        self.turn = 0
        self.answers: list[Answered] = []

    def listen(self, request: requests.Request, first: bool) -> rule.Request:
        """The user's next turn: an answer where a question is open, the request, or neither."""
        self.turn += 1
        self.since += 1
        said = []
        if self.pending is not None:
            said.append(self.person.reply(self.pending))
            self.learn(self.pending, said[0])
            self.pending = None
        if first:
            said.append(request.words)
        return rule.Request(
            words=" ".join(said),
            profile=self.profile,
            asked=frozenset(self.asked),
            declined=frozenset(self.declined),
            questions=len(self.asked),
            since=self.since,
            open="" if first else request.words,
        )

    def answer(
        self,
        want: requests.Request,
        request: rule.Request,
        decision: rule.Decision,
        reply: reply_prompt.Responder,
        now: datetime.datetime,
    ) -> None:
        """Keeps what the reply to this turn is made of."""
        words = f"{request.open} {request.words}".strip()
        shown = reply.choose(self.profile, needs=decision.needs, now=now)
        prompt = reply.prompt(self.profile, (), words, needs=decision.needs, now=now)
        self.answers.append(
            Answered(
                want,
                tuple(fact.statement for fact in shown),
                self.person.gold(want),
                tuple(prompt),
            )
        )

    def take(self, decision: rule.Decision) -> None:
        if decision.slot is not None:
            self.pending, self.since = decision.slot, 0
            self.asked.append(decision.slot)

    def learn(self, slot: str, words: str) -> None:
        if refusals.declined(words):
            self.declined.add(slot)
            return
        done = update.apply(
            self.profile,
            self.person.learnt(slot),
            user=self.person.id,
            source=facts.Source(0, self.turn, words),
            now=NOW + self.turn * TURN,
        )
        self.profile = done.facts

    def done(self) -> AskingSession:
        return AskingSession(self.person, tuple(self.asked), self.profile, tuple(self.answers))


def sessions(
    decider: rule.Proactive,
    reply: reply_prompt.Responder,
    people: Sequence[simulated.Person],
    *,
    budget: int,
    turns: int,
) -> list[AskingSession]:
    """Every user's session with `turns` turns a request and at most `budget` questions."""
    decider = decider.but(budget=budget)
    states = [_State(person) for person in people]
    for want in range(max(len(person.wants) for person in people)):
        for turn in range(turns):
            heard = [state.listen(state.person.wants[want], turn == 0) for state in states]
            now = NOW + states[0].turn * TURN
            decisions = decider.decide(heard, now=now)
            for state, request, decision in zip(states, heard, decisions, strict=True):
                if turn == turns - 1:
                    state.answer(state.person.wants[want], request, decision, reply, now)
                state.take(decision)
    return [state.done() for state in states]


def asks_when(
    decider: rule.Proactive, wants: Sequence[requests.Request], *, known: bool
) -> metrics.Interval:
    """Share of requests that draw a question from a decider that knows all their slots, or none.

    Requests that depend on no slot are asked with an empty profile either way.
    """
    heard = []
    for i, want in enumerate(wants):
        state = _State(simulated.open_book(i))
        for slot in want.slots if known else ():
            state.turn += 1  # a fact's id follows from its turn
            state.learn(slot, state.person.reply(slot))
        heard.append(_heard(want, state.profile))
    decisions = decider.decide(heard, now=NOW + TURN)
    return metrics.interval([float(decision.slot is not None) for decision in decisions])


def firsts(decider: rule.Proactive, wants: Sequence[requests.Request]) -> list[str | None]:
    """The slot that each request makes the decider ask about when nothing is known."""
    heard = [_heard(want, ()) for want in wants]
    return [decision.slot for decision in decider.decide(heard, now=NOW)]


@dataclasses.dataclass(frozen=True)
class Second:
    """The second question after each possible answer to the first ("" for none)."""

    request: str
    first: str
    after: Mapping[str, str]

    @property
    def information(self) -> float:
        """Bits that the second question tells about the answer, all answers equally likely."""
        counts = collections.Counter(self.after.values())
        return sum(-n / len(self.after) * math.log2(n / len(self.after)) for n in counts.values())


def second_questions(decider: rule.Proactive, wants: Sequence[requests.Request]) -> list[Second]:
    """For each request that draws a question, what is asked next after each answer to it."""
    unknown = [_heard(want, ()) for want in wants]
    found = []
    for want, decision in zip(wants, decider.decide(unknown, now=NOW), strict=True):
        if decision.slot is None:
            continue
        slot = taxonomy.Taxonomy.load().get(decision.slot)
        people = [simulated.knowing(slot.path, value) for value in slot.values]
        heard = []
        for person in people:
            state = _State(person)
            state.asked.append(slot.path)
            state.learn(slot.path, person.reply(slot.path))
            heard.append(_heard(want, state.profile, asked=frozenset({slot.path})))
        nexts = decider.decide(heard, now=NOW + TURN)
        after = {v: d.slot or "" for v, d in zip(slot.values, nexts, strict=True)}
        found.append(Second(want.words, slot.path, after))
    return found


def agreement(sampler: Sampler, answers: Sequence[Answered], *, max_new_tokens: int) -> list[float]:
    """Of greedy replies, the reference judge's completeness: gold's content words that they say."""
    answers = [answer for answer in answers if answer.gold]
    done = sampler.generate(
        [answer.prompt for answer in answers],
        n=1,
        max_new_tokens=max_new_tokens,
        temperature=0.0,
        seed=0,
        stream=keys.Stream.EVAL,
    )
    scores = []
    for answer, texts in zip(answers, done.texts, strict=True):
        gold = statements.content(" ".join(answer.gold))
        scores.append(len(gold & statements.content(texts[0])) / max(len(gold), 1))
    return scores


@dataclasses.dataclass(frozen=True)
class Report:
    """What asking is worth, and how often it is out of place.

    sessions  by budget
    known     share of requests that ask although all their slots are known
    unknown   the same with nothing known
    nothing   share of requests without any need that ask
    second    what is asked next after each answer to the first question
    """

    sessions: Mapping[int, Sequence[AskingSession]]
    known: metrics.Interval
    unknown: metrics.Interval
    nothing: metrics.Interval
    second: Sequence[Second]

    @property
    def informed(self) -> float:
        """Share of first questions whose answer decides what is asked next."""
        return _mean([float(second.information > 0) for second in self.second])

    def __str__(self) -> str:
        bits = _mean([second.information for second in self.second])
        return (
            f"{table(self.sessions)}\n"
            f"asks where all is known {self.known}, nothing is known {self.unknown}, "
            f"nothing is needed {self.nothing}\n"
            f"the answer decides the next question in {self.informed:.2f} of {len(self.second)} "
            f"requests, {bits:.2f} bits in the mean"
        )


def measure(
    decider: rule.Proactive,
    reply: reply_prompt.Responder,
    wants: Sequence[requests.Request],
    *,
    users: int,
    seed: int,
    budgets: Sequence[int] = (0, 1, 2, 4),
) -> Report:
    """The same cold-start users under each budget, three requests of four turns each."""
    decider = remembering(decider)
    people = simulated.people(users, seed=seed, wants=wants, requests_each=3)
    some = [want for want in wants if want.slots]
    none = [want for want in wants if not want.slots]
    return Report(
        {b: sessions(decider, reply, people, budget=b, turns=4) for b in budgets},
        asks_when(decider, some, known=True),
        asks_when(decider, some, known=False),
        asks_when(decider, none, known=False),
        second_questions(decider, some),
    )


def table(by_budget: Mapping[int, Sequence[AskingSession]]) -> str:
    """A line a budget: questions, alignment and completeness with 95 % intervals over users."""
    lines = ["budget  questions a user      alignment              completeness"]
    for budget, done in by_budget.items():
        columns = (
            metrics.interval([float(len(session.asked)) for session in done]),
            metrics.interval([session.alignment for session in done]),
            metrics.interval([session.completeness for session in done]),
        )
        lines.append(f"{budget:6d}  " + "   ".join(str(column) for column in columns))
    return "\n".join(lines)


def _heard(
    want: requests.Request, profile: tuple[facts.Fact, ...], asked: frozenset[str] = frozenset()
) -> rule.Request:
    return rule.Request(want.words, profile, asked, frozenset(), 0, 0)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
