"""What is measured: a model, its work, and its prompts as rows, together or each alone."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from flax import nnx

from pa_jax.bench.work import Apart, BenchConfig, Work, flat
from pa_jax.core.typing import Array, Int
from pa_jax.infer import decode as decoding
from pa_jax.infer import forest, prompt_rows
from pa_jax.models import flops
from pa_jax.models.config import DecoderConfig


@dataclasses.dataclass(frozen=True)
class Subject:
    """The model under measurement and its work."""

    graph: nnx.GraphDef
    state: nnx.State
    model: DecoderConfig
    cfg: BenchConfig
    work: Work
    seed: int

    def pair(self, trees: Sequence[Sequence[forest.Path]]) -> tuple[forest.Packed, forest.Packed]:
        """The paths as a forest, and each alone."""
        return (
            forest.pack(trees, self.cfg.lengths, key="bench.lengths"),
            flat(trees, self.cfg.lengths, self.model.vocab),
        )


@dataclasses.dataclass(frozen=True)
class PromptRows:
    """All prompts as rows to be prefilled at once, with the branches of each.

    branches  completions of a prompt; flat, each prompt stands there once for each of them
    order     where each path's branch stands among all, prompt by prompt
    """

    rows: decoding.Prompts
    root: int
    branches: int
    order: Int[np.ndarray, " b"]

    def of_paths(self, values: Array | np.ndarray) -> np.ndarray:
        """What every branch has, [paths, ...] prompt by prompt."""
        return np.asarray(values).reshape(self.rows.length.size * self.branches, -1)[self.order]

    @property
    def paths(self) -> Int[np.ndarray, "x g"]:
        """Which path each branch of each place is; the first where there is no prompt."""
        paths = np.zeros(self.rows.length.size * self.branches, int)
        paths[self.order] = np.arange(len(self.order))
        return paths.reshape(-1, self.branches)

    def size(self) -> flops.Size:
        """Of the prefill: in every row the first slots hold tokens."""
        used = self.rows.own.reshape(len(self.rows.own), -1).max(axis=1) + 1
        tokens = int(np.maximum(used, self.rows.root.max(axis=1)).sum())
        pairs = flops.visible_pairs(list(self.rows.end), tokens)
        return flops.Size(tokens, pairs, int((self.rows.length > 0).sum()))


def together(subject: Subject) -> PromptRows:
    """The prompts in one row, common beginnings once."""
    g = subject.cfg.group
    rows, root, places = prompt_rows.packed(subject.work.prompts, key="bench.prompts")
    order = _where(places)[:, None] * g + np.arange(g)
    return PromptRows(rows, root, g, order.reshape(-1))


def apart(subject: Subject) -> PromptRows:
    """Each prompt once for each of its completions, as many rows; nothing shared."""
    n, g = subject.cfg.prompts, subject.cfg.group
    unlike = Apart(subject.model.vocab)
    copies = [unlike.ids(prompt) for _ in range(g) for prompt in subject.work.prompts]
    rows, root, places = prompt_rows.packed(copies, shards=g, key="bench.prompts")
    rows = dataclasses.replace(rows, ids=rows.ids % subject.model.vocab)
    return PromptRows(rows, root, 1, _where(places).reshape(g, n).T.reshape(-1))


def _where(places: Int[np.ndarray, " x"]) -> Int[np.ndarray, " n"]:
    """The place of each prompt; -1 among the places says that there is none."""
    return np.argsort(places)[(places < 0).sum() :]
