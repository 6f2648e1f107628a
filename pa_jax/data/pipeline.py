"""Episodes to batches of prompts: shuffled, tokenised, grouped by length, exact on resume.

Every process walks the same global order and keeps its rows of each batch, so neither the order
nor a saved position depends on how many processes there are.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grain
import numpy as np
from absl import logging

from pa_jax.core import typing
from pa_jax.dialogue import schema


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """rows     episodes of a global batch
    buckets  allowed padded prompt lengths, ascending
    seed     of the order of episodes
    """

    rows: int
    buckets: tuple[int, ...]
    seed: int

    def __post_init__(self):
        if self.rows < 1:
            raise ValueError(f"data rows={self.rows}: must be at least 1.")
        if (
            not self.buckets
            or self.buckets[0] < 1
            or list(self.buckets) != sorted(set(self.buckets))
        ):
            raise ValueError(
                f"buckets={self.buckets}: must be positive lengths, each larger than the last."
            )


@dataclasses.dataclass(frozen=True)
class Batch:
    """This process's rows of one batch; `prompt_ids` is padded with 0 on the right to a bucket."""

    episodes: tuple[schema.Episode, ...]
    prompt_ids: typing.Int[np.ndarray, "n p"]
    prompt_len: typing.Int[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True)
class _Prompt:
    position: int  # in the endless stream: epoch * episodes + place in the epoch's order
    episode: schema.Episode
    ids: list[int]


Encode = Callable[[Sequence[schema.Episode]], list[list[int]]]
AHEAD = 4  # batches' worth of prompts that are read and tokenised in one go


