"""A model that answers chats in batches: by text, or by the log-probs of the answers allowed.

Chats that begin alike, one dialogue asked in several ways or at several of its turns, go in
together, and what they share is computed once: by the forest, without anybody's doing.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence

import jax
import numpy as np

from pa_jax import models
from pa_jax.core import keys
from pa_jax.dialogue import schema, template
from pa_jax.infer import forest, sampler, score
from pa_jax.models import lora

Chat = Sequence[schema.Message]
EMBEDDED = 512  # tokens of a text that its vector is made of


@dataclasses.dataclass(frozen=True)
class ChatConfig:
    """Sizes of a call.

    rows            replies that are written at once, at most
    max_new_tokens  of a reply
    """

    rows: int
    max_new_tokens: int


@dataclasses.dataclass(frozen=True)
class ChatReply:
    """A reply; `cut` counts the messages that were left out because the prompt was too long."""

    text: str
    finished: bool
    cut: int


@dataclasses.dataclass(frozen=True)
class Scored:
    """Log-probs of the labels as the next token, or of whole replies; `cut` as in Reply."""

    logp: np.ndarray
    cut: int


class ChatModel:
    """A frozen model behind two doors; draws are greedy unless a temperature is given.

    Adapters were trained to write snippets: `infers` has them, the base replies, `writer` is
    this model under them.

    window  tokens of the longest prompt: of the longest row, as far as the model has positions
    asked   prompt tokens so far, one chat at a time
    """

    def __init__(
        self,
        model: models.LoadedModel,
        cfg: ChatConfig,
        *,
        lengths: Sequence[int],
        mesh: jax.sharding.Mesh | None = None,
        adapters: bool = False,
    ) -> None:
        """`lengths` are those of the rows that chats are packed into; `adapters`: they reply."""
        if model.tokenizer is None:
            raise ValueError("the model has no tokenizer; evaluation needs a checkpoint with one.")
        positions = model.config.max_positions
        if cfg.max_new_tokens >= positions:
            raise ValueError(
                f"chat_model.max_new_tokens={cfg.max_new_tokens}: the model has {positions} "
                "positions, for prompt and reply; ask for fewer."
            )
        self.infers, self.cfg, self.mesh, self.tokenizer = model, cfg, mesh, model.tokenizer
        bare = model.module.blocks.lora and not adapters
        self.model = dataclasses.replace(model, module=lora.base(model.module)) if bare else model
        self.lengths = tuple(lengths)
        self.window = min(max(lengths), positions - cfg.max_new_tokens)
        self.asked = 0
        self._scorer = score.Scorer(self.model.module, mesh=mesh, lengths=self.lengths)
        self._made_sampler: sampler.Sampler | None = None
        self._token_counts: dict[str, int] = {}
        self._replies: dict[bytes, ChatReply] = {}  # greedy ones by prompt: systems ask alike
        self._vectors: dict[str, np.ndarray] = {}  # of texts: a dialogue's come again and again

    @functools.cached_property
    def writer(self) -> "ChatModel":
        """Who writes snippets: this model, under its adapters where it has some."""
        if self.infers is self.model:
            return self
        return ChatModel(self.infers, self.cfg, lengths=self.lengths, mesh=self.mesh, adapters=True)

    @property
    def prefilled(self) -> int:
        """Prompt tokens that were computed for those asked, padding included."""
        of_replies = self._made_sampler.prefilled if self._made_sampler is not None else 0
        return self._scorer.slots + of_replies

    def reply(
        self,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        step: int = 0,
    ) -> list[ChatReply]:
        """One reply a chat, in order; draws of a temperature follow from (seed, step, place).

        Greedy replies are kept: a prompt that comes again costs nothing.
        """
        limit = self.cfg.max_new_tokens if max_new_tokens is None else max_new_tokens
        limit = min(limit, self.cfg.max_new_tokens)
        fitted = [self.fit(chat) for chat in chats]
        self.asked += sum(len(ids) for ids, _ in fitted)
        if temperature > 0:
            replies = self._sampled([ids for ids, _ in fitted], limit, temperature, (seed, step))
        else:
            names = [_name(ids, limit) for ids, _ in fitted]
            new = {
                name: ids
                for name, (ids, _) in zip(names, fitted, strict=True)
                if name not in self._replies
            }
            written = self._sampled(list(new.values()), limit, temperature, (seed, step))
            self._replies |= dict(zip(new, written, strict=True))
            replies = [self._replies[name] for name in names]
        return [
            dataclasses.replace(reply, cut=cut)
            for reply, (_, cut) in zip(replies, fitted, strict=True)
        ]

    def _sampled(
        self,
        prompts: Sequence[Sequence[int]],
        limit: int,
        temperature: float,
        draw: tuple[int, int],
    ) -> list[ChatReply]:
        """`draw` is the seed and the step."""
        if not prompts:
            return []
        if self._made_sampler is None:  # it may hold a copy of the weights: not where none replies
            self._made_sampler = sampler.Sampler(
                self.model, mesh=self.mesh, rows=self.cfg.rows, lengths=self.lengths
            )
        done = self._made_sampler.generate(
            prompts,
            n=1,
            max_new_tokens=limit,
            temperature=temperature,
            seed=draw[0],
            stream=keys.Stream.EVAL,
            step=draw[1],
        )
        return [
            ChatReply(text.strip(), bool(finished), 0)
            for (text,), (finished,) in zip(done.texts, done.finished, strict=True)
        ]

    def labels(
        self, groups: Sequence[Sequence[Chat]], labels: Sequence[str], *, opening: str = ""
    ) -> list[list[Scored]]:
        """Log-probs of each label's first token as the next of the reply `opening`, by chat.

        The chats of a group should share their beginning, and groups may.
        """
        label, start = self._first_tokens(labels), self.tokenizer.encode(opening)
        fitted = [[self.fit(chat, room=len(start)) for chat in chats] for chats in groups]
        trees = [[forest.state_of(ids + start) for ids, _ in of] for of in fitted]
        return self._scored(fitted, self._scorer.labels(trees, label))

    def reply_logprobs(
        self, groups: Sequence[Sequence[Chat]], texts: Sequence[Sequence[Sequence[str]]]
    ) -> list[list[Scored]]:
        """Log-prob of each of a chat's `texts` as the beginning of its reply, summed over tokens.

        The chats of a group should share their beginning, and the texts of a chat share the chat.
        """
        encode = self.tokenizer.encode
        replies = [[[encode(text) for text in of] for of in chats] for chats in texts]
        if not all(ids for chats in replies for of in chats for ids in of):
            raise ValueError("a reply to be scored is empty: give it at least one token.")
        room = max((len(ids) for chats in replies for of in chats for ids in of), default=0)
        fitted = [[self.fit(chat, room=room) for chat in chats] for chats in groups]
        trees = [
            [
                forest.follows(prompt, ids)
                for (prompt, _), ids_of in zip(of, chats, strict=True)
                for ids in ids_of
            ]
            for of, chats in zip(fitted, replies, strict=True)
        ]
        sums = (
            iter([logp.sum(dtype=np.float32) for logp in tree])
            for tree in self._scorer.logprobs(trees)
        )
        logp = [
            [np.array([next(of) for _ in ids]) for ids in chats]
            for of, chats in zip(sums, replies, strict=True)
        ]
        return self._scored(fitted, logp)

    def _scored(
        self,
        fitted: Sequence[Sequence[tuple[list[int], int]]],
        logp: Sequence[Sequence[np.ndarray]],
    ) -> list[list[Scored]]:
        self.asked += sum(len(ids) for of in fitted for ids, _ in of)
        return [
            [Scored(one, cut) for one, (_, cut) in zip(of_group, of, strict=True)]
            for of_group, of in zip(logp, fitted, strict=True)
        ]

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[n, d] mean of each text's last hidden states; of a long text, its beginning's."""
        new = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        ids = [self.tokenizer.encode(text or "\n")[:EMBEDDED] for text in new]
        made = self._scorer.states([[forest.state_of(one)] for one in ids])
        self._vectors |= {text: vector for text, (vector,) in zip(new, made, strict=True)}
        self.asked += sum(map(len, ids))
        return np.stack([self._vectors[text] for text in texts])

    def fit(self, chat: Chat, *, room: int = 0) -> tuple[list[int], int]:
        """Prompt ids within the window less `room`, and how many messages were left out for it.

        The oldest go first, a leading system message and the last message last; what then does
        not fit is the beginning of the last message.
        """
        window = self.window - room
        fixed = 1 if chat[0].role == "system" and len(chat) > 1 else 0
        middle = list(chat[fixed:-1])
        lengths = [self._token_count(message.content) for message in middle]
        rest = window - sum(self._token_count(m.content) for m in (*chat[:fixed], chat[-1]))
        start, total = 0, sum(lengths)
        while start < len(middle) and total > rest:
            total -= lengths[start]
            start += 1
        while True:
            while start < len(middle) and start and middle[start].role == "assistant":
                start += 1
            kept = [*chat[:fixed], *middle[start:], chat[-1]]
            ids = template.encode_chat(self.tokenizer, kept, add_generation_prompt=True)
            if len(ids) <= window:
                return ids, start
            if start == len(middle):
                return self._shortened(kept, len(ids) - window, window), start + 1
            start += 1

    def _shortened(self, chat: list[schema.Message], excess: int, window: int) -> list[int]:
        last = self.tokenizer.encode(chat[-1].content)
        while excess < len(last):
            text = self.tokenizer.decode(last[excess:])
            cut = [*chat[:-1], dataclasses.replace(chat[-1], content=text)]
            ids = template.encode_chat(self.tokenizer, cut, add_generation_prompt=True)
            if len(ids) <= window:
                return ids
            excess += len(ids) - window
        raise ValueError(
            f"a window of {window} tokens has no room for the system message and a question; "
            "add a longer one to lengths."
        )

    def _token_count(self, text: str) -> int:
        if text not in self._token_counts:
            self._token_counts[text] = len(self.tokenizer.encode(text))
        return self._token_counts[text]

    def _first_tokens(self, labels: Sequence[str]) -> list[int]:
        ids = [self.tokenizer.encode(label)[0] for label in labels]
        if len(set(ids)) < len(ids):
            raise ValueError(
                f"labels {list(labels)} must begin with different tokens, got {ids}; use a model "
                "whose tokenizer tells them apart."
            )
        return ids


def _name(ids: Sequence[int], limit: int) -> bytes:
    return hashlib.sha256(np.array([limit, *ids], np.int64).tobytes()).digest()
