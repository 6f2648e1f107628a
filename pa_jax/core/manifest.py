"""The last file of a finished folder: sizes of every other file in it, and its record's sha256.

Nothing is read back for it: what the files hold is checked where it is used (core/sums). Manifests
of before have a sha256 of every file in place of sizes alone, and those are still checked.
"""

import hashlib
import json
import pathlib
from typing import Any

from pa_jax.core import files

NAME = "MANIFEST.json"


def write(folder: pathlib.Path, record: Any) -> None:
    """Declare `folder` finished: call when nothing writes to it any more."""
    sizes = {name: path.stat().st_size for name, path in _files(folder).items()}
    listed = {"files": sizes, "record": _digest(record)}
    files.atomic_write(folder / NAME, json.dumps(listed, indent=1))


def finished(folder: pathlib.Path) -> bool:
    """Whether `folder` was declared finished; says nothing about damage since."""
    return (folder / NAME).is_file()


def damage(folder: pathlib.Path) -> str | None:
    """What differs from the manifest, or None; of an older manifest's files every byte is read."""
    try:
        sizes, sums = _listed(folder)
    except (OSError, ValueError, TypeError, AttributeError) as e:
        return f"{NAME} cannot be read ({e})"
    present = _files(folder)
    try:
        for name, size in sizes.items():
            if name not in present:
                return f"{name} is missing"
            if (got := present[name].stat().st_size) != size:
                return f"{name} has {got} bytes, not {size}"
        for name, sha in sums.items():
            if _sha256(present[name]) != sha:
                return f"{name} differs from what was written (sha256)"
    except OSError as e:
        return f"a file cannot be read ({e})"
    return None


def other_record(folder: pathlib.Path, record: Any) -> str | None:
    """What is wrong with a record that was read, or None; manifests of before know of none."""
    listed = json.loads((folder / NAME).read_bytes())
    if "record" not in listed or listed["record"] == _digest(record):
        return None
    return "its record differs from what was written (sha256)"


def _listed(folder: pathlib.Path) -> tuple[dict[str, int], dict[str, str]]:
    """Sizes, and sums where the manifest is an older one."""
    listed = json.loads((folder / NAME).read_bytes())
    if "record" in listed:
        return {str(name): int(size) for name, size in listed["files"].items()}, {}
    pairs = {str(name): (int(size), str(sha)) for name, (size, sha) in listed.items()}
    return {n: size for n, (size, _) in pairs.items()}, {n: sha for n, (_, sha) in pairs.items()}


def _digest(record: Any) -> str:
    plain = json.loads(json.dumps(record))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: found[name] for name in sorted(found) if not _own(name)}


def _own(name: str) -> bool:
    return name == NAME or (name.startswith(f".{NAME}.") and name.endswith(".tmp"))


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
