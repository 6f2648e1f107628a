"""Which slots of the taxonomy a good answer to a request depends on, with what probability.

A logistic model of two scores of each slot, the words shared with the request (lexical.py) and the
model's own associations (topical.py), each also as the mean of the slot's category, for what one
slot of a category matters to, others do too. The weights are fitted on data/requests.py's dev half
(evaluate/asking/fit.py).

What the profile says about the slots that matter moves the others (`echo`): an answer's words lift
the slots that they fall on by more than the other possible answers' words would.
"""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from pa_jax import models
from pa_jax.agent.asking import lexical, topical
from pa_jax.core.typing import Float
from pa_jax.infer import score
from pa_jax.profile import facts, taxonomy

PEERS = 3  # best slots of a category that speak for it
SCORES = ("lexical", "lexical_peers", "topical", "topical_peers")
Scores = Float[np.ndarray, "s 4"]  # of one text: the SCORES of every slot

REACH = 1.0  # log-odds below `relevant` from which an answer can lift a slot


@dataclasses.dataclass(frozen=True)
class NeedsConfig:
    """How needs are found; the weights go with one model.

    words_chars  of a turn that are read, the last ones
    lexical      weight of the words shared with a slot, and of the same among its peers
    topical      weight of the model's association; with both 0 no model runs
    bias         log-odds where all scores are 0
    echo         log-odds that answers' words add to a slot, for each unit of their mean overlap
    relevant     probability from which a slot counts as needed
    keep         needs at most, the likeliest
    """

    words_chars: int
    lexical: float
    lexical_peers: float
    topical: float
    topical_peers: float
    bias: float
    echo: float
    relevant: float
    keep: int


class Needs:
    """Finds the needs of requests, a batch at a time."""

    def __init__(
        self,
        model: models.LoadedModel,
        cfg: NeedsConfig,
        *,
        mesh: jax.sharding.Mesh | None,
        lengths: Sequence[int],
    ) -> None:
        """Requests go through the model in rows of `lengths`."""
        content = taxonomy.Taxonomy.load()
        self.cfg = cfg
        self.lexicon = lexical.Overlap(content)
        self._index = {path: i for i, path in enumerate(self.lexicon.slots)}
        sizes = [len(category.subcategories) for category in content.categories]
        self._ends = np.cumsum(sizes)[:-1]
        self._usual: dict[str, Float[np.ndarray, " s"]] = {}
        self._topics = None
        if cfg.topical or cfg.topical_peers:
            scorer = score.Scorer(model.module, mesh=mesh, lengths=lengths)
            self._topics = topical.Topics(model.tokenizer, scorer, self.lexicon)

    def warm_up(self) -> None:
        """Compiles every program that `of` needs."""
        if self._topics is not None:
            self._topics.warm_up()

    def of(
        self, scores: Sequence[Scores], profiles: Sequence[Sequence[facts.Fact]]
    ) -> list[tuple[tuple[str, float], ...]]:
        """Of each request, by its scores and what is known, the needed slots, likeliest first."""
        cfg = self.cfg
        weights = np.array([getattr(cfg, name) for name in SCORES])
        logits = [score @ weights + cfg.bias for score in scores]
        return [self._needed(row, held) for row, held in zip(logits, profiles, strict=True)]

    def scores(self, texts: Sequence[str]) -> Float[np.ndarray, "n s 4"]:
        """The SCORES of every slot, by one pass of the model; nothing of the texts is kept."""
        texts = [text[-2 * self.cfg.words_chars :] for text in texts]  # an open request, a turn
        lexical = np.array([self.lexicon.score(text) for text in texts])
        lexical = lexical.reshape(len(texts), len(self._index))
        topical = np.zeros_like(lexical)
        if self._topics is not None:
            topical = self._topics.score(texts)
        columns = [lexical, self._peers(lexical), topical, self._peers(topical)]
        return np.stack(columns, axis=-1).astype(np.float64)

    def _peers(self, score: Float[np.ndarray, "n s"]) -> Float[np.ndarray, "n s"]:
        groups = np.split(score, self._ends, axis=1)
        best = [np.sort(group, axis=1)[:, -PEERS:].mean(axis=1, keepdims=True) for group in groups]
        return np.concatenate(
            [np.broadcast_to(b, g.shape) for b, g in zip(best, groups, strict=True)], axis=1
        )

    def _needed(
        self, logit_s: Float[np.ndarray, " s"], held: Sequence[facts.Fact]
    ) -> tuple[tuple[str, float], ...]:
        cfg = self.cfg
        least = np.log(cfg.relevant / (1 - cfg.relevant))
        near = logit_s >= least - REACH
        lifts = []
        for fact in held:
            at = self._index.get(fact.slot)
            if at is not None and near[at]:
                others = near & (np.arange(len(near)) != at)
                lifts.append(self._lift(fact) * others)
        if lifts:
            logit_s = logit_s + cfg.echo * np.mean(lifts, axis=0)
        order = np.argsort(-logit_s, kind="stable")[: cfg.keep]
        return tuple(
            (self.lexicon.slots[i], float(1 / (1 + np.exp(-logit_s[i]))))
            for i in order
            if logit_s[i] >= least
        )

    def _lift(self, fact: facts.Fact) -> Float[np.ndarray, " s"]:
        """How much more an answer falls on each slot than its slot's usual answers do."""
        if fact.slot not in self._usual:
            slot = taxonomy.Taxonomy.load().get(fact.slot)
            usual = [self.lexicon.score(f"{value} {slot.when}") for value in slot.values]
            self._usual[fact.slot] = np.mean(usual, axis=0)
        return self.lexicon.score(fact.statement) - self._usual[fact.slot]
