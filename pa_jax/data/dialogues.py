"""Where dialogues come from: synthetic users, files of three formats, a function of one's own."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

from pa_jax.data import numbered, own
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import aloe, messages, prefeval
from pa_jax.data.synth import users as synth_users
from pa_jax.dialogue import schema

BUILT_IN = ("synthetic", "unseen", "requests")  # they read no file
SPLITS = ("train", "heldout", "all")
HELDOUT_SHARE = 0.2  # of the users of aloe and messages

Parts = list[Sequence[schema.Dialogue]]  # that follow each other


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


def of_users(
    seed: int, users: int, split: str, size: tuple[int, int] | None = None
) -> numbered.Numbered[schema.Dialogue]:
    """Synthetic users; `size` is sessions and turns a session, None draws both."""
    return numbered.Numbered(
        users, lambda number: synth_users.dialogue(seed, number, split=split, size=size)
    )


def open_dialogues(cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine) -> Parts:
    """The dialogues of a split whole, as parts that follow each other; see open_episodes."""
    if cfg.source not in SOURCES and not own.is_own(cfg.source):
        raise unknown(cfg)
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
                if isinstance(d, schema.Dialogue) and wanted(split, held_out(d.user_id))
            ]
        ]
    return SOURCES[cfg.source](cfg, split, quarantine)


def unknown(cfg: DataConfig) -> ValueError:
    return ValueError(
        f"data.source={cfg.source!r}: choose one of {sorted(SOURCES)}, tfds:NAME of them, "
        "or module:function of your own."
    )


def synthetic(
    cfg: DataConfig,
    split: str,
    quarantine: quarantine_lib.Quarantine,
    size: tuple[int, int] | None = None,
) -> Parts:
    """Users of a split, with `size` as of_users has it."""
    del quarantine  # nothing is read
    users = {"train": cfg.users, "heldout": cfg.heldout_users}
    wanted = users if split == "all" else [split]
    for part in wanted:
        if users[part] < 1:
            raise ValueError(
                f"data.users={cfg.users}, data.heldout_users={cfg.heldout_users}: both must be at "
                "least 1."
            )
    return [of_users(cfg.seed, users[part], part, size) for part in wanted]


def _unseen(cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine) -> Parts:
    names = {"train": "seen", "heldout": "unseen"}
    parts = synthetic(cfg, split, quarantine)
    wanted = names if split == "all" else [split]
    return [
        of_users(cfg.seed, len(part), names[name]) for part, name in zip(parts, wanted, strict=True)
    ]


def _prefeval(cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine) -> Parts:
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


def _aloe(cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine) -> Parts:
    # One profile speaks with several personalities: all of them fall on the same side.
    found = aloe.read(cfg.path, quarantine)
    return [[d for d in found if wanted(split, held_out(d.user_id.rpartition("/")[0]))]]


def _messages(cfg: DataConfig, split: str, quarantine: quarantine_lib.Quarantine) -> Parts:
    found = list(messages.read(cfg.path, quarantine))

    return _parted([found], split, lambda d: held_out(d.user_id))


Opener = Callable[[DataConfig, str, quarantine_lib.Quarantine], Parts]
SOURCES: dict[str, Opener] = {
    "synthetic": synthetic,
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
) -> Parts:
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


def wanted(split: str, is_held_out: bool) -> bool:
    return split == "all" or is_held_out == (split == "heldout")
