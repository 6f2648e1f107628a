"""Items out of JSON and JSONL files, and their fields, checked."""

import io
import json
import pathlib
import re
from collections.abc import Iterator

from pa_jax.data import quarantine as quarantine_lib

_PEEKED = 64
_MARK = b"\xef\xbb\xbf"  # that editors put before UTF-8
_BLANK = b" \t\r\n\x1a"  # and the mark that DOS put at a file's end
_NO_LINES = {
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"\x1f\x8b": "is compressed; unpack it (gunzip)",
    b"PK\x03\x04": "is a ZIP archive; unpack it",
}


def find_files(path: str, pattern: str, *, key: str = "data.path") -> list[pathlib.Path]:
    """The file itself, or a folder's files of that pattern in order of name.

    `key` is the config's that gave the path: what is wrong is said of it.
    """
    if not path:
        raise quarantine_lib.DataError(
            f"{key} is empty, and files are read from there. Set --config.{key}=FILE_OR_FOLDER."
        )
    place = pathlib.Path(path).expanduser()
    if place.is_file():
        return [place]
    found = visible(place, pattern)
    if not found:
        what = f"a folder without {pattern}" if place.is_dir() else "not there"
        raise quarantine_lib.DataError(
            f"{key}={path!r} is {what}; give a file, or a folder that holds {pattern}."
        )
    return found


def visible(folder: pathlib.Path, pattern: str) -> list[pathlib.Path]:
    """A folder's files of a pattern in order of name; hidden ones (macOS's ._*) are no data."""
    return sorted(p for p in folder.glob(pattern) if p.is_file() and not p.name.startswith("."))


def read_bytes(path: pathlib.Path) -> bytes:
    """The file's bytes, or a DataError that names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def read_lines(
    path: pathlib.Path, quarantine: quarantine_lib.Quarantine
) -> Iterator[tuple[int, object]]:
    """Number (from 1) and value of each line that is JSON; blank lines are passed over.

    The caller accepts or rejects each value it is given; lines that are no JSON are rejected here.
    A line may begin with a mark of UTF-8, for files that were put together have one inside.
    """
    try:
        with path.open("rb") as file:
            _require_lines(path, file)
            for number, raw in enumerate(file, start=1):
                if raw.removeprefix(_MARK).strip(_BLANK):
                    try:
                        value = json.loads(raw.decode("utf-8-sig"))
                    except (ValueError, RecursionError) as error:
                        text = raw.decode("utf-8", errors="replace").rstrip("\n")
                        quarantine.reject(path, number, _no_json(error, raw), text)
                        continue
                    yield number, value
    except OSError as error:
        raise _unreadable(path, error) from error


def _require_lines(path: pathlib.Path, file: io.BufferedReader) -> None:
    """A DataError where a file begins as no JSON Lines do, with what to make of it."""
    begins = file.peek(_PEEKED)[:_PEEKED]
    what = next((what for mark, what in _NO_LINES.items() if begins.startswith(mark)), "")
    opens = begins.removeprefix(_MARK).lstrip()[:2]
    if not what and b"\0" in opens and opens.strip(b"\0"):
        what = _NO_LINES[b"\xff\xfe"]  # without its mark
    elif not what and opens[:1] == b"[" and _is_list(file):
        what = "holds a JSON list; write one object a line (jq -c '.[]')"
    elif re.match(rb"\{\r?\n[ \t]", begins):
        what = "holds objects of several lines; write one object a line (jq -c .)"
    if what:
        raise quarantine_lib.DataError(f"{path} {what}.")


def _no_json(error: Exception, raw: bytes) -> str:
    """Why a line is no JSON, in words that say what to do where that is known."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte {error.object[error.start]:#x}); save it as UTF-8"
    comma = "; leave out the comma behind the object" if raw.rstrip(_BLANK).endswith(b",") else ""
    return f"not JSON: {error}{comma}"


def _is_list(file: io.BufferedReader) -> bool:
    """Whether a file is one list, not lines of which the first is a list."""
    lines = (raw.strip(_BLANK) for raw in file)
    full = (raw for raw in lines if raw)
    first = next(full).removeprefix(_MARK)
    more = next(full, b"")
    file.seek(0)
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True
    return not more


def read_list(path: pathlib.Path) -> list[object]:
    """The list that a JSON file holds."""
    try:
        value = json.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise quarantine_lib.DataError(
            f"{path} is not JSON ({error}); it must hold one JSON list. Fetch it again."
        ) from error
    if not isinstance(value, list):
        raise quarantine_lib.DataError(
            f"{path} holds a {type(value).__name__}; it must hold one JSON list."
        )
    return value


def as_dict(value: object) -> dict:
    """The value, which must be a JSON object."""
    if not isinstance(value, dict):
        raise quarantine_lib.BadItem(f"{kind(value)} where an object belongs")
    return value


def text_of(item: dict, key: str) -> str:
    """A string field that holds more than blanks."""
    if key not in item:
        raise quarantine_lib.BadItem(f"no field {key!r}; it has {sorted(item)}")
    return as_text(item[key], key)


def as_text(value: object, name: str) -> str:
    """The value, which must be a string of valid Unicode that holds more than blanks."""
    if not isinstance(value, str):
        raise quarantine_lib.BadItem(f"{name!r} is {kind(value)}, not a text")
    if not value.strip():
        raise quarantine_lib.BadItem(f"{name!r} is blank")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise quarantine_lib.BadItem(f"{name!r} holds half a character pair: {error}") from error
    return value


def kind(value: object) -> str:
    """What JSON calls a value."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    kinds: dict[type, str] = {str: "a text", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number")


def as_whole(value: object) -> int | None:
    """The whole number that a value is, also as 3.0, as tables write it; else None."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_name(value: object, name: str) -> str:
    """The value, which must be a text of that kind without a NUL, which no database keeps."""
    text = as_text(value, name)
    if "\0" in text:
        raise quarantine_lib.BadItem(f"{name!r} is {text[:60]!r}, with a NUL in it")
    return text


def _unreadable(path: pathlib.Path, error: OSError) -> quarantine_lib.DataError:
    return quarantine_lib.DataError(
        f"{path} cannot be read: {error.strerror}; give a readable file or folder."
    )