class BatchIterator(Iterator[Batch]):
    """Endless batches; `get_state` is JSON-able, `set_state` goes on as if never stopped.

    A batch goes out as soon as `rows` prompts of one bucket wait. At the end of an epoch those
    still waiting go out together, longest first, padded to the longest one's bucket, `rows` at a
    time; the fewer than `rows` left wait on. So after any epoch each episode was served once for
    each epoch, bar fewer than `rows` in all that are still to come, and a rare length need not
    wait until `rows` of its own have gathered.

    Prompts are tokenised a few batches at a time, all cores at once; those read ahead are no part
    of the state: a restored iterator reads them again.
    """

    def __init__(
        self,
        ordered: grain.MapDataset,
        encode: Encode,
        cfg: PipelineConfig,
        epoch: int,
        part: slice,
    ):
        """`ordered` has the episode of every position of the endless stream, by random access."""
        self._ordered, self._encode = ordered, encode
        self._cfg, self._epoch, self._part = cfg, epoch, part
        self._taken = 0  # positions of the stream that were looked at
        self._skipped = 0
        self._waiting = self._nobody()
        self._ahead: collections.deque[_Prompt] = collections.deque()  # from `taken` on

    @property
    def skipped(self) -> int:
        """Prompts longer than the largest bucket that were left out so far."""
        return self._skipped

    @property
    def epoch(self) -> float:
        """Passes over the episodes so far."""
        return self._taken / self._epoch

    def __next__(self) -> Batch:
        while True:
            if self._taken and self._taken % self._epoch == 0:
                if sum(map(len, self._waiting.values())) >= self._cfg.rows:
                    return self._flush()
            if not self._ahead:
                self._ahead.extend(
                    self._read(range(self._taken, self._taken + AHEAD * self._cfg.rows))
                )
            prompt = self._ahead.popleft()
            self._taken += 1
            bucket = self._bucket(prompt)
            if bucket is None:
                self._skip(prompt)
                continue
            self._waiting[bucket].append(prompt)
            if len(self._waiting[bucket]) == self._cfg.rows:
                ready = [self._waiting[bucket].popleft() for _ in range(self._cfg.rows)]
                return self._batch(ready, bucket)

    def get_state(self) -> dict[str, Any]:
        """Position, who waits where, the count of skipped prompts, and what they are valid for."""
        return {
            "stream": self._stream(),
            "taken": self._taken,
            "skipped": self._skipped,
            "waiting": {
                str(bucket): [prompt.position for prompt in queue]
                for bucket, queue in self._waiting.items()
            },
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a state of the same stream; waiting prompts are made again."""
        if state["stream"] != self._stream():
            raise ValueError(
                f"The saved data position is of {state['stream']}, this run's data is "
                f"{self._stream()}; they must be equal to go on. Restore data, batch and seed "
                "settings, or start a new work directory."
            )
        self._ahead.clear()
        self._taken = state["taken"]
        self._skipped = state["skipped"]
        self._waiting = self._nobody()
        for bucket, positions in state["waiting"].items():
            self._waiting[int(bucket)].extend(self._read(positions))

    def _read(self, positions: Sequence[int]) -> list[_Prompt]:
        """The prompts of some positions, tokenised together."""
        found = [self._ordered[at] for at in positions]
        made = self._encode(found) if found else []
        return [_Prompt(*each) for each in zip(positions, found, made, strict=True)]

    def _stream(self) -> dict[str, Any]:
        cfg = self._cfg
        return {
            "episodes": self._epoch,
            "rows": cfg.rows,
            "buckets": list(cfg.buckets),
            "seed": cfg.seed,
        }

    def _nobody(self) -> dict[int, collections.deque[_Prompt]]:
        return {bucket: collections.deque() for bucket in self._cfg.buckets}

    def _bucket(self, prompt: _Prompt) -> int | None:
        """The smallest that holds the prompt."""
        if not prompt.ids:
            raise ValueError(
                f"Episode {prompt.episode.id} has an empty prompt; at least one token is needed. "
                "Check the chat template."
            )
        return next((b for b in self._cfg.buckets if b >= len(prompt.ids)), None)

    def _skip(self, prompt: _Prompt) -> None:
        self._skipped += 1
        largest = self._cfg.buckets[-1]
        if self._skipped & (self._skipped - 1) == 0:  # 1, 2, 4, 8, ...: seen, yet never a flood
            logging.warning(
                "Skipped %s: its prompt has %d tokens, the largest bucket holds %d (%d so far).",
                prompt.episode.id,
                len(prompt.ids),
                largest,
                self._skipped,
            )
        if self._skipped == self._taken >= self._epoch:
            raise ValueError(
                f"All {self._epoch} prompts are longer than the largest bucket, {largest} tokens; "
                f"the last has {len(prompt.ids)}. Add a larger bucket or shorten the prompts."
            )

    def _flush(self) -> Batch:
        """`rows` of those who wait, longest buckets first, oldest first within one."""
        ready: list[_Prompt] = []
        longest = 0
        for bucket in reversed(self._cfg.buckets):
            queue = self._waiting[bucket]
            while queue and len(ready) < self._cfg.rows:
                ready.append(queue.popleft())
                longest = max(longest, bucket)
        return self._batch(ready, longest)

    def _batch(self, ready: list[_Prompt], bucket: int) -> Batch:
        mine = ready[self._part]
        prompt_ids = np.zeros((len(mine), bucket), np.int32)
        for row, prompt in enumerate(mine):
            prompt_ids[row, : len(prompt.ids)] = prompt.ids
        return Batch(
            episodes=tuple(prompt.episode for prompt in mine),
            prompt_ids=prompt_ids,
            prompt_len=np.array([len(prompt.ids) for prompt in mine], np.int32),
        )


def batches(
    episodes: Sequence[schema.Episode],
    encode: Encode,
    cfg: PipelineConfig,
    *,
    process_index: int,
    process_count: int,
) -> BatchIterator:
    """This process's slices of the endless global batches; `encode` gives prompts of episodes."""
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
    return BatchIterator(ordered, encode, cfg, len(episodes), part)


def order_seed(seed: int) -> int:
    """A 32-bit seed; Grain adds the epoch to it, which would make seed 1 repeat seed 0's order."""
    return int.from_bytes(hashlib.sha256(f"episode order {seed}".encode()).digest()[:4])
