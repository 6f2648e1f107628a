"""What a step has to do: models, settings, and made-up sequences of given lengths, packed."""

import dataclasses
import functools
import itertools

import numpy as np

from pa_jax.infer import decode, forest, prompt_rows, sampler
from pa_jax.judge import rubric
from pa_jax.models import flops, lora
from pa_jax.models.config import DecoderConfig
from pa_jax.rl import loss
from pa_jax.train import optimizer


@dataclasses.dataclass(frozen=True)
class Tokens:
    """root        what all prompts begin with
    prompt      of a prompt, the root among them
    completion  of a completion
    judge       of what the judge reads before one
    question    of a question behind one; likelihood: of a gold snippet
    """

    root: int
    prompt: int
    completion: int
    judge: int
    question: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, least = getattr(self, field.name), 0 if field.name == "root" else 1
            if value < least:
                raise ValueError(f"tokens.{field.name}={value}: must be at least {least}.")
        if self.root >= self.prompt:
            raise ValueError(f"tokens.root={self.root}: must be under tokens.prompt={self.prompt}.")


@dataclasses.dataclass(frozen=True)
class StepWork:
    """A step's models and sequences; `judge` None: the reference judges.

    lengths               of packed rows; a chip of the data axes takes one a call
    adapters              of LoRA; None: all weights train
    stored                dtype of the policy's parameters; compute: of the passes
    int8, judge_int8      the adapters' base and the judge hold int8 weights
    """

    policy: DecoderConfig
    adapters: lora.LoraConfig | None
    stored: str
    int8: bool
    judge: DecoderConfig | None
    judge_int8: bool
    judge_kind: str
    prompts: int
    group: int
    tokens: Tokens
    lengths: tuple[int, ...]
    compute: str
    remat: str
    loss: loss.LossConfig
    optim: optimizer.OptimConfig

    @property
    def completion_slots(self) -> int:
        """Slots of a completion's cache."""
        return forest.fit(self.tokens.completion, sampler.WIDTHS, what="tokens.completion")

    # All prompts are alike, so all shards of the data axes get the same: one shard's is packed.
    def prompts_of(self, shards: int) -> tuple[decode.Prompts, int]:
        """A shard's prompts of the rollout in rows, and the slots of their common root."""
        return _prompts(self._share(shards), self.tokens, self.lengths)

    def scored(self, shards: int) -> forest.Packed:
        """A shard's groups of reference and update, in rows of one length."""
        return _scored(self._share(shards), self.group, self.tokens, self.lengths)

    def judged(self, shards: int) -> forest.Packed:
        """What the judge reads of a shard, in rows of one length."""
        make = _likelihood if self.judge_kind == "likelihood" else _verbal
        return make(self._share(shards), self.group, self.tokens, self.lengths)

    def _share(self, shards: int) -> int:
        share, over = divmod(self.prompts, shards)
        if over:
            raise ValueError(f"prompts={self.prompts} must divide by {shards} shards of rows.")
        return share


class _Fresh:
    """Token ids of which no two are alike."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def __call__(self, count: int) -> tuple[int, ...]:
        return tuple(itertools.islice(self._next, count))


def prefilled(prompts: decode.Prompts) -> flops.Size:
    """What the prefill of packed prompts costs."""
    used = prompts.own.reshape(len(prompts.own), -1).max(axis=1) + 1
    tokens = int(np.maximum(used, prompts.root.max(axis=1)).sum())
    pairs = flops.visible_pairs(list(prompts.end), tokens)
    return flops.Size(tokens, pairs, int((prompts.length > 0).sum()))


def _made(fresh: _Fresh, count: int, tokens: Tokens) -> list[tuple[int, ...]]:
    root = fresh(tokens.root)
    return [(*root, *fresh(tokens.prompt - tokens.root)) for _ in range(count)]


@functools.cache
def _prompts(count: int, tokens: Tokens, lengths: tuple[int, ...]) -> tuple[decode.Prompts, int]:
    made = _made(_Fresh(), count, tokens)
    return prompt_rows.packed(made, lengths=lengths)[:2]


@functools.cache
def _scored(count: int, group: int, tokens: Tokens, lengths: tuple[int, ...]) -> forest.Packed:
    fresh = _Fresh()
    trees = [
        [forest.follows(prompt, fresh(tokens.completion)) for _ in range(group)]
        for prompt in _made(fresh, count, tokens)
    ]
    return forest.pack(trees, lengths, even=True)


@functools.cache
def _verbal(count: int, group: int, tokens: Tokens, lengths: tuple[int, ...]) -> forest.Packed:
    """judge/verbal.py: states behind the questions about each completion."""
    fresh, trees = _Fresh(), []
    for _ in range(count):
        before = fresh(tokens.judge)
        completions = [fresh(tokens.completion) for _ in range(group)]
        trees.append(
            [
                forest.state_of([*before, *completion, *fresh(tokens.question)])
                for completion in completions
                for _ in rubric.CRITERIA
            ]
        )
    return forest.pack(trees, lengths, even=True)


@functools.cache
def _likelihood(count: int, group: int, tokens: Tokens, lengths: tuple[int, ...]) -> forest.Packed:
    """judge/likelihood.py: snippets and gold alone, behind each other, the turn and the profile."""
    fresh, trees = _Fresh(), []
    for _ in range(count):
        start, turn, profile = fresh(1), fresh(tokens.judge), fresh(tokens.judge)
        snippets, opposite = (
            [fresh(tokens.completion) for _ in range(group + 1)] for _ in range(2)
        )
        gold, turned = fresh(tokens.question), fresh(tokens.question)
        trees.append(
            [forest.follows(start, s) for s in snippets]
            + [forest.follows([*start, *s], gold) for s in snippets]
        )
        trees.append([forest.follows(turn, s) for s in snippets])
        trees.append(
            [
                forest.follows([*profile, *stance], s)
                for stance in (gold, turned)
                for s in (*snippets, *opposite)
            ]
        )
    return forest.pack(trees, lengths, even=True)
