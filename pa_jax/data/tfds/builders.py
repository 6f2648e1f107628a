"""TFDS builders: what each source is, where its home is, and its episodes as records.

A dataset has the splits train and heldout of turns with something to note (or without labels), and
train_nothing and heldout_nothing of turns that show no preference, each in the reader's order.
"""

import dataclasses
import hashlib
import itertools
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests
import tensorflow_datasets as tfds
from etils import epath

from pa_jax.data import dialogues
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.episodes import Steps
from pa_jax.data.readers import items
from pa_jax.data.synth import users as synth_users
from pa_jax.dialogue import schema, snippet

NOTHING = "_nothing"  # the end of the names of splits that show no preference
FEATURES = ("id", "user_id", "profile", "context", "user", "gold", "slot", "kind")
_VERSION = "1.0.0"  # raise it when a reader, the decomposer or a record changes
_PROBES = 3  # synthetic dialogues that tell one state of the generator from another


def record(episode: schema.Episode) -> dict[str, str]:
    """An episode as a TFDS example: profile one statement a line, gold "" where there is none."""
    made = {name: getattr(episode, name) for name in FEATURES}
    return made | {"profile": "\n".join(episode.profile), "gold": episode.gold or ""}


def episode(example: Mapping[str, bytes]) -> schema.Episode:
    """`record` undone."""
    texts = {name: example[name].decode() for name in FEATURES}
    profile = tuple(texts["profile"].split("\n")) if texts["profile"] else ()
    given: dict[str, Any] = {**texts, "profile": profile, "gold": texts["gold"] or None}
    return schema.Episode(**given)


class EpisodeBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """Writes the episodes of `cfg` as ArrayRecord files; bad items go to `quarantine_path`."""

    VERSION = tfds.core.Version(_VERSION)
    # TFDS 4.9.10 looks for it with importlib_resources, which it does not depend on.
    code_path = epath.Path(__file__)
    SOURCE = ""
    DESCRIPTION = ""
    HOMEPAGE = ""
    LICENSE = ""
    CITATION = ""
    ARCHIVE = ""  # fetched where no local folder is given
    INSIDE = ""  # a file of the archive, in the folder that the reader takes

    def __init__(
        self, *, cfg: dialogues.DataConfig, quarantine_path: str | os.PathLike | None, **kwargs: Any
    ) -> None:
        self.cfg, self.quarantine_path = cfg, quarantine_path
        config = tfds.core.BuilderConfig(name=self.variant(cfg), description=self.DESCRIPTION)
        super().__init__(file_format="array_record", config=config, **kwargs)

    @classmethod
    def variant(cls, cfg: dialogues.DataConfig) -> str:
        """The dataset's folder name: what was read, and a digest of it."""
        return f"{cfg.form}-{_digest(cfg.path)}" if cfg.path else f"{cfg.form}-home"

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict({k: tfds.features.Text() for k in FEATURES}),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
            citation=self.CITATION,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        cfg = self.cfg
        if self.ARCHIVE and not cfg.path:
            cfg = dataclasses.replace(cfg, path=str(self._fetched(dl_manager)))
        splits: dict[str, Iterator[Any]] = {}
        with quarantine_lib.Quarantine(self.quarantine_path) as quarantine:
            for side in ("train", "heldout"):
                parts = dialogues.SOURCES[self.SOURCE](cfg, side, quarantine)
                for end in ("", NOTHING):
                    examples = self._generate_examples(parts, end == NOTHING)
                    first = next(examples, None)  # TFDS fails on a split without examples
                    if first is not None:
                        splits[side + end] = itertools.chain([first], examples)
        if not splits:
            raise quarantine_lib.DataError(
                f"data.path={cfg.path!r} has no episode; at least one is needed."
            )
        return splits

    def _generate_examples(
        self, parts: Sequence[Sequence[schema.Dialogue]], nothing: bool
    ) -> Iterator[tuple[int, dict[str, str]]]:
        found = (
            record(one)
            for part in parts
            for dialogue in part
            for one in Steps(dialogue)
            if (one.gold == snippet.NOTHING) == nothing
        )
        yield from enumerate(found)

    def _fetched(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        """The archive's folder that the reader takes."""
        try:
            archive = pathlib.Path(dl_manager.download(self.ARCHIVE))
            root = archive.with_name(archive.name + ".unpacked")
            shutil.unpack_archive(archive, root, "zip")  # TFDS extracts with TensorFlow
        except (requests.RequestException, tfds.download.DownloadError, OSError) as error:
            raise quarantine_lib.DataError(
                f"{self.ARCHIVE} cannot be fetched ({error}); go online, or fetch {self.HOMEPAGE} "
                "elsewhere and give its folder as data.path."
            ) from error
        found = sorted(root.rglob(self.INSIDE))
        if not found:
            raise quarantine_lib.DataError(
                f"{self.ARCHIVE} holds no {self.INSIDE} any more; fetch the data from "
                f"{self.HOMEPAGE} and give its folder as data.path."
            )
        return found[0].parent


class Prefeval(EpisodeBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    SOURCE = "prefeval"
    DESCRIPTION = "PrefEval's stated and implied preferences as single turns with gold snippets."
    HOMEPAGE = "https://github.com/amazon-science/PrefEval"
    LICENSE = "CC BY-NC 4.0"
    CITATION = """@inproceedings{zhao2025prefeval,
  title={Do LLMs Recognize Your Preferences? Evaluating Personalized Preference Following in LLMs},
  author={Zhao, Siyan and Hong, Mingyi and Liu, Yang and Hazarika, Devamanyu and Lin, Kaixiang},
  booktitle={ICLR},
  year={2025},
  note={arXiv:2502.09597}
}"""
    ARCHIVE = "https://github.com/amazon-science/PrefEval/archive/refs/heads/main.zip"
    INSIDE = "explicit_preference"


class Aloe(EpisodeBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    SOURCE = "aloe"
    DESCRIPTION = "ALOE's conversations as single turns; gold is what each lets one newly infer."
    HOMEPAGE = "https://github.com/ShujinWu-0814/ALOE"
    LICENSE = "None is stated in the repository; ask the authors before passing the data on."
    CITATION = """@article{wu2024aligning,
  title={Aligning LLMs with Individual Preferences via Interaction},
  author={Wu, Shujin and Fung, May and Qian, Cheng and Kim, Jeonghwan and Hakkani-Tur, Dilek
    and Ji, Heng},
  journal={arXiv preprint arXiv:2410.03642},
  year={2024}
}"""
    ARCHIVE = "https://github.com/ShujinWu-0814/ALOE/archive/refs/heads/main.zip"
    INSIDE = "conversations*.jsonl"


class Messages(EpisodeBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    SOURCE = "messages"
    DESCRIPTION = "Chat messages of a local folder of JSONL files as single turns."
    LICENSE = "That of the folder's owner."


class Synthetic(EpisodeBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    SOURCE = "synthetic"
    DESCRIPTION = "Seeded synthetic users of pa_jax as single turns with gold snippets."
    LICENSE = "Apache-2.0"

    @classmethod
    def variant(cls, cfg: dialogues.DataConfig) -> str:
        probes = [synth_users.dialogue(cfg.seed, k, split="train") for k in range(_PROBES)]
        state = hashlib.sha256(repr(probes).encode()).hexdigest()[:8]
        return f"{cfg.users}-{cfg.heldout_users}-{cfg.seed}-{state}"


BUILDERS = {builder.SOURCE: builder for builder in (Prefeval, Aloe, Messages, Synthetic)}


def _digest(path: str) -> str:
    """Tells one content of a file or folder of JSON files from another."""
    place = pathlib.Path(path).expanduser()
    files = sorted(place.rglob("*.json*")) if place.is_dir() else [place]
    total = hashlib.sha256()
    for file in files:
        total.update(str(file.relative_to(place)).encode())
        total.update(hashlib.sha256(items.read_bytes(file)).digest())
    return total.hexdigest()[:12]
