"""Dialogues walked turn by turn: the profile of a turn is what the policy wrote at those before it.

A batch is the next turn of `rows` dialogues, one a lane; whoever trains on it hands back what was
written (`heard`), and the next batch is the turns after it. A lane at its dialogue's end takes the
next dialogue of the shuffled, endless order. So a state is where each lane stands and what was
written there, and a restored run sees the same states, draws and updates.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import grain

from pa_jax.data import pipeline
from pa_jax.data.episodes import Steps
from pa_jax.dialogue import schema, snippet


@runtime_checkable
class HeldProfile(Protocol):
    """A user's profile between two turns; `after` makes a new one and leaves this as it is."""

    def statements(self) -> tuple[str, ...]: ...

    def after(
        self, dialogue: schema.Dialogue, turn: int, text: str, finished: bool
    ) -> "HeldProfile":
        """What holds once `text` was written about a turn; not finished where it was cut."""
        ...


@dataclasses.dataclass(frozen=True)
class Written:
    """The completion that a chain goes on with."""

    text: str
    finished: bool


@dataclasses.dataclass(frozen=True)
class ChainConfig:
    """plan        rows, prompt_tokens and seed as in any pipeline
    share       of the dialogues that go by the policy's own snippets, the others by gold
    keep_empty  whether turns that show no preference are walked; left out, they teach nothing
    """

    plan: pipeline.PipelineConfig
    share: float
    keep_empty: bool

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(
                f"data.state_share={self.share}: must be above 0 and at most 1; for none of the "
                "dialogues set data.state_source='gold'."
            )


@dataclasses.dataclass
class _Lane:
    """One dialogue on its way: `turn` is the next to look at, `written` by turn what was heard."""

    position: int  # in the endless order: epoch * dialogues + place in the epoch's order
    dialogue: schema.Dialogue
    episodes: Sequence[schema.Episode]
    memory: HeldProfile | None  # None: gold
    turn: int = 0
    written: list[tuple[int, Written]] = dataclasses.field(default_factory=list)

    def hear(self, turn: int, one: Written) -> None:
        if self.memory is not None:
            self.written.append((turn, one))
            self.memory = self.memory.after(self.dialogue, turn, one.text, one.finished)


class Chains(Iterator[pipeline.Batch]):
    """Endless batches of chained turns; `get_state` is JSON-able, `set_state` goes on exactly.

    Every process walks all lanes: text is small, and what is heard is the same everywhere.
    """

    def __init__(
        self,
        dialogues: Sequence[Sequence[schema.Dialogue]],
        encode: Callable[[schema.Episode], list[int]],
        memory: HeldProfile,
        cfg: ChainConfig,
    ) -> None:
        """`dialogues` are parts that follow each other; `memory` is that of a stranger."""
        self._places = [(p, n) for p, part in enumerate(dialogues) for n in range(len(part))]
        if not self._places:
            raise ValueError("There are no dialogues; at least one is needed. Check data.path.")
        self._parts, self._encode, self._memory, self._cfg = dialogues, encode, memory, cfg
        order = grain.MapDataset.source(range(len(self._places)))
        self._order = order.shuffle(seed=pipeline.order_seed(cfg.plan.seed)).repeat()
        self._begun = 0  # positions of the order that lanes took
        self._skipped = pipeline.Skipped(cfg.plan.prompt_tokens)
        self._pending: list[int] = []  # turns of the last batch, by lane, until they are heard
        self._lanes = [self._open() for _ in range(cfg.plan.rows)]

    @property
    def skipped(self) -> int:
        """Turns whose prompt is longer than prompt_tokens; they teach nothing."""
        return self._skipped.count

    def __next__(self) -> pipeline.Batch:
        if self._pending:
            raise RuntimeError("the last batch was not heard; call heard() before the next one.")
        ready = [self._advance(k) for k in range(len(self._lanes))]
        self._pending = [lane.turn - 1 for lane in self._lanes]
        return pipeline.Batch(
            tuple(episode for episode, _ in ready), tuple(tuple(ids) for _, ids in ready)
        )

    def heard(self, written: Sequence[Written]) -> None:
        """Go on with these, one a row of the last batch."""
        for lane, turn, one in zip(self._lanes, self._pending, written, strict=True):
            lane.hear(turn, one)
        self._pending = []

    def get_state(self) -> dict[str, Any]:
        """Where each lane stands and what was written there, and what that is valid for."""
        if self._pending:
            raise RuntimeError("the last batch was not heard; call heard() before get_state().")
        lanes = [
            {
                "position": lane.position,
                "turn": lane.turn,
                "written": [[turn, one.text, one.finished] for turn, one in lane.written],
            }
            for lane in self._lanes
        ]
        found = {"begun": self._begun, "skipped": self.skipped, "lanes": lanes}
        return {"stream": self._stream()} | found

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a state of the same stream; what was written makes the profiles again."""
        if state["stream"] != self._stream():
            raise ValueError(
                f"The saved data position is of {state['stream']}, this run's data is "
                f"{self._stream()}; they must be equal to go on. Restore data, batch and seed "
                "settings, or start a new work directory."
            )
        self._begun, self._skipped.count = state["begun"], state["skipped"]
        self._pending = []
        self._lanes = []
        for saved in state["lanes"]:
            lane = self._lane(saved["position"])
            for turn, text, finished in saved["written"]:
                lane.hear(turn, Written(text, finished))
            lane.turn = saved["turn"]
            self._lanes.append(lane)

    def _stream(self) -> dict[str, Any]:
        cfg = self._cfg
        return {
            "dialogues": len(self._places),
            **dataclasses.asdict(cfg.plan),
            "share": cfg.share,
            "keep_empty": cfg.keep_empty,
        }

    def _open(self) -> _Lane:
        """A lane at the start of the next dialogue."""
        self._begun += 1
        return self._lane(self._begun - 1)

    def _lane(self, position: int) -> _Lane:
        part, number = self._places[self._order[position]]
        dialogue = self._parts[part][number]
        own = _drawn(self._cfg.plan.seed, position) < self._cfg.share
        return _Lane(position, dialogue, Steps(dialogue), self._memory if own else None)

    def _advance(self, k: int) -> tuple[schema.Episode, list[int]]:
        """The next turn of lane k and its prompt; begins further dialogues until there is one."""
        for _ in range(len(self._places) + 1):
            lane = self._lanes[k]
            while lane.turn < len(lane.episodes):
                episode = lane.episodes[lane.turn]
                lane.turn += 1
                if snippet.is_nothing(episode.gold or "") and not self._cfg.keep_empty:
                    continue
                if lane.memory is not None:
                    episode = dataclasses.replace(episode, profile=lane.memory.statements())
                ids = self._encode(episode)
                if len(ids) <= self._cfg.plan.prompt_tokens:
                    return episode, ids
                self._skipped.add(episode, len(ids))
            self._lanes[k] = self._open()
        raise ValueError(
            f"None of {len(self._places)} dialogues has a turn to train on: each is longer than "
            f"prompt_tokens={self._cfg.plan.prompt_tokens}, or shows no preference. Raise it, or "
            "set data.keep_empty=True."
        )


def _drawn(seed: int, position: int) -> float:
    """A number in [0, 1) that hangs on the two alone."""
    digest = hashlib.sha256(f"state of {seed}/{position}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
