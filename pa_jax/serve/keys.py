"""API keys and the users that each may touch.

A TOML file (or JSON of the same shape), readable by its owner:

    [[keys]]
    key = "a long random text"         # or sha256 = "hex digest of it"
    users = ["ann", "team-*"]          # names, or beginnings that end with *
    operator = true                    # may also read /metrics and the load in /health, which
                                       # tell of everybody's requests; false where left out
    user = "ann"                       # whose turns the requests are that name no user, for front
                                       # ends that send none; nobody's where left out

Whether a user exists plays no part: a user who is not on the list is refused before anything is
looked up, so the answer is the same for one who is there and one who is not.
"""

import dataclasses
import hashlib
import hmac
import json
import pathlib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pa_jax.serve import errors

LEAST_CHARS = 16  # of a key
_FIELDS = ({"key", "users"}, {"sha256", "users"})
_OPTIONAL = {"operator", "user"}


@dataclasses.dataclass(frozen=True)
class Access:
    """What a caller may do.

    users     that it may touch: names, or beginnings that end with *
    operator  it may see how busy the server is, over all callers
    name      of the key in metrics: its place in the file; "" where there are no keys
    user      whose requests those are that name nobody; None: nobody's
    """

    users: tuple[str, ...]
    operator: bool
    name: str
    user: str | None = None

    def may(self, user: str) -> bool:
        """Whether `user` is one of them."""
        return any(
            user.startswith(name[:-1]) if name.endswith("*") else user == name
            for name in self.users
        )


EVERYONE = Access(("*",), operator=True, name="")


def unknown() -> errors.ApiError:
    """What a caller is told whose key is none of the server's."""
    return errors.ApiError(
        401,
        "no API key that is known here came along; send Authorization: Bearer KEY.",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


class Keys:
    """The keys of a server, by their SHA-256 digests."""

    def __init__(self, by_digest: Mapping[bytes, Access]) -> None:
        self._by_digest = dict(by_digest)
        self.names = tuple(access.name for access in self._by_digest.values())

    def access(self, key: str) -> Access | None:
        """What a key opens, None for one that is not known; takes as long for any key."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for known, access in self._by_digest.items():
            if hmac.compare_digest(known, digest):
                found = access
        return found


def load(path: pathlib.Path) -> Keys:
    """The keys in a file; ValueError says what is wrong with it, and shows no key."""
    try:
        raw = path.read_bytes()  # PowerShell writes UTF-16, editors on Windows a mark in front
        utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = raw.decode("utf-16" if utf16 else "utf-8-sig").replace("\r\n", "\n")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ValueError(f"key_file={str(path)!r} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"keys file {path}: {error}; see pa_jax/serve/keys.py.") from error
    entries = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"keys file {path} names no keys; write [[keys]] with key and users.")
    made: dict[bytes, Access] = {}
    for number, entry in enumerate(entries, start=1):
        digest, access = _entry(entry, number, f"keys file {path}, entry {number}")
        if digest in made:
            raise ValueError(f"keys file {path}, entry {number}: that key was there already.")
        made[digest] = access
    return Keys(made)


def _entry(entry: Any, number: int, where: str) -> tuple[bytes, Access]:
    if not isinstance(entry, dict) or set(entry) - _OPTIONAL not in _FIELDS:
        got = sorted(entry) if isinstance(entry, dict) else type(entry).__name__
        raise ValueError(
            f"{where} has {got}; give key (or sha256) and users, and operator and user at most."
        )
    operator = entry.get("operator", False)
    if not isinstance(operator, bool):
        raise ValueError(f"{where}: operator must be true or false.")
    access = Access(_users(entry["users"], where), operator, f"{number}")
    user = entry.get("user")
    if user is None:
        return _digest(entry, where), access
    if not isinstance(user, str) or not access.may(user):
        raise ValueError(f"{where}: user {user!r:.60} is not among its users; name one that is.")
    return _digest(entry, where), dataclasses.replace(access, user=user)


def _digest(entry: Mapping[str, Any], where: str) -> bytes:
    if "sha256" in entry:
        text = entry["sha256"]
        if not isinstance(text, str) or len(text) != 64 or set(text) - set("0123456789abcdef"):
            raise ValueError(f"{where}: sha256 must be 64 lower-case hex digits.")
        return bytes.fromhex(text)
    key = entry["key"]
    usable = isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key
    if not usable or len(key) < LEAST_CHARS:
        raise ValueError(
            f"{where}: a key is a text of at least {LEAST_CHARS} printable ASCII characters "
            "without blanks; python -c 'import secrets; print(secrets.token_urlsafe())' makes one."
        )
    return hashlib.sha256(key.encode()).digest()


def _users(users: Any, where: str) -> tuple[str, ...]:
    listed = isinstance(users, Sequence) and not isinstance(users, str) and users
    if not listed or not all(isinstance(user, str) and user for user in users):
        raise ValueError(f'{where}: users must be a list of names, like ["ann", "team-*"].')
    for user in users:
        if "*" in user[:-1]:
            raise ValueError(f"{where}: user {user!r:.60} has a * that is not at its end.")
    return tuple(users)


def require_user(user: str) -> str:
    """The id of a user; an ApiError unless addresses can carry it."""
    if user.strip() and len(user) <= 256 and user.isprintable() and "/" not in user:
        if user not in (".", ".."):
            return user
    raise errors.ApiError(
        400,
        f"user has {len(user)} characters; give 1 to 256 printable ones, no /, and not . or ..",
        code="invalid_value",
        param="user",
    )


def require_access(access: Access, user: str) -> None:
    """An ApiError, the same whether or not the user exists, unless the key may touch the user."""
    require_user(user)
    if not access.may(user):
        raise errors.ApiError(
            403,
            "this key may not touch that user; ask for a key whose users list has it.",
            code="user_not_allowed",
            param="user",
        )
