"""Single-turn inference: the snippet of one turn against gold, the paper's first experiment.

The systems of other benchmarks do not come in: what is compared are models (untrained, supervised,
GRPO). Without persistence the inferencer sees an empty profile.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pa_jax.dialogue import prompts, schema
from pa_jax.evaluate import systems
from pa_jax.evaluate.benchmarks import protocol
from pa_jax.judge import reference, rubric

SYSTEM = "inferencer"


@dataclasses.dataclass(frozen=True)
class SingleTurnConfig:
    """split and how many episodes of it; whether the gold profile is shown; episodes a chunk."""

    split: str
    episodes: int
    persist: bool
    chunk: int


class SingleTurn:
    """Measures are the reference judge's four criteria, their mean and the token-F1."""

    name = "single_turn"

    def __init__(self, cfg: SingleTurnConfig, episodes: Sequence[schema.Episode], source: str):
        self.cfg, self.source = cfg, source
        self.episodes = list(episodes)
        if any(episode.gold is None for episode in self.episodes):
            raise ValueError("single_turn: an episode has no gold snippet; give labelled ones.")

    def chunks(self) -> list[protocol.Chunk]:
        return protocol.cut(self.episodes, [[e.id] for e in self.episodes], self.cfg.chunk)

    def run(
        self,
        chunk: protocol.Chunk,
        chosen: Mapping[str, systems.System],
        tools: protocol.Tools,
        known: Mapping[tuple[str, str], protocol.Row],
    ) -> Iterator[list[protocol.Row]]:
        """A row an episode; a snippet that was not finished is scored as it stands."""
        asked = [e if self.cfg.persist else dataclasses.replace(e, profile=()) for e in chunk.items]
        chats = [prompts.infer(episode, tools.cfg.prompt) for episode in asked]
        said = tools.model.reply(chats)
        rows = []
        for episode, one in zip(asked, said, strict=True):
            scores = reference.agreement(episode, one.text)
            measures = {"token_f1": reference.token_f1(one.text, episode.gold)}
            measures["criteria_mean"] = float(np.mean(scores))
            measures |= dict(zip(rubric.CRITERIA, map(float, scores), strict=True))
            measures["finished"] = float(one.finished)
            rows.append(
                {
                    "benchmark": self.name,
                    "system": SYSTEM,
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
        yield rows
