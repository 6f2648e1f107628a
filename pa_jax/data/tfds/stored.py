"""Episodes out of TFDS datasets of ArrayRecord files, by number: nothing is held in memory."""

import os
import pathlib
from collections.abc import Sequence

import filelock
import tensorflow_datasets as tfds
from absl import logging

from pa_jax.data import dialogues, numbered
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.tfds import builders
from pa_jax.dialogue import schema


def open_episodes(
    cfg: dialogues.DataConfig, *, split: str, quarantine_path: str | os.PathLike | None
) -> Sequence[schema.Episode]:
    """Episodes of data.source=tfds:NAME, written at first use, or tfds:FOLDER, a dataset as it is.

    NAME is a source that files or a generator feed; data.path is its local folder, "" fetches it
    from its home. Datasets are kept under $PA_JAX_CACHE/tfds by a digest of what they were made of.
    """
    name = cfg.source.removeprefix("tfds:")
    if "/" in name:
        folder = _version_folder(pathlib.Path(name).expanduser())
    elif name in builders.BUILDERS:
        folder = prepared(name, cfg, cache_dir(), quarantine_path=quarantine_path)
    else:
        raise ValueError(
            f"data.source={cfg.source!r}: choose tfds:NAME with one of "
            f"{sorted(builders.BUILDERS)}, or tfds:FOLDER with a slash in it."
        )
    return read(folder, split=split, keep_empty=cfg.keep_empty)


def prepared(
    name: str,
    cfg: dialogues.DataConfig,
    data_dir: pathlib.Path,
    *,
    quarantine_path: str | os.PathLike | None,
) -> pathlib.Path:
    """The folder of the dataset of a source, written if it is not there; one process writes."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(data_dir / f".{name}.lock"):
        builder = builders.BUILDERS[name](
            cfg=cfg, quarantine_path=quarantine_path, data_dir=data_dir
        )
        if not pathlib.Path(builder.data_dir).exists():
            logging.info("writing %s (licence: %s)", builder.data_dir, builder.LICENSE)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    return pathlib.Path(builder.data_dir)


def read(folder: pathlib.Path, *, split: str, keep_empty: bool) -> Sequence[schema.Episode]:
    """The episodes of a split of a dataset's folder; none where it has no such split."""
    try:
        builder = tfds.builder_from_directory(folder)
    except (OSError, ValueError) as error:
        raise quarantine_lib.DataError(
            f"{folder} is no dataset of ArrayRecord files ({error}); give a folder that holds "
            "dataset_info.json and features.json."
        ) from error
    missing = set(builders.FEATURES) - set(builder.info.features or ())
    if missing:
        raise quarantine_lib.DataError(
            f"{folder} has no features {sorted(missing)}; give a dataset that pa_jax wrote."
        )
    sides = ("train", "heldout") if split == "all" else (split,)
    ends = ("", builders.NOTHING) if keep_empty else ("",)
    names = [side + end for side in sides for end in ends if side + end in builder.info.splits]
    return numbered.joined([_episodes(builder.as_data_source(split=name)) for name in names])


def _episodes(records: Sequence) -> Sequence[schema.Episode]:
    return numbered.Numbered(len(records), lambda number: builders.episode(records[number]))


def cache_dir() -> pathlib.Path:
    """Where datasets are kept."""
    cache = os.environ.get("PA_JAX_CACHE") or pathlib.Path.home() / ".cache" / "pa_jax"
    return pathlib.Path(cache) / "tfds"


def _version_folder(folder: pathlib.Path) -> pathlib.Path:
    """The folder itself, or the one dataset below it (NAME/VARIANT/VERSION)."""
    found = sorted(path.parent for path in folder.glob("**/dataset_info.json"))
    if len(found) != 1:
        what = f"{len(found)} datasets ({', '.join(map(str, found[:3]))})" if found else "none"
        raise quarantine_lib.DataError(
            f"data.source='tfds:{folder}' holds {what}; give the folder of one dataset, which "
            "holds dataset_info.json."
        )
    return found[0]
