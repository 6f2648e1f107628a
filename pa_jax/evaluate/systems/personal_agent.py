"""PersonalAgent as a system: a profile inferred turn by turn, kept by the rules of profile/update.

The asking one decides behind each request whether to ask back, hears the simulated user's answer,
infers from it as from any turn, and answers the request then. What the decision alone is worth,
with nothing inferred wrongly, is measured by evaluate/asking/worth.
"""

import collections
import dataclasses
import datetime
import hashlib
from collections.abc import Sequence

from pa_jax.agent.asking import rule
from pa_jax.agent.inference import draft, inferencer
from pa_jax.dialogue import schema
from pa_jax.english import refusals
from pa_jax.evaluate import chat_model
from pa_jax.evaluate.systems import baselines
from pa_jax.profile import decay, facts, update

NAME, ASKING = "personal_agent", "personal_agent_asking"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NOTED = "Thank you, I will keep that in mind."
ENDED = (update.SUPERSEDED, update.RETRACTED, update.ENDED, update.CROWDED)

Profile = tuple[facts.Fact, ...]
Counts = collections.Counter[str]
NOTHING: tuple[Profile, Counts] = ((), collections.Counter())


class PersonalAgent:
    """Infers with the model under test; a dialogue's beginning is never inferred twice."""

    def __init__(self, cfg: inferencer.InferConfig, ask: rule.AskConfig) -> None:
        self.cfg, self.ask = cfg, ask
        self._made: tuple[chat_model.ChatModel, inferencer.Inferencer, rule.Proactive] | None = None
        self._known: dict[str, tuple[Profile, Counts]] = {"": NOTHING}
        self._asked: dict[str, float] = {}  # questions by request

    def system(self) -> baselines.System:
        """The grid's view of it."""
        return baselines.System(self.prompts, figures=self.figures, statements=self.statements)

    def asking(self) -> baselines.System:
        """The same with questions to the user."""
        return baselines.System(
            self.asked_prompts, figures=self.asked_figures, statements=self.statements
        )

    def prompts(
        self,
        requests: Sequence[baselines.Request],
        model: chat_model.ChatModel,
        cfg: baselines.SystemConfig,
    ) -> list[baselines.Chat]:
        """The profile in the system message, the last messages of the session, the question."""
        profiles = self.profiles(requests, model, cfg)
        return [
            baselines.with_profile(request, [fact.statement for fact in held], cfg)
            for request, (held, _) in zip(requests, profiles, strict=True)
        ]

    def statements(
        self,
        requests: Sequence[baselines.Request],
        model: chat_model.ChatModel,
        cfg: baselines.SystemConfig,
    ) -> list[tuple[str, ...]]:
        """What is held at each request."""
        profiles = self.profiles(requests, model, cfg)
        return [tuple(fact.statement for fact in held) for held, _ in profiles]

    def asked_prompts(
        self,
        requests: Sequence[baselines.Request],
        model: chat_model.ChatModel,
        cfg: baselines.SystemConfig,
    ) -> list[baselines.Chat]:
        """The same after the user's answers: the request comes again behind each answer."""
        decider = self._parts(model)[1]
        waiting = [_Asking(request) for request in requests if request.person is not None]
        talks = {talk.first.id: talk for talk in waiting}
        while waiting:
            profiles = self.profiles([talk.request for talk in waiting], model, cfg)
            heard = [talk.heard(held) for talk, (held, _) in zip(waiting, profiles, strict=True)]
            latest = max(counts["turns"] for _, counts in profiles)
            made = decider.decide(heard, now=_time(latest, cfg))
            asked = zip(waiting, made, strict=True)
            waiting = [talk for talk, decision in asked if talk.ask(decision)]
        self._asked |= {name: float(len(talk.slots)) for name, talk in talks.items()}
        last = [talks[r.id].request if r.id in talks else r for r in requests]
        return self.prompts(last, model, cfg)

    def asked_figures(
        self, request: baselines.Request, model: chat_model.ChatModel, cfg: baselines.SystemConfig
    ) -> dict[str, float]:
        """Those of `figures`, before the questions; and how many there were."""
        return self.figures(request, model, cfg) | {"questions": self._asked.get(request.id, 0.0)}

    def figures(
        self, request: baselines.Request, model: chat_model.ChatModel, cfg: baselines.SystemConfig
    ) -> dict[str, float]:
        """Stability of the profile at the request.

        updates   turns that changed it, a turn
        churn     facts that ended, of all that were added
        stale     of the facts held, those that decay calls stale
        held      facts held
        """
        ((held, counts),) = self.profiles([request], model, cfg)
        now = _time(counts["turns"], cfg)
        return {
            "profile_updates": counts["changed"] / max(counts["turns"], 1),
            "profile_churn": counts["ended"] / max(counts["added"], 1),
            "profile_stale": sum(decay.is_stale(f, now=now) for f in held) / max(len(held), 1),
            "profile_held": float(len(held)),
        }

    def profiles(
        self,
        requests: Sequence[baselines.Request],
        model: chat_model.ChatModel,
        cfg: baselines.SystemConfig,
    ) -> list[tuple[Profile, Counts]]:
        """What is held after each request's history, and what happened on the way."""
        infers = self._parts(model)[0]
        walks = [_steps(baselines.turns_of(request.history)) for request in requests]
        for number in range(max(map(len, walks), default=0)):
            steps = [walk[number] for walk in walks if number < len(walk)]
            new = {step.name: step for step in steps if step.name not in self._known}
            self._infer(infers, list(new.values()), _time(number, cfg))
        return [self._known[walk[-1].name if walk else ""] for walk in walks]

    def _infer(
        self, infers: inferencer.Inferencer, steps: Sequence["_Step"], now: datetime.datetime
    ) -> None:
        """One turn of several dialogues, each on top of what its earlier turns left."""
        observed = [
            draft.Observed(
                user=step.name,
                session=0,
                turn=step.number,
                context=step.context,
                words=step.words,
                profile=self._known[step.before][0],
            )
            for step in steps
        ]
        made = infers.infer(observed, now=now, seed=0)
        for step, turn, inferred in zip(steps, observed, made, strict=True):
            done = update.apply(
                turn.profile,
                inferred.ops,
                user=step.name,
                source=facts.Source(0, step.number, step.words),
                now=now,
            )
            events = [change.event for change in done.changes]
            counts = self._known[step.before][1] + collections.Counter(
                turns=1,
                changed=int(bool(events)),
                added=events.count(update.ADDED),
                ended=sum(event in ENDED for event in events),
            )
            self._known[step.name] = (done.facts, counts)

    def _parts(self, model: chat_model.ChatModel) -> tuple[inferencer.Inferencer, rule.Proactive]:
        if self._made is None or self._made[0] is not model:
            infers = inferencer.Inferencer(model.infers, self.cfg, mesh=model.mesh)
            decides = rule.Proactive(model.infers, self.ask, mesh=model.mesh)
            self._made = (model, infers, decides)
            self._known, self._asked = {"": NOTHING}, {}
        return self._made[1:]


