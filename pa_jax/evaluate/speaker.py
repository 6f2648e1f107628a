"""A model that answers chats in batches: by text, or by the log-probs of the answers allowed.

Prompts that share a beginning (one dialogue asked in several ways) are branches of one tree: what
they share is computed once.
"""

import dataclasses
import hashlib
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
from pa_jax.evaluate import call_sizes, prompt_trees
from pa_jax.infer import buckets, engine, openings, sampling, score

Chat = Sequence[schema.Message]
EMBEDDED = 512  # tokens of a text that its vector is made of
WIDTHS = (32, 64, 128, 256, EMBEDDED)
PREFILL = 4096  # tokens of prompts a call: more at a time are no faster


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
        least = math.prod(mesh.shape[name] for name in sharding.DATA) if mesh else 1
        self.sizes = call_sizes.Sizes(cfg.rows, cfg.tokens, cfg.trunks, least)
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
            new = dict(enumerate(range(len(chats))))
        else:
            new = {name: i for i, name in enumerate(names) if name not in self._said}
        families = prompt_trees.families(
            [fitted[i][0] for i in new.values()],
            [_dialogue(chats[i]) for i in new.values()],
            max(self.sizes.nodes()),
        )
        said = self._sampled(families, (limit, temperature), (seed, step))
        if temperature == 0:
            self._said |= dict(zip(new, said, strict=True))
            said = [self._said[name] for name in names]
        return [
            dataclasses.replace(one, cut=cut) for one, (_, cut) in zip(said, fitted, strict=True)
        ]

    def _sampled(
        self,
        families: Sequence[prompt_trees.Family],
        how: tuple[int, float],
        draw: tuple[int, int],
    ) -> list[Said]:
        """By place; `how` is the limit of tokens and the temperature, `draw` seed and step."""
        slots = buckets.fit(how[0], engine.SLOTS, what="max_new_tokens")
        base = keys.stream_key(draw[0], keys.Stream.EVAL, draw[1])
        out: dict[int, Said] = {}
        for some in self._in_memory(families, slots):
            cached = self._cached(some)
            for rows in call_sizes.alike(some, self.sizes):
                out |= self._decoded(cached, rows, base, (*how, slots))
        return [out[place] for place in range(len(out))]

    def _decoded(
        self,
        cached: openings.Cache,
        rows: Sequence[tuple[int, prompt_trees.Level]],
        base: jax.Array,
        how: tuple[int, float, int],
    ) -> dict[int, Said]:
        """Replies by place behind (row of the cache, level); `how` as in _sampled, and slots."""
        run, levels = self._sampler(), [level for _, level in rows]
        limit, temperature, slots = how
        count, branches = self.sizes.row_count(len(rows)), len(levels[0].places)
        row, length = np.zeros(count, np.int32), np.zeros(count, np.int32)
        places = np.zeros((count, branches), np.int32)
        row[: len(rows)] = [row for row, _ in rows]
        length[: len(rows)] = [level.length for level in levels]
        places[: len(rows)] = [level.places for level in levels]
        opened = openings.packed(
            [level.rest for level in levels], count=count, widths=self.sizes.nodes()
        )
        key_ng = engine.branch_keys(keys.row_keys(base, places.reshape(-1)), 1)
        draws = key_ng.reshape(places.shape), sampling.settings(temperature), (limit, slots)
        width = min(self.sizes.trunk(int(length.max())), cached[0].shape[-1])
        done = openings.complete(run, cached, (row, length), opened, draws, width=width)
        done = sharding.fetch(done)
        self.prefilled += opened.ids.size
        texts = run.texts(done.ids, done.lengths)
        return {
            place: Said(texts[at][k].strip(), bool(done.finished[at, k]), 0)
            for at, level in enumerate(levels)
            for k, place in enumerate(level.places)
        }

    def _in_memory(
        self, families: Sequence[prompt_trees.Family], slots: int
    ) -> list[list[prompt_trees.Family]]:
        """Families that are cached together: trunks of one padded length, as many as fit."""

        def size(family: prompt_trees.Family) -> int:
            behind = max(
                sum(map(len, level.rest)) + slots * len(level.rest) for level in family.levels
            )
            return self.sizes.trunk(len(family.trunk)) + behind

        return call_sizes.even(
            families,
            lambda family: self.sizes.trunk(len(family.trunk)),
            lambda family: self.sizes.rows(size(family)),
        )

    def _cached(self, families: Sequence[prompt_trees.Family]) -> openings.Cache:
        """Keys and values of the trunks, computed a few at a time."""
        width = self.sizes.trunk(max(len(family.trunk) for family in families))
        each = -(-max(1, PREFILL // width) // self.sizes.least) * self.sizes.least
        each = min(each, self.sizes.row_count(len(families)))
        parts = []
        for start in range(0, len(families), each):
            some = [family.trunk for family in families[start : start + each]]
            some += [[]] * (each - len(some))
            parts.append(openings.cache(self._sampler(), buckets.pad_rows(some, width)))
            self.prefilled += each * width
        if len(parts) == 1:
            return parts[0]
        return tuple(jnp.concatenate(part, axis=1) for part in zip(*parts, strict=True))

    def labels(
        self, groups: Sequence[Sequence[Chat]], labels: Sequence[str], *, opening: str = ""
    ) -> list[list[Scored]]:
        """Log-probs of each label's first token as the next of the reply `opening`, by chat.

        The chats of a group should share their beginning: it is computed once for all of them, and
        what groups share once for all groups.
        """
        label = jnp.asarray(self._tokens(labels), jnp.int32)

        def score_of(packed: score.TreeIds) -> jax.Array:
            return score.labelled(*self._parts(), packed, label)[0]

        start = self.words.encode(opening)
        made = [[self.fit(chat, room=len(start)) for chat in chats] for chats in groups]
        trees = prompt_trees.of_questions([[ids + start for ids, _ in of] for of in made])
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
        trees = prompt_trees.with_replies([[ids for ids, _ in of] for of in made], replies)

        def score_of(packed: score.TreeIds) -> jax.Array:
            return score.leaf_scored(*self._parts(), packed).sum(axis=-1)[:, :, None]

        return self._scored(made, trees, score_of)

    def _scored(
        self,
        made: Sequence[Sequence[tuple[list[int], int]]],
        trees: Sequence[prompt_trees.Tree],
        score_of: Callable[[score.TreeIds], jax.Array],
    ) -> list[list[Scored]]:
        """Scored by chat; `score_of` gives a row of numbers for each name of each branch."""
        self.asked += sum(len(ids) for of in made for ids, _ in of)
        out: list[list[Scored | None]] = [[None] * len(chats) for chats in made]
        for chosen in self._batches(trees):
            ids, lengths = self._padded(chosen)
            packed = score.placed(ids, lengths, self.mesh)
            self.prefilled += sum(x.size for x in ids)
            with meshes.using(self.mesh):
                logp = sharding.fetch(score_of(packed))
            for row, tree in enumerate(chosen):
                for g, names in enumerate(tree.names):
                    for j, (group, place) in enumerate(names):
                        out[group][place] = Scored(logp[row, g, j], made[group][place][1])
        return out

    def _padded(self, trees: Sequence[prompt_trees.Tree]) -> tuple:
        """score.padded of a batch."""
        return score.padded(
            [tree.trunk for tree in trees],
            [tree.branches for tree in trees],
            [tree.leaves for tree in trees],
            rows=self._filled(trees),
            trunks=self.cfg.trunks,
            nodes=self.sizes.nodes(),
        )

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[n, d] mean of each text's last hidden states; of a long text, its beginning's."""
        new = {text: self.words.encode(text or "\n")[:EMBEDDED] for text in texts}
        new = {text: ids for text, ids in new.items() if text not in self._vectors}
        width = {text: buckets.fit(len(ids), WIDTHS, what="text") for text, ids in new.items()}
        for bucket in sorted(set(width.values())):
            same = [text for text in new if width[text] == bucket]
            rows = self.sizes.rows(bucket)
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

    def _sampler(self) -> engine.Engine:
        if self._engine is None:
            self._engine = engine.Engine(self.model, mesh=self.mesh)
        return self._engine

    def _shape(self, tree: prompt_trees.Tree) -> tuple[int, ...]:
        """Padded trunk, branches, their leaves, padded leaf, padded branch."""
        branch = buckets.fit(max(map(len, tree.branches)), self.sizes.nodes(), what="question")
        longest = max(len(ids) for of in tree.leaves for ids in of)
        leaf = buckets.fit(longest, self.sizes.nodes(), what="answer")
        leaves = max(map(len, tree.leaves))
        return self.sizes.trunk(len(tree.trunk)), len(tree.branches), leaves, leaf, branch

    def _slots(self, tree: prompt_trees.Tree) -> int:
        trunk, branches, leaves, leaf, branch = self._shape(tree)
        return trunk + branches * (branch + leaves * leaf)

    def _batches(self, trees: Sequence[prompt_trees.Tree]) -> list[list[prompt_trees.Tree]]:
        """Trees that go in together: alike in all but the branches' lengths, as many as fit."""
        return call_sizes.even(
            sorted(trees, key=self._shape),
            lambda tree: self._shape(tree)[:-1],
            lambda tree: self.sizes.rows(self._slots(tree)),
        )

    def _filled(self, trees: Sequence[prompt_trees.Tree]) -> int:
        """Rows of a batch of trees, at most all that a call may have."""
        return min(self.sizes.row_count(len(trees)), self.sizes.rows(self._slots(trees[-1])))


def _dialogue(chat: Chat) -> str:
    """What chats of one dialogue begin with, behind the instruction."""
    return next((message.content for message in chat if message.role != "system"), "")


def _name(ids: Sequence[int], limit: int) -> bytes:
    return hashlib.sha256(np.array([limit, *ids], np.int64).tobytes()).digest()
