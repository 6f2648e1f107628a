"""PersonalAgent as a system: a profile inferred turn by turn, kept by the rules of profile/update.

What the decision to ask is worth is measured by evaluate/asking; here nothing is asked.
"""

import collections
import datetime
import hashlib
from collections.abc import Sequence

from pa_jax.agent import inferencer
from pa_jax.evaluate import speaker, systems
from pa_jax.profile import decay, facts, update

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ENDED = (update.SUPERSEDED, update.RETRACTED, update.ENDED, update.CROWDED)

Profile = tuple[facts.Fact, ...]
Counts = collections.Counter[str]


class PersonalAgent:
    """Infers with the model under test; a dialogue's beginning is never inferred twice."""

    def __init__(self, cfg: inferencer.InferConfig):
        self.cfg = cfg
        self._made: tuple[speaker.Speaker, inferencer.Inferencer] | None = None
        self._known: dict[str, tuple[Profile, Counts]] = {}

    def system(self) -> systems.System:
        """The grid's view of it."""
        return systems.System(self.prompts, figures=self.figures)

    def prompts(
        self,
        requests: Sequence[systems.Request],
        model: speaker.Speaker,
        cfg: systems.SystemConfig,
    ) -> list[systems.Chat]:
        """The profile in the system message, the last messages of the session, the question."""
        profiles = self.profiles(requests, model, cfg)
        return [
            systems.with_profile(request, [fact.statement for fact in held], cfg)
            for request, (held, _) in zip(requests, profiles, strict=True)
        ]

    def figures(
        self, request: systems.Request, model: speaker.Speaker, cfg: systems.SystemConfig
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
        requests: Sequence[systems.Request],
        model: speaker.Speaker,
        cfg: systems.SystemConfig,
    ) -> list[tuple[Profile, Counts]]:
        """What is held after each request's history, and what happened on the way."""
        infers = self._inferencer(model)
        histories = {_name(request.history): request.history for request in requests}
        turns = {name: systems.turns_of(history) for name, history in histories.items()}
        names = {name: _beginnings(of) for name, of in turns.items()}
        for number in range(max(map(len, turns.values()), default=0)):
            new = {
                names[name][number + 1]: (name, of[number])
                for name, of in turns.items()
                if number < len(of) and names[name][number + 1] not in self._known
            }
            self._infer(
                infers,
                new,
                {name: names[name][number] for name in histories if number < len(turns[name])},
                number,
                cfg,
            )
        empty: tuple[Profile, Counts] = ((), collections.Counter())
        ends = {name: self._known.get(of[-1], empty) for name, of in names.items()}
        return [ends[_name(request.history)] for request in requests]

    def _infer(self, infers, new, before, number: int, cfg) -> None:
        now = _time(number, cfg)
        keys, observed = list(new), []
        for key in keys:
            name, (context, words) = new[key]
            held, _ = self._known.get(before[name], ((), collections.Counter()))
            observed.append(inferencer.Observed(key, 0, number, context, words, held))
        for key, turn, made in zip(
            keys, observed, infers.infer(observed, now=now, seed=0), strict=True
        ):
            name, _ = new[key]
            _, counts = self._known.get(before[name], ((), collections.Counter()))
            done = update.apply(
                turn.profile,
                made.ops,
                user=key,
                source=facts.Source(0, number, turn.words),
                now=now,
            )
            events = [change.event for change in done.changes]
            counts = counts + collections.Counter(
                turns=1,
                changed=bool(events),
                added=events.count(update.ADDED),
                ended=sum(event in ENDED for event in events),
            )
            self._known[key] = (done.facts, counts)

    def _inferencer(self, model: speaker.Speaker) -> inferencer.Inferencer:
        if self._made is None or self._made[0] is not model:
            self._made = (model, inferencer.Inferencer(model.model, self.cfg, mesh=model.mesh))
            self._known = {}
        return self._made[1]


def _time(turn: int, cfg: systems.SystemConfig) -> datetime.datetime:
    return START + datetime.timedelta(days=turn / cfg.turns_a_day)


def _name(history: systems.Chat) -> str:
    return _beginnings(systems.turns_of(history))[-1] if history else ""


def _beginnings(turns: Sequence[tuple[str, str]]) -> list[str]:
    """A name for the first 0, 1, ... turns: equal beginnings have equal names."""
    names = [""]
    for context, words in turns:
        said = "\0".join((names[-1], context, words))
        names.append(hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest())
    return names