class _Asking:
    """A request while the agent asks back: `request` is what stands now, with all that was said."""

    def __init__(self, request: baselines.Request) -> None:
        self.first = self.request = request
        self.slots: list[str] = []
        self.declined: set[str] = set()
        self.said = [schema.Message("user", request.question)]

    def heard(self, profile: Profile) -> rule.Request:
        """The user's last turn as the decider sees it."""
        return rule.Request(
            words=self.said[-1].content,
            profile=profile,
            asked=frozenset(self.slots),
            declined=frozenset(self.declined),
            questions=len(self.slots),
            since=1,
            open=self.first.question if self.slots else "",
        )

    def ask(self, decision: rule.Decision) -> bool:
        """Whether a question was asked: then the answer is in, and the request stands behind it."""
        if decision.slot is None:
            return False
        assert self.first.person is not None and decision.question  # what a slot comes with
        words = self.first.person.reply(decision.slot)
        question = f"{NOTED} {decision.question}" if self.slots else decision.question
        self.said += [schema.Message("assistant", question), schema.Message("user", words)]
        self.slots.append(decision.slot)
        if refusals.declined(words):
            self.declined.add(decision.slot)
        noted = schema.Message("assistant", NOTED)
        history = (*self.first.history, *self.said, noted)
        self.request = dataclasses.replace(self.first, history=history)
        return True


def _time(turn: int, cfg: baselines.SystemConfig) -> datetime.datetime:
    return START + datetime.timedelta(days=turn / cfg.turns_a_day)


@dataclasses.dataclass(frozen=True)
class _Step:
    """A turn behind all that came before it: equal beginnings of dialogues have equal names."""

    name: str
    before: str
    number: int
    context: str
    words: str


def _steps(turns: Sequence[tuple[str, str]]) -> list[_Step]:
    steps: list[_Step] = []
    for number, (context, words) in enumerate(turns):
        before = steps[-1].name if steps else ""
        said = "\0".join((before, context, words)).encode("utf-8", "surrogatepass")
        name = hashlib.sha256(said).hexdigest()
        steps.append(_Step(name, before, number, context, words))
    return steps
