"""Writing so that a killed process or a full disk leaves the old file or the new, never half."""

import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import logging


def atomic_write(path: pathlib.Path, data: str | bytes) -> None:
    """Replace `path` by `data`, durably (text as UTF-8); on failure the old file stays."""
    data = data.encode() if isinstance(data, str) else data
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise _unwritten(e, path) from e
    sync_folder(path.parent)


def share(path: pathlib.Path) -> None:
    """Gives a file the mode of any new file there: some libraries write for the owner alone."""
    probe = path.with_name(f".{path.name}.{os.getpid()}.mode")
    probe.touch()
    path.chmod(probe.stat().st_mode)
    probe.unlink()


def sync_folder(folder: pathlib.Path) -> None:
    """Make renames and removals in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def append_line(path: pathlib.Path, line: str) -> None:
    """Add one line, handed to the system before this returns; on failure none of it stays."""
    append_lines(path, [line], durable=False)


def append_lines(path: pathlib.Path, lines: Sequence[str], *, durable: bool) -> None:
    """Add lines, all or (on failure) none; `durable` ones outlive the machine's power too."""
    for line in lines:
        if "\n" in line:
            raise ValueError(f"a line for {path} holds a line break: {line[:80]!r}; pass one line.")
    data = memoryview("".join(f"{line}\n" for line in lines).encode())
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(fd).st_size
        try:
            while data:
                data = data[os.write(fd, data) :]
            if durable:
                os.fsync(fd)
        except OSError as e:
            os.ftruncate(fd, size)
            raise _unwritten(e, path) from e
    finally:
        os.close(fd)


def read_rows(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line; a line that is not one (half-written) is left out."""
    with path.open("rb") as f:
        for line in f:
            row = _row(line)
            if row is not None:
                yield row


def truncate_rows(path: pathlib.Path, keep: Callable[[dict[str, Any]], bool]) -> int:
    """Cut a JSONL file back to the rows that `keep` accepts; the number of lines dropped.

    Broken lines (half-written by a killed process) are dropped too. Kept lines keep their bytes.
    """
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    kept, broken = [], 0
    for line in lines:
        row = _row(line)
        if row is None:
            broken += 1
        elif keep(row):
            kept.append(line)
    if broken:
        logging.warning("%s: %d half-written or broken lines dropped", path, broken)
    if len(kept) < len(lines):
        atomic_write(path, b"".join(kept))
    return len(lines) - len(kept)


def _row(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _unwritten(e: OSError, path: pathlib.Path) -> OSError:
    reason = f"{e.strerror}: not written, what was there is kept; free space or change the folder"
    return OSError(e.errno, reason, str(path))
