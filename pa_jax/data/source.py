"""Where episodes come from: the turns of dialogues, datasets, a function of one's own; or a mix."""

import dataclasses
import os
import re
from collections.abc import Sequence

import numpy as np

from pa_jax.data import dialogues, numbered, own
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.episodes import Steps, strangers
from pa_jax.data.readers import items, prefeval
from pa_jax.dialogue import schema, snippet

FILES = {"messages": "*.jsonl", "aloe": "conversations*.jsonl"}  # what the others read of a folder
ALL = "split=all (single_turn.split=all in eval) reads every one, where the job trains on none."


class Episodes(numbered.Numbered[schema.Episode]):
    """The episodes of many dialogues by number, made when asked for.

    What was read of a dialogue that is held anyway is kept, so that a long one is read once.
    """

    def __init__(self, parts: Sequence[Sequence[schema.Dialogue]], *, keep_empty: bool) -> None:
        """The dialogues are parts that follow each other."""
        self._parts = parts
        self._steps: dict[tuple[int, int], Steps] = {}
        places = (
            (part, number, turn)
            for part, of_part in enumerate(parts)
            for number, dialogue in enumerate(of_part)
            for turn, what in enumerate(dialogue.turns)
            if keep_empty or not snippet.is_nothing(what.gold or "")
        )
        self._places = np.fromiter(places, np.dtype((np.int32, 3)))  # 12 bytes an episode
        super().__init__(len(self._places), self._at)

    def _at(self, index: int) -> schema.Episode:
        part, number, turn = self._places[index].tolist()
        if (part, number) in self._steps:
            return self._steps[part, number][turn]
        steps = Steps(self._parts[part][number])
        if isinstance(self._parts[part], list):
            self._steps[part, number] = steps
        return steps[turn]


def open_episodes(
    cfg: dialogues.DataConfig, *, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    """The episodes of `train`, `heldout` or `all`, in a fixed order, with random access.

    Of several sources `train` draws in the shares of their weights, the others have each once; in
    `train` a share of the users are strangers (DataConfig.strangers).
    Held out are four topics of prefeval, whatever file they stand in, a fifth of the users of aloe
    (by profile), messages and functions of one's own by hash, and synthetic users of their own. Bad
    items go to `quarantine_path` (see quarantine.py).
    """
    if split not in dialogues.SPLITS:
        raise ValueError(f"split={split!r}: choose one of {list(dialogues.SPLITS)}.")
    chosen, parts = mixed(cfg), []
    for number, (_, one) in enumerate(chosen):
        path = quarantine_path
        if path is not None and len(chosen) > 1:
            path = f"{path}.{number}"
        parts.append(_open_one(one, split, path))
    found = parts[0]
    if len(parts) > 1:
        counts = numbered.counts([len(part) for part in parts], [weight for weight, _ in chosen])
        found = numbered.joined(parts, counts if split == "train" else None)
    train = split == "train" and cfg.strangers
    return strangers(found, cfg.strangers) if train else found


def mixed(cfg: dialogues.DataConfig) -> list[tuple[float, dialogues.DataConfig]]:
    """Weight and config of every source that data.source names."""
    if "=" not in cfg.source:
        return [(1.0, cfg)]
    names = cfg.source.split(",")
    paths = cfg.path.split(",") if cfg.path else [""] * len(names)
    if len(paths) != len(names):
        raise ValueError(
            f"data.path={cfg.path!r} names {len(paths)} places for the {len(names)} sources of "
            f"{cfg.source!r}; give one each with commas between, nothing for synthetic."
        )
    chosen = []
    for text, path in zip(names, paths, strict=True):
        name, _, weight = text.rpartition("=")
        if not re.fullmatch(r"\d*\.?\d+", weight) or not float(weight) > 0:
            raise ValueError(
                f"data.source={cfg.source!r}: {text!r} is not NAME=WEIGHT with a weight above 0."
            )
        chosen.append((float(weight), dataclasses.replace(cfg, source=name, path=path)))
    return chosen


def require_there(cfg: dialogues.DataConfig) -> None:
    """An error where a source is none, or its file or folder is not there; nothing is read."""
    for _, one in mixed(cfg):
        if one.source in FILES:
            items.find_files(one.path, FILES[one.source])
        elif one.source == "prefeval":
            prefeval.files(one.path, "explicit" if one.form == "all" else one.form)
        elif one.source not in (*dialogues.SOURCES, *dialogues.BUILT_IN):
            if not own.is_own(one.source) and not one.source.startswith("tfds:"):
                raise dialogues.unknown(one)


def _open_one(
    cfg: dialogues.DataConfig, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    if cfg.source.startswith("tfds:"):
        # TensorFlow Datasets takes a second to import.
        from pa_jax.data.tfds import stored

        found = stored.open_episodes(cfg, split=split, quarantine_path=quarantine_path)
    elif own.is_own(cfg.source):
        found = _own_episodes(cfg, split, quarantine_path)
    else:
        with quarantine_lib.Quarantine(quarantine_path) as quarantine:
            parts = dialogues.open_dialogues(cfg, split, quarantine)
        found = Episodes(parts, keep_empty=cfg.keep_empty)
    if not found:
        raise quarantine_lib.DataError(
            f"data.source={cfg.source!r}, path={cfg.path!r} has no episode in split {split!r}; at "
            "least one is needed. Give more users or dialogues"
            + ("." if cfg.keep_empty else ", or set data.keep_empty=True.")
            + (f" A fifth of a file's users are held out; {ALL}" if split != "all" else "")
        )
    return found


def _own_episodes(
    cfg: dialogues.DataConfig, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    """Of a function of the user's own, which yields dialogues or the episodes themselves."""
    with quarantine_lib.Quarantine(quarantine_path) as quarantine:
        found = own.read(cfg.source, cfg.path, quarantine)
    found = [item for item in found if dialogues.wanted(split, dialogues.held_out(item.user_id))]
    whole = [item for item in found if isinstance(item, schema.Dialogue)]
    if whole:
        return Episodes([whole], keep_empty=cfg.keep_empty)
    episodes = [item for item in found if isinstance(item, schema.Episode)]
    return [one for one in episodes if cfg.keep_empty or not snippet.is_nothing(one.gold or "")]
