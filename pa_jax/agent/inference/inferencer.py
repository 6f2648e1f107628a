"""A turn and the profile before it to the operations that the turn makes on the profile.

The policy writes a snippet, with the prompt and the grammar of training. Each statement
must speak of the user, be more than what was asked for, not be what the user just asked to have
forgotten, and be carried by the user's words of this turn (grounding); what is not is dropped and
counted, never stored. What the user says outright ("remember that I ...") is added where the
snippet lacks it. What is left is placed into the taxonomy and becomes an ADD. Retractions that the
words ask for come first. Which facts give way is profile/update's matter.
"""

import dataclasses
import datetime
import math
import re
from collections.abc import Sequence
from typing import Any

import jax

from pa_jax import models
from pa_jax.agent.inference import draft, grounding, placing, prompt_roots
from pa_jax.agent.inference.draft import Inferred, Observed
from pa_jax.core import keys
from pa_jax.dialogue import prompts, schema, template
from pa_jax.english import statements, words
from pa_jax.infer import forest, sampler, score
from pa_jax.infer.serving import scheduler
from pa_jax.profile import render

SHORT_ANSWER = 12  # words; what is longer says itself what it is about
_OFFERS = re.compile(
    r"\?|^\s*(?:\d+[.)]|[-*•])\s|\bor\b", re.MULTILINE
)  # a question, a list, a choice


@dataclasses.dataclass(frozen=True)
class InferConfig:
    """Inference at run time.

    rows            turns at a time
    prompt_tokens   of the longest prompt
    max_new_tokens  of a snippet; a line that is cut off there is dropped
    profile_chars, context_chars, user_chars    limits of the prompt's parts
    examples        worked examples in front of the prompt (dialogue/prompts.py); these and the
                    limits are those of a model's training instead, where it was trained here
    grounding       nats a token that the user's words must give a statement; ours, measured
    stated          share of a statement's content words from which the user stated it; ours
    place_...       placing.PlaceConfig
    """

    rows: int
    prompt_tokens: int
    max_new_tokens: int
    profile_chars: int
    context_chars: int
    user_chars: int
    examples: tuple[tuple[str, str, str], ...]
    grounding: float
    stated: float
    place_lexical: float
    place_sure: float
    place_categories: int
    place_least: float

    def limits(self) -> prompts.PromptConfig:
        """The limits of the prompt's parts."""
        return prompts.PromptConfig(
            self.profile_chars, self.context_chars, self.user_chars, self.examples
        )

    def trained(self, model: models.LoadedModel) -> "InferConfig":
        """The same, with prompts as the model was trained on them, where it was trained here."""
        if model.prompt is None:
            return self
        return dataclasses.replace(self, **vars(prompts.PromptConfig.of(model.prompt)))


