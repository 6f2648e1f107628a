"""Files that are what a known hash says: checked once, remembered until they change."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator

from pa_jax.core import files


@contextlib.contextmanager
def lock(path: pathlib.Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def problem(path: pathlib.Path, wanted: str, stamp_path: pathlib.Path) -> str:
    """What is wrong with a cached file, "" if nothing; hashed only if it changed since its stamp.

    `wanted` is a SHA-256, or a 40-digit git object name.
    """
    if not path.is_file():
        return "not in the cache"
    if stamp_path.is_file() and stamp_path.read_text() == _stamp(path, wanted):
        return ""
    got = digest(path, wanted)
    if got != wanted:
        return f"damaged: {'sha256' if len(wanted) == 64 else 'git sha1'} is {got}, not {wanted}"
    stamp(path, wanted, stamp_path)
    return ""


def stamp(path: pathlib.Path, known: str, stamp_path: pathlib.Path) -> None:
    """Remember that the file, as it is now, has this hash."""
    files.atomic_write(stamp_path, _stamp(path, known))


def _stamp(path: pathlib.Path, known: str) -> str:
    stat = path.stat()
    return json.dumps({"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": known})


def digest(path: pathlib.Path, like: str) -> str:
    """The file's hash of the kind that `like` is: SHA-256 or, of 40 digits, git's for a file."""
    with path.open("rb") as file:
        if len(like) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest()
        start = f"blob {os.fstat(file.fileno()).st_size}\0".encode()
        return hashlib.file_digest(file, lambda: hashlib.sha1(start)).hexdigest()
