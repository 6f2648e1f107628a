"""Where episodes come from: synthetic dialogues, files of three formats, datasets; or a mix."""

import dataclasses
import hashlib
import operator
import os
import re
from collections.abc import Callable, Sequence

import numpy as np

from pa_jax.data import joined, own
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.episodes import Steps, Strangers
from pa_jax.data.readers import aloe, items, messages, prefeval
from pa_jax.data.synth import users as synth_users
from pa_jax.dialogue import schema, snippet

BUILT_IN = ("synthetic", "unseen", "requests")  # they read no file
FILES = {"messages": "*.jsonl", "aloe": "conversations*.jsonl"}  # what the others read of a folder
ALL = "split=all (single_turn.split=all in eval) reads every one, where the job trains on none."
SPLITS = ("train", "heldout", "all")
HELDOUT_SHARE = 0.2  # of the users of aloe and messages


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which dialogues, and which of their turns.

    source         synthetic | unseen (synthetic, held-out users' subcategories occur with no
                   other) | prefeval | aloe | messages | tfds:NAME of these | tfds:FOLDER |
                   module:function of your own, or several as NAME=WEIGHT,NAME=WEIGHT; or requests
                   (decisions to ask: what task=ask and supervised steps learn it from)
    path           file or folder of all that read; of several, one each with commas between; what
                   a function of your own is called with
    form           prefeval's form: explicit | choice | persona | all
    users, heldout_users, seed    of synthetic dialogues; of requests, one each
    keep_empty     whether turns that show no preference (gold is snippet.NOTHING) stay in
    state_source   what GRPO takes for the profile before a turn: gold | policy (its own snippets of
                   the turns before) | mixed
    state_share    of mixed, the share of dialogues that go by the policy's own
    strangers      share of training's episodes that are shown as if nothing were known of the user
    """

    source: str
    path: str
    form: str
    users: int
    heldout_users: int
    seed: int
    keep_empty: bool
    state_source: str
    state_share: float
    strangers: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.strangers <= 1.0:
            raise ValueError(f"data.strangers={self.strangers}: a share from 0 to 1 is allowed.")
        if self.path and self.source in BUILT_IN:
            raise ValueError(
                f"data.path={self.path!r} is not read by data.source={self.source!r}: leave it "
                "out, or name the source that reads it: messages, prefeval, aloe, tfds:NAME, or "
                "module:function of your own."
            )


class SyntheticDialogues(Sequence[schema.Dialogue]):
    """Synthetic users, made anew at each access: nothing is held.

    `size` is sessions and turns a session; None draws both.
    """

    def __init__(
        self, seed: int, users: int, split: str, size: tuple[int, int] | None = None
    ) -> None:
        self._seed, self._users, self._split, self._size = seed, users, split, size

    def sized(self, size: tuple[int, int]) -> "SyntheticDialogues":
        """The same users with this many sessions, and turns a session."""
        return SyntheticDialogues(self._seed, self._users, self._split, size)

    def __len__(self) -> int:
        return self._users

    def __getitem__(self, index: int) -> schema.Dialogue:  # type: ignore[override]  # no slices
        number = range(self._users)[index]
        return synth_users.dialogue(self._seed, number, split=self._split, size=self._size)


class Episodes(Sequence[schema.Episode]):
    """The episodes of many dialogues by number, made when asked for.

    What was read of a dialogue that is held anyway is kept, so that a long one is read once.
    """

    def __init__(self, dialogues: Sequence[Sequence[schema.Dialogue]], *, keep_empty: bool) -> None:
        """`dialogues` are parts that follow each other."""
        self._parts = dialogues
        self._steps: dict[tuple[int, int], Steps] = {}
        places = (
            (part, number, turn)
            for part, of_part in enumerate(dialogues)
            for number, dialogue in enumerate(of_part)
            for turn, what in enumerate(dialogue.turns)
            if keep_empty or not snippet.is_nothing(what.gold or "")
        )
        self._places = np.fromiter(places, np.dtype((np.int32, 3)))  # 12 bytes an episode

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> schema.Episode:  # type: ignore[override]  # no slices
        part, number, turn = self._places[operator.index(index)].tolist()
        if (part, number) in self._steps:
            return self._steps[part, number][turn]
        steps = Steps(self._parts[part][number])
        if isinstance(self._parts[part], list):
            self._steps[part, number] = steps
        return steps[turn]


def open_episodes(
    cfg: DataConfig, *, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    """The episodes of `train`, `heldout` or `all`, in a fixed order, with random access.

    Of several sources `train` draws in the shares of their weights, the others have each once; in
    `train` a share of the users are strangers (DataConfig.strangers).
    Held out are four topics of prefeval, whatever file they stand in, a fifth of the users of aloe
    (by profile), messages and functions of one's own by hash, and synthetic users of their own. Bad
    items go to `quarantine_path` (see quarantine.py).
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: choose one of {list(SPLITS)}.")
    found = _joined(cfg, split, quarantine_path)
    train = split == "train" and cfg.strangers
    return Strangers(found, cfg.strangers) if train else found


