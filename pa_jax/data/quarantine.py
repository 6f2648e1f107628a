"""Bad items are counted and set aside with the reason; too many stop the run."""

import json
import os
from typing import IO

from absl import logging

MAX_BAD_SHARE = 0.05
EARLY_CHECK_ITEMS = 100  # from here on a bad share stops the reading at once, not at its end
MAX_KEPT_CHARS = 10_000


class DataError(ValueError):
    """The data as a whole cannot be used; the message says what was got, allowed and to do."""


class BadItem(ValueError):
    """One line or item cannot be read; the reader sets it aside and goes on."""


class Quarantine:
    """Counts items of one reading; bad ones are written to `path`, a JSONL file.

    The file is made at the first bad item and replaces an older one: give each reading its own.
    With `path=None` (a process that is not the first) bad items are counted only.
    """

    def __init__(self, path: str | os.PathLike | None) -> None:
        self.path = path
        self.seen = 0
        self.bad = 0
        self._first = ""  # what is wrong with the first bad one
        self._file: IO[str] | None = None

    def accept(self) -> None:
        """Counts an item that was read."""
        self.seen += 1
        self._check_early()

    def reject(self, file: str | os.PathLike, number: int, reason: str, text: str) -> None:
        """Counts and keeps a bad item; `number` is its line (from 1) or index (from 0)."""
        self.seen += 1
        self.bad += 1
        self._first = self._first or f"item {number}: {reason[:200]}"
        if self.bad <= 10:
            logging.warning("%s, item %d set aside: %s", file, number, reason)
        self._write(
            {"file": str(file), "number": number, "reason": reason, "text": text[:MAX_KEPT_CHARS]}
        )
        self._check_early()

    def finish(self, file: str | os.PathLike) -> None:
        """Ends one file or folder: raises when too much of all that was seen is bad."""
        self._check()
        if self.bad:
            logging.warning(
                "%s: %d of %d items set aside%s", file, self.bad, self.seen, self._where()
            )

    def close(self) -> None:
        """Closes the file of bad items."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, row: dict[str, str | int]) -> None:
        if self.path is None:
            return
        try:
            if self._file is None:
                os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
                self._file = open(self.path, "w", encoding="utf-8")
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"Cannot write bad items to {self.path}: {error.strerror}; the work directory must "
                "be writable and have space. Free some or choose another --workdir."
            ) from error

    def _where(self) -> str:
        return "" if self.path is None else f", kept with reasons in {self.path}"

    def _check_early(self) -> None:
        if self.seen >= EARLY_CHECK_ITEMS:
            self._check()

    def _check(self) -> None:
        if self.bad > MAX_BAD_SHARE * self.seen:
            raise DataError(
                f"{self.bad} of the first {self.seen} items cannot be read{self._where()}; at most "
                f"{MAX_BAD_SHARE:.0%} may be bad. The first is {self._first}. Check that the file "
                "is of the format that is read here (docs/reference/data.md), or repair it."
            )
