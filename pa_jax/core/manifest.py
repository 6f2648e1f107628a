"""The last file of a finished folder: size and sha256 of every other file in it."""

import hashlib
import json
import pathlib

from pa_jax.core import files

NAME = "MANIFEST.json"


def write(folder: pathlib.Path) -> None:
    """Declare `folder` finished: call when nothing writes to it any more."""
    listed = {name: [path.stat().st_size, _sha256(path)] for name, path in _files(folder).items()}
    files.atomic_write(folder / NAME, json.dumps(listed, indent=1))


def finished(folder: pathlib.Path) -> bool:
    """Whether `folder` was declared finished; says nothing about damage since."""
    return (folder / NAME).is_file()


def damage(folder: pathlib.Path) -> str | None:
    """What differs from the manifest, or None; reads every byte once."""
    try:
        listed = json.loads((folder / NAME).read_bytes())
        expected = {str(name): (int(size), str(sha)) for name, (size, sha) in listed.items()}
    except (OSError, ValueError, TypeError, AttributeError) as e:
        return f"{NAME} cannot be read ({e})"
    present = _files(folder)
    try:
        for name, (size, _) in expected.items():
            if name not in present:
                return f"{name} is missing"
            if (got := present[name].stat().st_size) != size:
                return f"{name} has {got} bytes, not {size}"
        for name, (_, sha) in expected.items():
            if _sha256(present[name]) != sha:
                return f"{name} differs from what was written (sha256)"
    except OSError as e:
        return f"a file cannot be read ({e})"
    return None


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: found[name] for name in sorted(found) if not _own(name)}


def _own(name: str) -> bool:
    return name == NAME or (name.startswith(f".{NAME}.") and name.endswith(".tmp"))


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
