"""The same tokens twice: a forest of groups, and every path alone, in rows of one table."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from pa_jax.core import keys
from pa_jax.infer import forest

LONGEST = 4  # times the mean: no length is drawn beyond


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """prompts, group    groups, and completions of each
    leaves            the judge's questions about a completion
    lengths           of packed rows, of a forward pass; one row a call
    update_lengths    and of the update
    reps              timed runs of each side of a phase; the median counts
    """

    prompts: int
    group: int
    leaves: int
    lengths: tuple[int, ...]
    update_lengths: tuple[int, ...]
    reps: int

    def __post_init__(self) -> None:
        _positive("bench", self)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """root            tokens that all prompts begin with
    prompt          tokens of a prompt, the root among them
    completion, leaf  tokens of a completion and of a question about it
    spread          of the logarithm of their lengths; 0: all alike
    """

    root: int
    prompt: int
    completion: int
    leaf: int
    spread: float

    def __post_init__(self) -> None:
        _positive("sizes", self, zero=("root", "spread"))
        if self.root >= self.prompt:
            raise ValueError(f"sizes.root={self.root}: must be under sizes.prompt={self.prompt}.")


def _positive(section: str, cfg: BenchConfig | Sizes, zero: tuple[str, ...] = ()) -> None:
    for field in dataclasses.fields(cfg):
        value, least = getattr(cfg, field.name), 0 if field.name in zero else 1
        if min(value, default=0) < 1 if isinstance(value, tuple) else value < least:
            raise ValueError(f"{section}.{field.name}={value}: must be at least {least}.")


@dataclasses.dataclass(frozen=True)
class Work:
    """Token ids: prompts, each one's completions, and the questions about each of those."""

    prompts: list[list[int]]
    completions: list[list[list[int]]]
    leaves: list[list[list[list[int]]]]
    vocab: int

    @property
    def paths(self) -> int:
        return sum(map(len, self.completions))

    @property
    def longest(self) -> int:
        """Tokens of the longest completion."""
        return max(len(ids) for row in self.completions for ids in row)

    def read(self) -> list[list[forest.Path]]:
        """A prompt's last state, once for each of its completions."""
        return [
            [forest.state_of(prompt)] * len(row)
            for prompt, row in zip(self.prompts, self.completions, strict=True)
        ]

    def scored(self) -> list[list[forest.Path]]:
        """Every completion behind its prompt."""
        return [
            [forest.follows(prompt, ids) for ids in row]
            for prompt, row in zip(self.prompts, self.completions, strict=True)
        ]

    def judged(self) -> list[list[forest.Path]]:
        """The state behind every question about every completion."""
        return [
            [
                forest.state_of([*prompt, *ids, *leaf])
                for ids, of_one in zip(row, leaves, strict=True)
                for leaf in of_one
            ]
            for prompt, row, leaves in zip(self.prompts, self.completions, self.leaves, strict=True)
        ]


def make(cfg: BenchConfig, sizes: Sizes, vocab: int, seed: int) -> Work:
    """Ids and lengths drawn from the BENCH stream; a question's length is its place's."""
    key = keys.stream_key(seed, keys.Stream.BENCH, 0)
    draw = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())

    def lengths(mean: int, *shape: int) -> np.ndarray:
        """Lognormal, of the given mean before they are rounded."""
        z = sizes.spread * draw.standard_normal(shape) - sizes.spread**2 / 2
        return np.clip(np.rint(mean * np.exp(z)).astype(int), 1, LONGEST * mean)

    def ids(count: int) -> list[int]:
        return draw.integers(0, vocab, count).tolist()

    n, g, j = cfg.prompts, cfg.group, cfg.leaves
    root = ids(sizes.root)
    own = lengths(sizes.prompt - sizes.root, n).tolist()
    of_completions = lengths(sizes.completion, n, g).tolist()
    of_leaves = lengths(sizes.leaf, j).tolist()
    return Work(
        [[*root, *ids(count)] for count in own],
        [[ids(count) for count in row] for row in of_completions],
        [[[ids(count) for count in of_leaves] for _ in range(g)] for _ in range(n)],
        vocab,
    )


class Apart:
    """Ids that let no two sequences share a beginning, until they are taken `back`."""

    def __init__(self, vocab: int) -> None:
        self.vocab, self.count = vocab, 0

    def ids(self, ids: Sequence[int]) -> list[int]:
        """Another sequence's ids, each moved by a number that no other sequence has."""
        self.count += 1
        return [token + self.count * self.vocab for token in ids]

    def back(self, rows: forest.Forest) -> forest.Forest:
        """Rows that were packed of such ids with those that were given."""
        return dataclasses.replace(rows, ids=rows.ids % self.vocab, token=rows.token % self.vocab)


def flat(
    trees: Sequence[Sequence[forest.Path]], lengths: Sequence[int], vocab: int
) -> forest.Packed:
    """Every path as a tree of its own, several a row where they fit, nothing shared."""
    apart = Apart(vocab)
    alone = [
        [dataclasses.replace(path, ids=tuple(apart.ids(path.ids)))]
        for tree in trees
        for path in tree
    ]
    packed = forest.pack(alone, lengths, key="bench.lengths")
    return dataclasses.replace(packed, rows=[apart.back(row) for row in packed.rows])
