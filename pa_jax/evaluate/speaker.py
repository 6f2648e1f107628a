"""A model that answers chats in batches: by text, or by the log-probs of the answers allowed.

Prompts that share a beginning (one dialogue asked in several ways) are branches of one tree: what
they share is computed once.
"""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pa_jax import models
from pa_jax.core import keys, sharding
from pa_jax.core import mesh as meshes
from pa_jax.dialogue import schema, template
from pa_jax.evaluate import prompt_trees
from pa_jax.infer import buckets, engine, sampling, score

Chat = Sequence[schema.Message]
EMBEDDED = 512  # tokens of a text that its vector is made of
WIDTHS = (32, 64, 128, 256, EMBEDDED)
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # of a batch that is not full


@dataclasses.dataclass(frozen=True)
class SpeakerConfig:
    """Sizes of a call.

    rows            trees of chats a call, fewer where they are long
    tokens          tokens a call, padding included; one tree may be longer
    trunks          padded prompt lengths; the largest is the window
    max_new_tokens  of a reply
    """

    rows: int
    tokens: int
    trunks: tuple[int, ...]
    max_new_tokens: int


@dataclasses.dataclass(frozen=True)
class Said:
    """A reply; `cut` counts the messages that were left out because the prompt was too long."""

    text: str
    finished: bool
    cut: int


@dataclasses.dataclass(frozen=True)
class Scored:
    """Log-probs of the labels as the next token, or of whole replies; `cut` as in Said."""

    logp: np.ndarray
    cut: int


