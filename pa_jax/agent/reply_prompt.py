"""The prompt of a reply: what is known of the user, what was said, and the user's words."""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence

from pa_jax.dialogue import prompts, schema, template, tokenizer
from pa_jax.profile import decay, facts, render


@dataclasses.dataclass(frozen=True)
class ReplyConfig:
    """Limits of the parts of a reply's prompt.

    prompt_tokens     of the whole prompt; the oldest messages go first, then facts, then words
    profile_tokens    of the facts that are shown
    history_messages  of the session before this turn
    message_chars     of each of them, cut at the end
    user_chars        of the user's words of this turn
    manner            relevance of a fact about how to reply, where a need has its probability
    background        relevance of every other fact; at 0 only needed facts are shown
    """

    prompt_tokens: int
    profile_tokens: int
    history_messages: int
    message_chars: int
    user_chars: int
    manner: float
    background: float


class Responder:
    """Makes prompts for one tokenizer; the engine that answers them is the session's."""

    def __init__(self, words: tokenizer.Tokenizer, cfg: ReplyConfig) -> None:
        self.words, self.cfg = words, cfg

    def prompt(
        self,
        profile: Iterable[facts.Fact],
        history: Sequence[schema.Message],
        words: str,
        *,
        needs: Iterable[tuple[str, float]],
        now: datetime.datetime,
        system: str = "",
    ) -> list[int]:
        """Token ids of a chat that ends where the reply begins, at most cfg.prompt_tokens.

        `needs` are a Decision's; `history` is this session's, user and assistant messages only.
        `system` is the operator's word on how to reply, cut where the user's words are.
        """
        cfg, weight = self.cfg, dict(needs)
        chosen = self.choose(profile, needs=weight.items(), now=now)
        past = _past(history, cfg.history_messages)
        limit = cfg.user_chars
        while True:
            ids = self._encoded([fact.statement for fact in chosen], past, words, limit, system)
            if len(ids) <= cfg.prompt_tokens:
                return ids
            if past:
                past = _past(past, len(past) - 1)
            elif chosen:
                chosen = self._without_least(chosen, weight, now)
            elif limit > prompts.SHORTEST:
                limit = max(limit // 2, prompts.SHORTEST)
            else:
                raise ValueError(
                    f"reply.prompt_tokens={cfg.prompt_tokens}: the bare prompt has {len(ids)} "
                    "tokens; allow more."
                )

    def choose(
        self,
        profile: Iterable[facts.Fact],
        *,
        needs: Iterable[tuple[str, float]],
        now: datetime.datetime,
    ) -> tuple[facts.Fact, ...]:
        """The facts that the prompt shows, safety first, each part oldest first.

        One without any relevance is left out, but for safety.
        """
        weight = dict(needs)
        relevant = [
            fact for fact in profile if self._relevance(fact, weight) > 0 or facts.is_safety(fact)
        ]
        return render.choose(
            relevant,
            now=now,
            relevance=lambda fact: self._relevance(fact, weight),
            max_tokens=self.cfg.profile_tokens,
            count=lambda text: len(self.words.encode(text)),
        )

    def _relevance(self, fact: facts.Fact, weight: Mapping[str, float]) -> float:
        floor = self.cfg.manner if fact.category == facts.MANNER else self.cfg.background
        return max(weight.get(fact.slot, 0.0), floor)

    def _without_least(
        self, chosen: Sequence[facts.Fact], weight: Mapping[str, float], now: datetime.datetime
    ) -> tuple[facts.Fact, ...]:
        def matters(fact: facts.Fact) -> tuple[bool, float]:
            certain = decay.confidence_at(fact, now=now)
            return facts.is_safety(fact), self._relevance(fact, weight) * certain

        least = min(chosen, key=matters)
        return tuple(fact for fact in chosen if fact is not least)

    def _encoded(
        self,
        statements: Sequence[str],
        past: Sequence[schema.Message],
        words: str,
        limit: int,
        system: str,
    ) -> list[int]:
        messages = prompts.respond(
            statements,
            past,
            words,
            message_chars=self.cfg.message_chars,
            user_chars=limit,
            system=system,
        )
        return template.encode_chat(self.words, messages, add_generation_prompt=True)


def _past(history: Sequence[schema.Message], count: int) -> tuple[schema.Message, ...]:
    """The last `count` messages of a history, from one of the user's on."""
    kept = tuple(history[max(len(history) - count, 0) :])
    first = next((i for i, message in enumerate(kept) if message.role == "user"), len(kept))
    return kept[first:]
