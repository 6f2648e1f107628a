"""Single-turn inference: the snippet of one turn against gold, the paper's first experiment.

The systems of other benchmarks do not come in: what is compared are models (untrained, supervised,
GRPO), and the inferencer with an empty profile against itself with persistence.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pa_jax.dialogue import faults, prompts, schema
from pa_jax.english import words
from pa_jax.evaluate.benchmarks import protocol
from pa_jax.evaluate.systems import baselines
from pa_jax.judge import reference, rubric

KEYS = {"single_turn": ("single_turn", "data")}  # no system takes part
ALONE, PERSISTENT = VIEWS = ("inferencer", "persistent")


@dataclasses.dataclass(frozen=True)
class SingleTurnConfig:
    """Which episodes and how they are shown.

    split, episodes  how many of which split, evenly spread
    views            of VIEWS, a row each: with an empty profile, with the gold one
    chunk            episodes computed together
    """

    split: str
    episodes: int
    views: tuple[str, ...]
    chunk: int

    def __post_init__(self) -> None:
        if not self.views or not set(self.views) <= set(VIEWS):
            raise ValueError(f"single_turn.views={self.views}: choose among {VIEWS}.")


class SingleTurn:
    """Measures are the reference judge's four criteria, their mean, the token-F1, and whether a
    line is a copy or has the wrong stance (dialogue/faults.py).
    """

    name = "single_turn"

    def __init__(
        self, cfg: SingleTurnConfig, episodes: Sequence[schema.Episode], source: str
    ) -> None:
        self.cfg, self.source = cfg, source
        self.episodes = list(episodes)
        if any(episode.gold is None for episode in self.episodes):
            raise ValueError("single_turn: an episode has no gold snippet; give labelled ones.")

    def chunks(self) -> list[protocol.Chunk]:
        return protocol.cut(self.episodes, [[e.id] for e in self.episodes], self.cfg.chunk)

    def run(
        self,
        chunk: protocol.Chunk,
        chosen: Mapping[str, baselines.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> Iterator[list[protocol.Row]]:
        """A row an episode and view; a snippet that was not finished is scored as it stands."""
        for view in chosen:
            yield self._rows(view, chunk, tools)

    def _rows(self, view: str, chunk: protocol.Chunk, tools: protocol.Tools) -> list[protocol.Row]:
        empty = view == ALONE
        asked = [dataclasses.replace(e, profile=()) if empty else e for e in chunk.items]
        chats = [prompts.infer(episode, tools.cfg.prompt) for episode in asked]
        said = tools.model.writer.reply(chats)
        rows = []
        for episode, one in zip(asked, said, strict=True):
            scores = reference.agreement(episode, one.text)
            measures = {"token_f1": words.token_f1(one.text, episode.gold)}
            measures["criteria_mean"] = float(np.mean(scores))
            measures |= dict(zip(rubric.CRITERIA, map(float, scores), strict=True))
            measures["finished"] = float(one.finished)
            measures["copies"] = float(bool(faults.copies(episode, one.text)))
            measures["wrong_stances"] = float(bool(faults.wrong_stances(episode, one.text)))
            rows.append(
                {
                    "benchmark": self.name,
                    "system": view,
                    "id": episode.id,
                    "part": self.source,
                    "kind": episode.kind,
                    "cluster": episode.user_id,
                    "failed": False,
                    "measures": measures,
                    "user": episode.user,
                    "gold": episode.gold,
                    "text": one.text,
                    "cut": one.cut,
                }
            )
        return rows
