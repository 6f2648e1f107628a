"""Which slots of the taxonomy a good answer to a request depends on, with what probability."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from pa_jax.agent import overlap
from pa_jax.profile import facts, taxonomy


@dataclasses.dataclass(frozen=True)
class NeedsConfig:
    words_chars: int
    lexical: float
    bias: float
    echo: float
    relevant: float
    keep: int


class Needs:
    def __init__(self, model, cfg: NeedsConfig, *, mesh: jax.sharding.Mesh | None) -> None:
        self.cfg = cfg
        self.overlap = overlap.Overlap(taxonomy.Taxonomy.load(), None)

    def of(
        self, texts: Sequence[str], profiles: Sequence[tuple[facts.Fact, ...]]
    ) -> list[tuple[tuple[str, float], ...]]:
        out = []
        for text in texts:
            x = self.overlap.score(text[: self.cfg.words_chars])
            p = 1 / (1 + np.exp(-(self.cfg.bias + self.cfg.lexical * x)))
            o = np.argsort(-p, kind="stable")[: self.cfg.keep]
            out.append(
                tuple((self.overlap.slots[i], float(p[i])) for i in o if p[i] >= self.cfg.relevant)
            )
        return out