def _joined(
    cfg: DataConfig, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    """Of one source its episodes, of several those of all."""
    chosen = mixed(cfg)
    if len(chosen) == 1:
        return _open_one(chosen[0][1], split, quarantine_path)
    parts = []
    for number, (_, one) in enumerate(chosen):
        path = None if quarantine_path is None else f"{quarantine_path}.{number}"
        parts.append(_open_one(one, split, path))
    if split != "train":
        return joined.Joined(parts)
    weights = [weight for weight, _ in chosen]
    return joined.Joined(parts, joined.counts([len(part) for part in parts], weights))


def mixed(cfg: DataConfig) -> list[tuple[float, DataConfig]]:
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


def require_there(cfg: DataConfig) -> None:
    """An error where a source is none, or its file or folder is not there; nothing is read."""
    for _, one in mixed(cfg):
        if one.source in FILES:
            items.find_files(one.path, FILES[one.source])
        elif one.source == "prefeval":
            prefeval.files(one.path, "explicit" if one.form == "all" else one.form)
        elif one.source not in (*SOURCES, "requests") and not one.source.startswith("tfds:"):
            if not own.is_own(one.source):
                raise _unknown(one)


def _unknown(cfg: DataConfig) -> ValueError:
    return ValueError(
        f"data.source={cfg.source!r}: choose one of {sorted(SOURCES)}, tfds:NAME of them, "
        "or module:function of your own."
    )


def _open_one(
    cfg: DataConfig, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    if cfg.source.startswith("tfds:"):
        # Builds on this module; and TensorFlow Datasets takes a second to import.
        from pa_jax.data.tfds import stored

        found = stored.open_episodes(cfg, split=split, quarantine_path=quarantine_path)
    elif own.is_own(cfg.source):
        found = _own_episodes(cfg, split, quarantine_path)
    else:
        with quarantine_lib.Quarantine(quarantine_path) as quarantine:
            dialogues = open_dialogues(cfg, split, quarantine)
        found = Episodes(dialogues, keep_empty=cfg.keep_empty)
    if not found:
        raise quarantine_lib.DataError(
            f"data.source={cfg.source!r}, path={cfg.path!r} has no episode in split {split!r}; at "
            "least one is needed. Give more users or dialogues"
            + ("." if cfg.keep_empty else ", or set data.keep_empty=True.")
            + (f" A fifth of a file's users are held out; {ALL}" if split != "all" else "")
        )
    return found


def open_dialogues(
    cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine
) -> list[Sequence[schema.Dialogue]]:
    """The dialogues of a split whole, as parts that follow each other; see open_episodes."""
    if cfg.source not in SOURCES and not own.is_own(cfg.source):
        raise _unknown(cfg)
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: choose one of {list(SPLITS)}.")
    if own.is_own(cfg.source):
        found = own.read(cfg.source, cfg.path, quarantine)
        if found and isinstance(found[0], schema.Episode):
            raise ValueError(
                f"data.source={cfg.source!r} yields episodes; whole dialogues are needed here. "
                "Yield schema.Dialogue, or set data.state_source='gold'."
            )
        return [
            [
                d
                for d in found
                if isinstance(d, schema.Dialogue) and _wanted(split, held_out(d.user_id))
            ]
        ]
    return SOURCES[cfg.source](cfg, split, quarantine)


def _own_episodes(
    cfg: DataConfig, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    """Of a function of the user's own, which yields dialogues or the episodes themselves."""
    with quarantine_lib.Quarantine(quarantine_path) as quarantine:
        found = own.read(cfg.source, cfg.path, quarantine)
    found = [item for item in found if _wanted(split, held_out(item.user_id))]
    dialogues = [item for item in found if isinstance(item, schema.Dialogue)]
    if dialogues:
        return Episodes([dialogues], keep_empty=cfg.keep_empty)
    episodes = [item for item in found if isinstance(item, schema.Episode)]
    return [one for one in episodes if cfg.keep_empty or not snippet.is_nothing(one.gold or "")]


def _synthetic(
    cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine
) -> list[Sequence[schema.Dialogue]]:
    del quarantine  # nothing is read
    users = {"train": cfg.users, "heldout": cfg.heldout_users}
    wanted = users if split == "all" else [split]
    for part in wanted:
        if users[part] < 1:
            raise ValueError(
                f"data.users={cfg.users}, data.heldout_users={cfg.heldout_users}: both must be at "
                "least 1."
            )
    return [SyntheticDialogues(cfg.seed, users[part], part) for part in wanted]


def _unseen(
    cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine
) -> list[Sequence[schema.Dialogue]]:
    names = {"train": "seen", "heldout": "unseen"}
    parts = _synthetic(cfg, split, quarantine)
    wanted = names if split == "all" else [split]
    return [
        SyntheticDialogues(cfg.seed, len(part), names[name])
        for part, name in zip(parts, wanted, strict=True)
    ]


def _prefeval(
    cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine
) -> list[Sequence[schema.Dialogue]]:
    forms = list(prefeval.FOLDERS) if cfg.form == "all" else [cfg.form]
    if not set(forms) <= set(prefeval.FOLDERS):
        allowed = [*prefeval.FOLDERS, "all"]
        raise ValueError(f"data.form={cfg.form!r}: choose one of {allowed}.")
    found = [
        list(prefeval.read(cfg.path, form, prefeval.topics(cfg.path, form), quarantine))
        for form in forms
    ]

    def held(dialogue: schema.Dialogue) -> bool:
        return any(turn.slot.startswith(prefeval.HELDOUT_TOPICS) for turn in dialogue.turns)

    return _parted(found, split, held)


def _aloe(
    cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine
) -> list[Sequence[schema.Dialogue]]:
    # One profile speaks with several personalities: all of them fall on the same side.
    found = aloe.read(cfg.path, quarantine)
    return [[d for d in found if _wanted(split, held_out(d.user_id.rpartition("/")[0]))]]


def _messages(
    cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine
) -> list[Sequence[schema.Dialogue]]:
    found = list(messages.read(cfg.path, quarantine))

    return _parted([found], split, lambda d: held_out(d.user_id))


Opener = Callable[[DataConfig, str, quarantine_lib.Quarantine], list[Sequence[schema.Dialogue]]]
SOURCES: dict[str, Opener] = {
    "synthetic": _synthetic,
    "unseen": _unseen,
    "prefeval": _prefeval,
    "aloe": _aloe,
    "messages": _messages,
}


def held_out(key: str) -> bool:
    """Whether a user is held out: by a hash, so the same on every machine and in every file."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) < HELDOUT_SHARE * 2**64


def _parted(
    parts: Sequence[Sequence[schema.Dialogue]],
    split: str,
    is_held_out: Callable[[schema.Dialogue], bool],
) -> list[Sequence[schema.Dialogue]]:
    """Those of a split; what says nothing that held-out users do not say is not trained on.

    A copy of a file has names of its own and the same words, labels or none, whatever its replies,
    spaces and case.
    """
    if split == "all":
        return list(parts)
    if split == "heldout":
        return [[d for d in part if is_held_out(d)] for part in parts]

    def said(turn: schema.Turn) -> str:
        return _plain(turn.user)

    def told(turn: schema.Turn) -> tuple[str, str]:
        return _plain(turn.user), _plain(turn.gold or "")

    held = [turn for part in parts for d in part if is_held_out(d) for turn in d.turns]
    kept, words = set(map(told, held)), set(map(said, held))
    bare = {said(turn) for turn in held if not turn.gold}  # a copy may have got labels

    def known(turn: schema.Turn) -> bool:
        if turn.gold:
            return told(turn) in kept or said(turn) in bare
        return said(turn) in words

    return [
        [d for d in part if not is_held_out(d) and not all(map(known, d.turns))] for part in parts
    ]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _wanted(split: str, is_held_out: bool) -> bool:
    return split == "all" or is_held_out == (split == "heldout")