class Speaker:
    """A frozen model behind two doors; draws are greedy unless a temperature is given."""

    def __init__(
        self,
        model: models.LoadedModel,
        cfg: SpeakerConfig,
        *,
        mesh: jax.sharding.Mesh | None = None,
    ):
        if model.tokenizer is None:
            raise ValueError("the model has no tokenizer; evaluation needs a checkpoint with one.")
        allowed = model.config.max_positions - cfg.max_new_tokens
        if max(cfg.trunks) > allowed:
            raise ValueError(
                f"speaker.trunks={cfg.trunks}: a prompt may have at most {allowed} tokens, of the "
                f"model's {model.config.max_positions} less {cfg.max_new_tokens} for the reply."
            )
        self.model, self.cfg, self.mesh, self.words = model, cfg, mesh, model.tokenizer
        self.window = max(cfg.trunks)
        self.asked = 0  # prompt tokens so far, one chat at a time
        self.prefilled = 0  # prompt tokens computed for them, padding included
        self._least = math.prod(mesh.shape[name] for name in sharding.DATA) if mesh else 1
        self._engine: engine.Engine | None = None
        self._lengths: dict[str, int] = {}
        self._said: dict[bytes, Said] = {}  # greedy replies by prompt: systems ask alike
        self._split: tuple | None = None
        self._vectors: dict[str, np.ndarray] = {}  # of texts: a dialogue's come again and again

    def reply(
        self,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        step: int = 0,
    ) -> list[Said]:
        """One reply a chat, in order; draws of a temperature follow from (seed, step, place).

        Greedy replies are kept: a prompt that comes again costs nothing.
        """
        limit = self.cfg.max_new_tokens if max_new_tokens is None else max_new_tokens
        limit = min(limit, self.cfg.max_new_tokens)
        fitted = [self.fit(chat) for chat in chats]
        self.asked += sum(len(ids) for ids, _ in fitted)
        names = [_name(ids, limit) for ids, _ in fitted]
        if temperature > 0:
            said = self._sampled([ids for ids, _ in fitted], limit, temperature, seed, step)
        else:
            new = {name: i for i, name in enumerate(names) if name not in self._said}
            made = self._sampled([fitted[i][0] for i in new.values()], limit, 0.0, seed, step)
            self._said |= dict(zip(new, made, strict=True))
            said = [self._said[name] for name in names]
        return [
            dataclasses.replace(one, cut=cut) for one, (_, cut) in zip(said, fitted, strict=True)
        ]

    def _sampled(
        self, prompts: list[list[int]], limit: int, temperature: float, seed: int, step: int
    ) -> list[Said]:
        slots = buckets.fit(limit, engine.SLOTS, what="max_new_tokens")
        trees = [dataclasses.replace(tree, room=slots) for tree in prompt_trees.grown([prompts])]
        how = sampling.settings(temperature)
        base = keys.stream_key(seed, keys.Stream.EVAL, step)
        out: list[Said | None] = [None] * len(prompts)
        for chosen in self._batches(trees):
            (trunk, rest, _), (trunk_len, rest_len, _) = self._padded(chosen)
            places = np.zeros(rest_len.shape, np.int32)
            for row, tree in enumerate(chosen):
                places[row, : len(tree.places)] = tree.places
            key_n = keys.row_keys(base, places.reshape(-1))
            key_ng = engine.branch_keys(key_n, 1).reshape(places.shape)
            sampler = self._sampler()
            done = sharding.fetch(
                sampler.decode((trunk, trunk_len), key_ng, how, (limit, slots), (rest, rest_len))
            )
            self.prefilled += trunk.size + rest.size
            texts = sampler.texts(done.ids, done.lengths)
            for row, tree in enumerate(chosen):
                for k, place in enumerate(tree.places):
                    out[place] = Said(texts[row][k].strip(), bool(done.finished[row, k]), 0)
        return out

    def labels(
        self, groups: Sequence[Sequence[Chat]], labels: Sequence[str], *, opening: str = ""
    ) -> list[list[Scored]]:
        """Log-probs of each label's first token as the next of the reply `opening`, by chat.

        The chats of a group should share their beginning: it is computed once for all of them.
        """
        label = jnp.asarray(self._tokens(labels), jnp.int32)

        def score_of(packed: score.TreeIds) -> jax.Array:
            return score.labelled(*self._parts(), packed, label)[0][:, :, 0]

        start = self.words.encode(opening)
        made = [[self.fit(chat, room=len(start)) for chat in chats] for chats in groups]
        trees = [
            dataclasses.replace(
                tree,
                rest=[ids[:-1] for ids in tree.rest],
                leaves=[[ids[-1:]] for ids in tree.rest],
            )
            for tree in prompt_trees.grown([[ids + start for ids, _ in chats] for chats in made])
        ]
        return self._scored(made, trees, score_of)

    def reply_logprobs(
        self, groups: Sequence[Sequence[Chat]], texts: Sequence[Sequence[Sequence[str]]]
    ) -> list[list[Scored]]:
        """Log-prob of each of a chat's `texts` as the beginning of its reply, summed over tokens.

        The chats of a group should share their beginning, and the texts of a chat share the chat:
        one tree a group, its chats the branches, their texts the leaves.
        """
        replies = [[[self.words.encode(text) for text in of] for of in chats] for chats in texts]
        if not all(ids for chats in replies for of in chats for ids in of):
            raise ValueError("a reply to be scored is empty: give it at least one token.")
        room = max((len(ids) for chats in replies for of in chats for ids in of), default=0)
        made = [[self.fit(chat, room=room) for chat in chats] for chats in groups]
        trees = [
            dataclasses.replace(tree, leaves=[replies[tree.group][place] for place in tree.places])
            for tree in prompt_trees.grown([[ids for ids, _ in chats] for chats in made])
        ]

        def score_of(packed: score.TreeIds) -> jax.Array:
            return score.leaf_scored(*self._parts(), packed).sum(axis=-1)

        return self._scored(made, trees, score_of)

    def _scored(
        self,
        made: Sequence[Sequence[tuple[list[int], int]]],
        trees: Sequence[prompt_trees.Tree],
        score_of: Callable[[score.TreeIds], jax.Array],
    ) -> list[list[Scored]]:
        """Scored by chat, of trees with leaves; `score_of` gives a row of numbers a branch."""
        self.asked += sum(len(ids) for of in made for ids, _ in of)
        out: list[list[Scored | None]] = [[None] * len(chats) for chats in made]
        for chosen in self._batches(trees):
            ids, lengths = self._padded(chosen)
            packed = score.placed(ids, lengths, self.mesh)
            self.prefilled += sum(x.size for x in ids)
            with meshes.using(self.mesh):
                logp = sharding.fetch(score_of(packed))
            for row, tree in enumerate(chosen):
                for k, place in enumerate(tree.places):
                    out[tree.group][place] = Scored(logp[row, k], made[tree.group][place][1])
        return out

    def _padded(self, trees: Sequence[prompt_trees.Tree]) -> tuple:
        """score.padded of a batch."""
        return score.padded(
            [tree.trunk for tree in trees],
            [tree.rest for tree in trees],
            [tree.leaves for tree in trees] if trees[0].leaves else None,
            rows=self._filled(trees),
            trunks=self.cfg.trunks,
            nodes=self._nodes(),
        )

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[n, d] mean of each text's last hidden states; of a long text, its beginning's."""
        new = {text: self.words.encode(text or "\n")[:EMBEDDED] for text in texts}
        new = {text: ids for text, ids in new.items() if text not in self._vectors}
        width = {text: buckets.fit(len(ids), WIDTHS, what="text") for text, ids in new.items()}
        for bucket in sorted(set(width.values())):
            same = [text for text in new if width[text] == bucket]
            rows = self._rows(bucket)
            for start in range(0, len(same), rows):
                some = same[start : start + rows]
                packed = score.pack(
                    [new[text] for text in some],
                    [()] * len(some),
                    rows=rows,
                    trunks=WIDTHS,
                    mesh=self.mesh,
                )
                with meshes.using(self.mesh):
                    found = sharding.fetch(score.pooled(*self._parts(), packed))
                self.prefilled += rows * bucket
                self._vectors |= dict(zip(some, found, strict=False))
        self.asked += sum(map(len, new.values()))
        return np.stack([self._vectors[text] for text in texts])

    def _parts(self) -> tuple:
        if self._split is None:
            self._split = nnx.split(self.model.module)
        return self._split

    def fit(self, chat: Chat, *, room: int = 0) -> tuple[list[int], int]:
        """Prompt ids within the window less `room`, and how many messages were left out for it.

        The oldest go first, a leading system message and the last message last; what then does
        not fit is the beginning of the last message.
        """
        window = self.window - room
        fixed = 1 if chat[0].role == "system" and len(chat) > 1 else 0
        middle = list(chat[fixed:-1])
        lengths = [self._length(message.content) for message in middle]
        rest = window - sum(self._length(m.content) for m in (*chat[:fixed], chat[-1]))
        start, total = 0, sum(lengths)
        while start < len(middle) and total > rest:
            total -= lengths[start]
            start += 1
        while True:
            while start < len(middle) and start and middle[start].role == "assistant":
                start += 1
            kept = [*chat[:fixed], *middle[start:], chat[-1]]
            ids = template.encode_chat(self.words, kept, add_generation_prompt=True)
            if len(ids) <= window:
                return ids, start
            if start == len(middle):
                return self._shortened(kept, len(ids) - window, window), start + 1
            start += 1

    def _shortened(self, chat: list[schema.Message], excess: int, window: int) -> list[int]:
        last = self.words.encode(chat[-1].content)
        while excess < len(last):
            text = self.words.decode(last[excess:])
            cut = [*chat[:-1], dataclasses.replace(chat[-1], content=text)]
            ids = template.encode_chat(self.words, cut, add_generation_prompt=True)
            if len(ids) <= window:
                return ids
            excess += len(ids) - window
        raise ValueError(
            f"a window of {window} tokens has no room for the system message and a question; "
            "raise speaker.trunks."
        )

    def _length(self, text: str) -> int:
        if text not in self._lengths:
            self._lengths[text] = len(self.words.encode(text))
        return self._lengths[text]

    def _tokens(self, labels: Sequence[str]) -> list[int]:
        ids = [self.words.encode(label)[0] for label in labels]
        if len(set(ids)) < len(ids):
            raise ValueError(
                f"labels {list(labels)} must begin with different tokens, got {ids}; use a model "
                "whose tokenizer tells them apart."
            )
        return ids

    def _rows(self, bucket: int) -> int:
        rows = min(self.cfg.rows, max(1, self.cfg.tokens // bucket))
        return -(-rows // self._least) * self._least

    def _sampler(self) -> engine.Engine:
        if self._engine is None:
            self._engine = engine.Engine(self.model, mesh=self.mesh)
        return self._engine

    def _nodes(self) -> tuple[int, ...]:
        """Padded lengths of what follows a trunk, the answer's first tokens included."""
        return tuple(sorted({*score.NODES, *self.cfg.trunks}))

    def _shape(self, tree: prompt_trees.Tree) -> tuple[int, int, int, int]:
        """Branches, padded trunk, slots behind a branch, padded branch."""
        trunk = buckets.fit(len(tree.trunk), self.cfg.trunks, what="prompt")
        rest = buckets.fit(max(map(len, tree.rest)), self._nodes(), what="question")
        leaves = max(map(len, tree.leaves), default=0)
        longest = max((len(ids) for of in tree.leaves for ids in of), default=0)
        leaf = buckets.fit(longest, self._nodes(), what="answer") if leaves else 0
        return len(tree.rest), trunk, tree.room + leaves * leaf, rest

    def _slots(self, tree: prompt_trees.Tree) -> int:
        branches, trunk, behind, rest = self._shape(tree)
        return trunk + branches * (rest + behind)

    def _batches(self, trees: Sequence[prompt_trees.Tree]) -> list[list[prompt_trees.Tree]]:
        """Trees that go in together: alike in all but the branches' lengths, as many as fit."""
        out = []
        for _, found in itertools.groupby(
            sorted(trees, key=self._shape), lambda t: self._shape(t)[:-1]
        ):
            same = list(found)
            most = self._rows(self._slots(same[-1]))
            size = -(-len(same) // -(-len(same) // most))  # batches alike: none is nearly empty
            out += [same[k : k + size] for k in range(0, len(same), size)]
        return out

    def _filled(self, trees: Sequence[prompt_trees.Tree]) -> int:
        """Rows of a batch: of ROWS on each part of the mesh, at most all that a call may have."""
        each = buckets.fit(
            -(-len(trees) // self._least), (*ROWS, self.cfg.rows), what="batch of trees"
        )
        return min(each * self._least, self._rows(self._slots(trees[-1])))


def _name(ids: Sequence[int], limit: int) -> bytes:
    return hashlib.sha256(np.array([limit, *ids], np.int64).tobytes()).digest()