class Inferencer:
    """Infers turns of many users at once, under one frozen policy that also judges its grounds."""

    def __init__(
        self,
        model: models.LoadedModel,
        cfg: InferConfig,
        *,
        mesh: jax.sharding.Mesh | None = None,
        lengths: Sequence[int] = forest.LENGTHS,
        serves: scheduler.Scheduler | None = None,
        wait_seconds: float = 0.0,
    ) -> None:
        """Snippets are decoded by a scheduler that serves others meanwhile, or by a sampler.

        The former is waited for so long where its queue is full. All that is scored goes in as
        rows of `lengths`.
        """
        if model.tokenizer is None:
            raise ValueError(
                "Inferencer got a model without a tokenizer; give models.load(SOURCE)."
            )
        forest.fit(cfg.prompt_tokens, lengths, what="infer.prompt_tokens (see lengths): a prompt")
        cfg = cfg.trained(model)
        self.cfg, self.words = cfg, model.tokenizer
        self._serves, self._wait_seconds, self._sampler = serves, wait_seconds, None
        if serves is None:
            begins = prompt_roots.of_turns(model.tokenizer, cfg.limits())
            self._sampler = sampler.Sampler(
                model, mesh=mesh, rows=cfg.rows, lengths=lengths, root=begins
            )
        self._scorer = score.Scorer(model.module, mesh=mesh, lengths=lengths)
        self.grounder = grounding.Grounder(model.tokenizer, self._scorer)
        place = placing.PlaceConfig(
            cfg.place_lexical, cfg.place_sure, cfg.place_categories, cfg.place_least
        )
        self.placer = placing.Placer(model.tokenizer, self._scorer, place)

    def warm_up(self) -> None:
        """Compiles every program that `infer` needs, so that no turn waits for one."""
        if self._sampler is not None:  # who owns the scheduler warms it up
            self._sampler.warm_up(self.cfg.prompt_tokens, self.cfg.max_new_tokens)
        self._scorer.warm_up(max(self._scorer.lengths))
        self.placer.warm_up()

    def infer(
        self, turns: Sequence[Observed], *, now: datetime.datetime, seed: int
    ) -> list[Inferred]:
        """Greedy snippets of the turns and their operations, in order; none where nothing was said.

        `seed` enters the engine's keys; greedy decoding draws nothing from them.
        """
        made = [Inferred("", (), ())] * len(turns)
        spoken = [i for i, turn in enumerate(turns) if words.clean(turn.words, draft.MAX_HEARD)]
        if not spoken:
            return made
        texts, finished = self._written([self.prompt(turns[i], now=now) for i in spoken], seed)
        found = self.read([turns[i] for i in spoken], texts, finished)
        for i, inferred in zip(spoken, found, strict=True):
            made[i] = inferred
        return made

    def _written(self, asked: Sequence[Sequence[int]], seed: int) -> tuple[list[str], list[bool]]:
        """A snippet a prompt, and whether the policy came to its end."""
        how: dict[str, Any] = {
            "max_new_tokens": self.cfg.max_new_tokens,
            "temperature": 0.0,
            "seed": seed,
        }
        if self._serves is not None:
            replies = self._serves.generate(asked, **how, wait_seconds=self._wait_seconds)
            return [reply.text for reply in replies], [reply.finished for reply in replies]
        assert self._sampler is not None  # made where no engine serves
        done = self._sampler.generate(asked, n=1, stream=keys.Stream.GENERATE, **how)
        return [text for [text] in done.texts], done.finished[:, 0].tolist()

    def ops_of(self, turn: Observed, text: str) -> Inferred:
        """What one turn makes of a given snippet text (a gold one, say): all but the policy."""
        return self.read([turn], [text])[0]

    def prompt(self, turn: Observed, *, now: datetime.datetime) -> list[int]:
        """Prompt ids, the same text as in training; the facts nearest to the words go in.

        User text of any length fits cfg.prompt_tokens: its parts are halved until they do.
        """
        cfg, limits = self.cfg, self.cfg.limits()
        while True:
            messages = prompts.infer(self._episode(turn, limits, now=now), limits)
            ids = template.encode_chat(self.words, messages, add_generation_prompt=True)
            if len(ids) <= cfg.prompt_tokens:
                return ids
            if limits.user_chars < 16:
                raise ValueError(
                    f"infer.prompt_tokens={cfg.prompt_tokens}: a prompt without the user's text "
                    f"takes {len(ids)} tokens; allow more."
                )
            limits = dataclasses.replace(
                limits,
                profile_chars=max(limits.profile_chars // 2, len(render.EMPTY)),
                context_chars=limits.context_chars // 2 if limits.context_chars > 16 else 8,
                user_chars=limits.user_chars // 2,
            )

    def read(
        self,
        turns: Sequence[Observed],
        texts: Sequence[str],
        finished: Sequence[bool] | None = None,
        *,
        trusted: bool = False,
    ) -> list[Inferred]:
        """What the turns make of snippet texts; `finished` says which came to their end.

        Those of `trusted` texts (gold) are not grounded: all that they say is certain.
        """
        ended = finished or [True] * len(texts)
        drafts = [draft.Draft(*of) for of in zip(turns, texts, ended, strict=True)]
        episodes = [_grounds(turn) for turn in turns]
        lines = [each.statements for each in drafts]
        if trusted:
            gains = [[math.inf] * len(row) for row in lines]
        else:
            gains = self.grounder.gains(episodes, lines)
        for each, row in zip(drafts, gains, strict=True):
            each.ground(row, self.cfg.grounding)
            if not trusted:
                each.note_explicit()
        said = [statement for each in drafts for statement in each.statements]
        held = [each.turn.profile for each in drafts for _ in each.statements]
        placed = iter(self.placer.place(said, held))
        made = []
        for each in drafts:
            slots = [next(placed).slot for _ in each.statements]
            made.append(each.inferred(slots, 0.0 if trusted else self.cfg.stated))
        return made

    def _episode(
        self, turn: Observed, limits: prompts.PromptConfig, *, now: datetime.datetime
    ) -> schema.Episode:
        """The turn as training sees it, with the part of the profile that fits its prompt."""
        heard = statements.content(words.clean(turn.words, draft.MAX_HEARD))
        chosen = render.choose(
            turn.profile,
            now=now,
            relevance=lambda fact: 1.0 + statements.said(fact.statement, heard),
            max_tokens=limits.profile_chars,  # training limits characters: they are counted here
            count=len,
        )
        return _heard(turn, profile=tuple(fact.statement for fact in chosen))


def _grounds(turn: Observed) -> schema.Episode:
    """What may carry the turn's statements: the user's words alone.

    The message they answer counts only where a short answer picks from it: from a question or a
    list of choices ("the second one"). Anything else that it says are the assistant's words.
    """
    heard = _heard(turn)
    answer = len(heard.user.split()) <= SHORT_ANSWER and "?" not in heard.user
    if answer and _OFFERS.search(turn.context):
        return heard
    return dataclasses.replace(heard, context="")


def _heard(turn: Observed, profile: tuple[str, ...] = ()) -> schema.Episode:
    """The turn as an episode: one line each, without control characters."""
    return schema.Episode(
        id=f"{turn.session}.{turn.turn}",
        user_id=turn.user,
        profile=profile,
        context=words.clean(turn.context, draft.MAX_HEARD),
        user=words.clean(turn.words, draft.MAX_HEARD),
        gold=None,
    )
