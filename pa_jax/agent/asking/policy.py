"""The decision to ask, by a policy trained for it (configs/grpo.py with task=ask).

The rule (rule.py) finds what a request needs and keeps its bounds: budget, cool-down, nothing
asked twice, nothing that was declined. Which of the topics left is worth a question, if any, the
policy says, in the prompt and the grammar it was trained with.
"""

import dataclasses
import datetime
from collections.abc import Sequence

import jax

from pa_jax import models
from pa_jax.agent.asking import rule
from pa_jax.agent.inference import inferencer, prompt_roots
from pa_jax.core import keys
from pa_jax.dialogue import asking, prompts, schema, template
from pa_jax.infer import forest, sampler
from pa_jax.profile import facts, render, taxonomy


class Trained:
    """Decides as Proactive does, with a policy in place of the rule's weighing."""

    def __init__(
        self,
        by_rule: rule.Proactive,
        model: models.LoadedModel,
        cfg: inferencer.InferConfig,
        *,
        mesh: jax.sharding.Mesh | None = None,
        lengths: Sequence[int] = forest.LENGTHS,
    ) -> None:
        """Of `cfg`, the batch and the limits of the prompt count; prompts are rows of `lengths`."""
        self.bounds = by_rule.but(cost=0.0)  # what it may ask, without the weighing
        self.words, self.cfg = model.words, cfg
        self._limits = dataclasses.replace(cfg.trained(model).limits(), examples=())
        self._sampler = sampler.Sampler(
            model,
            mesh=mesh,
            rows=cfg.rows,
            lengths=lengths,
            root=prompt_roots.of_turns(model.words, self._limits, prompts.ask),
        )

    def warm_up(self) -> None:
        """Compiles every program that `decide` needs, so that no turn waits for one."""
        self.bounds.warm_up()
        self._sampler.warm_up(self.cfg.prompt_tokens, self.cfg.max_new_tokens)

    def needs_of(self, requests: Sequence[rule.Request]) -> list[rule.Weights]:
        """As Proactive's."""
        return self.bounds.needs_of(requests)

    def decide(
        self, requests: Sequence[rule.Request], *, now: datetime.datetime
    ) -> list[rule.Decision]:
        """A decision for each request, in order; `value` is nan: the policy gives none."""
        made = self.bounds.decide(requests, now=now)
        open_ = [i for i, one in enumerate(made) if one.slot is not None]
        if not open_:
            return made
        episodes = [self.episode(requests[i], made[i], now=now) for i in open_]
        for i, episode, text in zip(open_, episodes, self._written(episodes), strict=True):
            made[i] = chosen(made[i], requests[i], asking.parse(text, episode.options))
        return made

    def episode(
        self, request: rule.Request, ruled: rule.Decision, *, now: datetime.datetime
    ) -> schema.Episode:
        """The request as training shows it: what is known, and the likeliest topics."""
        needed = dict(ruled.needs)

        def relevance(fact: facts.Fact) -> float:
            return 0.1 + needed.get(fact.slot, 0.0)

        known = render.choose(
            request.profile,
            now=now,
            relevance=relevance,
            max_tokens=self.cfg.profile_chars,  # training limits characters: they are counted here
            count=len,
        )
        names = [taxonomy.Taxonomy.load().get(slot).name for slot, _ in ruled.needs]
        return schema.Episode(
            id="",
            user_id="",
            profile=tuple(fact.statement for fact in known),
            context="",
            user=f"{request.open} {request.words}".strip(),
            gold=None,
            options=tuple(names[: asking.OPTIONS]),
        )

    def _written(self, episodes: Sequence[schema.Episode]) -> list[str]:
        chats = [prompts.ask(episode, self._limits) for episode in episodes]
        done = self._sampler.generate(
            template.encode_chats(self.words, chats, add_generation_prompt=True),
            n=1,
            max_new_tokens=self.cfg.max_new_tokens,
            temperature=0.0,
            seed=0,
            stream=keys.Stream.GENERATE,
        )
        return [text for [text] in done.texts]


def chosen(
    ruled: rule.Decision,
    request: rule.Request,
    action: asking.Action | asking.ActionFailure,
) -> rule.Decision:
    """The decision with the policy's choice in place of the rule's."""
    silent = dataclasses.replace(ruled, value=float("nan"), slot=None, question=None)
    if isinstance(action, asking.ActionFailure):
        return dataclasses.replace(silent, why=f"the policy wrote {action.reason}")
    if action.topic is None:
        return dataclasses.replace(silent, why="the policy answers without a question")
    by_name = {taxonomy.Taxonomy.load().get(slot).name: slot for slot, _ in ruled.needs}
    slot = taxonomy.Taxonomy.load().get(by_name[action.topic])
    if slot.path in request.asked | request.declined:
        return dataclasses.replace(silent, why="the policy's topic was asked about or declined")
    why = f"{slot.name} matters here most, by the policy trained to ask"
    return dataclasses.replace(silent, slot=slot.path, question=slot.question, why=why)
