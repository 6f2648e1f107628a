"""Episodes to batches of prompts: shuffled, tokenised, exact on resume.

Every process walks the same global order and keeps its rows of each batch, so neither the order
nor a saved position depends on how many processes there are.
"""

import collections
import concurrent.futures
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grain
from absl import logging

from pa_jax.dialogue import schema


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """rows           episodes of a global batch
    prompt_tokens  longest prompt; longer ones are skipped, and counted
    seed           of the order of episodes
    """

    rows: int
    prompt_tokens: int
    seed: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.prompt_tokens < 1:
            raise ValueError(
                f"data rows={self.rows}, prompt_tokens={self.prompt_tokens}: each must be at "
                "least 1."
            )


@dataclasses.dataclass(frozen=True)
class Batch:
    """This process's episodes of one batch, and their prompts' token ids."""

    episodes: tuple[schema.Episode, ...]
    prompts: tuple[tuple[int, ...], ...]


Encode = Callable[[Sequence[schema.Episode]], list[list[int]]]
AHEAD = 4  # batches' worth of prompts that are read and tokenised in one go


class Skipped:
    """Counts prompts that are too long, and says so now and then."""

    def __init__(self, longest: int) -> None:
        self.longest, self.count = longest, 0

    def add(self, episode: schema.Episode, length: int) -> None:
        self.count += 1
        if self.count & (self.count - 1) == 0:  # 1, 2, 4, 8, ...: seen, yet never a flood
            logging.warning(
                "Skipped %s: its prompt has %d tokens, prompt_tokens allows %d (%d so far).",
                episode.id,
                length,
                self.longest,
                self.count,
            )


class BatchIterator(Iterator[Batch]):
    """Endless batches; `get_state` is JSON-able, `set_state` goes on as if never stopped.

    A batch is the next `rows` episodes of the order whose prompts are short enough: rows of the
    device are packed, so that prompts of any lengths may go together.

    Prompts are tokenised a few batches at a time, all cores at once, and the next few in a thread
    while these are trained on. Those read ahead are no part of the state: a restored iterator reads
    them again.
    """

    def __init__(
        self,
        ordered: grain.MapDataset,
        encode: Encode,
        cfg: PipelineConfig,
        epoch: int,
        part: slice,
        labelled: bool,
    ) -> None:
        """`ordered` has the episode of every position of the endless stream, by random access."""
        self._ordered, self._encode, self._labelled = ordered, encode, labelled
        self._cfg, self._epoch, self._part = cfg, epoch, part
        self._taken = 0  # positions of the stream that were looked at
        self._skipped = Skipped(cfg.prompt_tokens)
        self._ahead: collections.deque[tuple[schema.Episode, list[int]]] = collections.deque()
        self._reader = concurrent.futures.ThreadPoolExecutor(1, "prompts")
        self._coming: concurrent.futures.Future | None = None  # what follows _ahead

    @property
    def skipped(self) -> int:
        """Prompts longer than prompt_tokens that were left out so far."""
        return self._skipped.count

    @property
    def epoch(self) -> float:
        """Passes over the episodes so far."""
        return self._taken / self._epoch

    def __next__(self) -> Batch:
        ready: list[tuple[schema.Episode, list[int]]] = []
        passed = 0
        while len(ready) < self._cfg.rows:
            episode, ids = self._next()
            passed += 1
            if self._labelled and episode.gold is None:
                self._check_labelled(passed)
            elif len(ids) <= self._cfg.prompt_tokens:
                ready.append((episode, ids))
                passed = 0
            else:
                self._skip(episode, ids)
        mine = ready[self._part]
        return Batch(tuple(e for e, _ in mine), tuple(tuple(ids) for _, ids in mine))

    def get_state(self) -> dict[str, Any]:
        """Position, the count of skipped prompts, and what they are valid for."""
        return {
            "stream": {"episodes": self._epoch, **dataclasses.asdict(self._cfg)},
            "taken": self._taken,
            "skipped": self.skipped,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a state of the same stream."""
        stream = self.get_state()["stream"]
        if state["stream"] != stream:
            raise ValueError(
                f"The saved data position is of {state['stream']}, this run's data is {stream}; "
                "they must be equal to go on. Restore data, batch and seed settings, or start a "
                "new work directory."
            )
        self._ahead.clear()
        self._coming = None
        self._taken, self._skipped.count = state["taken"], state["skipped"]

    def _next(self) -> tuple[schema.Episode, list[int]]:
        if not self._ahead:
            coming, self._coming = self._coming, None
            self._ahead.extend(coming.result() if coming else self._read(self._taken))
            self._coming = self._reader.submit(self._read, self._taken + len(self._ahead))
        self._taken += 1
        episode, ids = self._ahead.popleft()
        if not ids:
            raise ValueError(
                f"Episode {episode.id} has an empty prompt; at least one token is needed. Check "
                "the chat template."
            )
        return episode, ids

    def _read(self, start: int) -> list[tuple[schema.Episode, list[int]]]:
        """A few batches' worth of prompts from this position on."""
        found = [self._ordered[at] for at in range(start, start + AHEAD * self._cfg.rows)]
        return list(zip(found, self._encode(found), strict=True))

    def _check_labelled(self, passed: int) -> None:
        if passed > self._epoch:
            raise ValueError(
                f"None of {self._epoch} episodes has a gold snippet and a prompt of at most "
                f"prompt_tokens={self._cfg.prompt_tokens}; supervised steps need both. Use data "
                "with labels, or warm.steps=0."
            )

    def _skip(self, episode: schema.Episode, ids: Sequence[int]) -> None:
        self._skipped.add(episode, len(ids))
        if self.skipped == self._taken >= self._epoch:
            raise ValueError(
                f"All {self._epoch} prompts are longer than prompt_tokens="
                f"{self._cfg.prompt_tokens}; the last has {len(ids)}. Raise it or shorten the "
                "prompts."
            )


def batches(
    episodes: Sequence[schema.Episode],
    encode: Encode,
    cfg: PipelineConfig,
    *,
    process_index: int,
    process_count: int,
    labelled: bool = False,
) -> BatchIterator:
    """This process's slices of the endless global batches; `encode` gives prompts of episodes.

    `labelled` passes over episodes without gold.
    """
    if not len(episodes):
        raise ValueError("There are no episodes; at least one is needed. Check data.path.")
    if cfg.rows % process_count or not 0 <= process_index < process_count:
        raise ValueError(
            f"rows={cfg.rows} must divide by the number of processes, {process_count}, and process "
            f"{process_index} must be below it; use {-(-cfg.rows // process_count) * process_count}"
            " rows."
        )
    ordered = grain.MapDataset.source(episodes).shuffle(seed=order_seed(cfg.seed)).repeat()
    local = cfg.rows // process_count
    part = slice(process_index * local, (process_index + 1) * local)
    return BatchIterator(ordered, encode, cfg, len(episodes), part, labelled)


def order_seed(seed: int) -> int:
    """A 32-bit seed; Grain adds the epoch to it, which would make seed 1 repeat seed 0's order."""
    return int.from_bytes(hashlib.sha256(f"episode order {seed}".encode()).digest()[:4])
