"""A statement's slot in the taxonomy: by shared words, and by log-probs of labels after it.

Shared words are profile/placement.py's. Where they leave a doubt the model is asked, category first
and then the slots of the best few: a line that says what is done, the statement, and the labels
branching off behind it, one prefill each. A label's score is log p(label | statement) - log p(label
| no statement), in nats, so a label that is likely anyway gains nothing. The sum of both picks the
slot; a sum that is too small goes to `other` with a label proposed from the statement's words. All
of this is ours.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pa_jax.core.typing import Float
from pa_jax.dialogue import tokenizer
from pa_jax.english import words
from pa_jax.infer import forest, score
from pa_jax.profile import facts, placement, taxonomy

TRUNK = "Each note about a user is filed under the heading that it belongs to.\n\n"
MAX_BRANCH = 120  # tokens of a statement and what stands around it


@dataclasses.dataclass(frozen=True)
class PlaceConfig:
    """How words and model are weighed; ours, measured by evaluate/profiles/calibration.py.

    lexical     nats that full agreement of words is worth
    sure        lexical lead over the second slot from which the model is not asked
    categories  how many categories the model compares slots of
    least       sum of nats under which a statement belongs to `other`
    """

    lexical: float
    sure: float
    categories: int
    least: float


@dataclasses.dataclass(frozen=True)
class Placed:
    """A slot, or "other/LABEL"; `score` in nats, `margin` its lead over the second slot.

    nearest is the slot that scored best, also where the statement went to `other`.
    """

    slot: str
    nearest: str
    score: float
    margin: float


class Placer:
    """Places statements under one frozen model, with one prefill a stage."""

    def __init__(
        self,
        words: tokenizer.Tokenizer,
        scorer: score.Scorer,
        cfg: PlaceConfig,
        content: taxonomy.Taxonomy | None = None,
    ) -> None:
        self.words, self.scorer, self.cfg = words, scorer, cfg
        content = content or taxonomy.Taxonomy.load()
        self.slots = content.subcategories
        self.index = placement.Index(self.slots)
        ids = [category.id for category in content.categories]
        self.category = np.array([ids.index(slot.path.partition("/")[0]) for slot in self.slots])
        self._categories = Labels(self, [category.name for category in content.categories])
        self._slots = Labels(self, [slot.name for slot in self.slots])

    def place(
        self, said: Sequence[str], held: Sequence[Sequence[facts.Fact]] | None = None
    ) -> list[Placed]:
        """A slot for every statement; held[i] are the user's facts, whose own labels come first."""
        known = held or [()] * len(said)
        words, asked = self.scores(said)
        return [self._placed(*each) for each in zip(said, words + asked, known, strict=True)]

    def warm_up(self) -> None:
        """What `place` computes once: nothing where words decide alone."""
        if self.cfg.sure > 0:
            self._categories.prior()
            self._slots.prior()

    def scores(
        self, said: Sequence[str]
    ) -> tuple[Float[np.ndarray, "n s"], Float[np.ndarray, "n s"]]:
        """Nats of every slot for every statement: of its words, and of the model where asked."""
        shares = np.array([self.index.shares(text) for text in said]).reshape(-1, len(self.slots))
        lexical, asked = self.cfg.lexical * shares, np.zeros_like(shares)
        first = np.sort(shares, axis=1)[:, -2:]
        doubt = np.flatnonzero(first[:, 1] - first[:, 0] < self.cfg.sure)
        if len(doubt):
            asked[doubt] = self._asked([said[int(i)] for i in doubt], lexical[doubt])
        return lexical, asked

    def _placed(self, text: str, row: np.ndarray, held: Sequence[facts.Fact]) -> Placed:
        best, second = int(row.argmax()), float(np.partition(row, -2)[-2])
        top, slot = float(row[best]), self.slots[best].path
        away = placement.away(text, held) if top < self.cfg.least else slot
        return Placed(away, slot, top, top - second)

    def _asked(
        self, said: Sequence[str], lexical: Float[np.ndarray, "n s"]
    ) -> Float[np.ndarray, "n s"]:
        """Nats of the model: of the category and, in the best of them, of the slot; else -inf."""
        count = int(self.category.max()) + 1
        made = self._categories.ratios(said, [range(count)] * len(said))[:, self.category]
        so_far = lexical + made
        best = np.array([so_far[:, self.category == k].max(axis=1) for k in range(count)])
        ranked = np.argsort(-best, axis=0)[: self.cfg.categories].T
        inside = np.array([np.isin(self.category, row) for row in ranked])
        made += self._slots.ratios(said, [np.flatnonzero(row).tolist() for row in inside])
        return np.where(inside, made, -np.inf)

    def branch(self, text: str) -> list[int]:
        """A statement up to where its heading follows."""
        end = self.words.encode('"\nHeading:')
        said = words.quoted(text)[:-1]  # what is too long loses its end
        return self.words.encode(f"Note: {said}")[: MAX_BRANCH - len(end)] + end


class Labels:
    """Labels, each with its log-prob after an empty statement."""

    def __init__(self, placer: Placer, names: Sequence[str]) -> None:
        self._placer = placer
        self._trunk = placer.words.encode(TRUNK)
        self._labels = [placer.words.encode(f" {name}\n") for name in names]
        self._after_nothing: np.ndarray | None = None

    def ratios(
        self, said: Sequence[str], columns: Sequence[Sequence[int]]
    ) -> Float[np.ndarray, "n k"]:
        """log p(label | statement) - log p(label | none) of the labels in columns[i], else 0."""
        made, prior = np.zeros((len(said), len(self._labels))), self.prior()
        sums = self._sums([self._placer.branch(text) for text in said], columns)
        for row, of_row, of_text in zip(made, columns, sums, strict=True):
            row[of_row] = of_text - prior[of_row]
        return made

    def prior(self) -> Float[np.ndarray, " k"]:
        """Log-prob of each label after an empty statement; computed once."""
        if self._after_nothing is None:
            every = range(len(self._labels))
            [self._after_nothing] = self._sums([self._placer.branch("")], [every])
        return self._after_nothing

    def _sums(
        self, branches: Sequence[Sequence[int]], columns: Sequence[Sequence[int]]
    ) -> list[np.ndarray]:
        """Log-prob of each label in columns[i] after the trunk and branches[i]."""
        trees = [
            [forest.follows([*self._trunk, *branch], self._labels[k]) for k in row]
            for branch, row in zip(branches, columns, strict=True)
        ]
        made = self._placer.scorer.logprobs(trees)
        return [np.array([logp.sum() for logp in tree]) for tree in made]
