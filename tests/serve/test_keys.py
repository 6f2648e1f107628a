"""Files of API keys, and where a server may listen."""

import hashlib
import json

import pytest

from pa_jax.jobs import serve
from pa_jax.serve import keys

KEY = "a-key-of-some-length"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no keys"),
        ("keys = 5", "names no keys"),
        ("[[keys]]\nkey = 'sixteen-characters'", "give key"),
        ("[[keys]]\nkey = 'sixteen-characters'\nuser = ['a']", "give key"),
        ("[[keys]]\nkey = 'short'\nusers = ['a']", "at least 16"),
        ("[[keys]]\nkey = 'sixteen characters'\nusers = ['a']", "blanks"),
        ("[[keys]]\nkey = 'sixteen-characters'\nusers = 'a'", "list of names"),
        ("[[keys]]\nkey = 'sixteen-characters'\nusers = ['*a']", "not at its end"),
        ("[[keys]]\nsha256 = 'AB'\nusers = ['a']", "64"),
        ("[[keys]]\nkey = 'sixteen-characters'\nusers = ['a']\n" * 2, "there already"),
        ("[[keys]]\nkey = 'sixteen-characters'\nusers = ['a']\noperator = 1", "true or false"),
        ("[[keys", "keys file"),
    ],
)
def test_key_files_that_are_wrong(tmp_path, text, says):
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        keys.load(path)
    assert "sixteen" not in str(caught.value)


@pytest.mark.parametrize("name", ["keys.toml", "keys.json"])
def test_a_mark_in_front_of_the_file_is_no_fault(tmp_path, name):
    text = {
        "keys.toml": f"[[keys]]\nkey = {KEY!r}\nusers = ['ann']\n",
        "keys.json": json.dumps({"keys": [{"key": KEY, "users": ["ann"]}]}),
    }[name]
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert keys.load(tmp_path / name)


def test_json_and_digests_open_the_same(tmp_path):
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    plain, other = tmp_path / "keys.toml", tmp_path / "keys.json"
    plain.write_text(f"[[keys]]\nkey = '{KEY}'\nusers = ['ann', 'team-*']")
    other.write_text(json.dumps({"keys": [{"sha256": digest, "users": ["ann", "team-*"]}]}))
    for path in (plain, other):
        known = keys.load(path)
        may = [
            user
            for user in ("ann", "anna", "team-", "team-x", "team")
            if known.access(KEY).may(user)
        ]
        assert not known.access(KEY).operator
        assert may == ["ann", "team-", "team-x"]
        assert known.access(f"{KEY}x") is known.access("") is known.access(digest) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_need_keys(host):
    with pytest.raises(ValueError, match="key_file=keys.toml"):
        serve.listen(host, 0, keyless=True)
    serve.listen("0.0.0.0", 0, keyless=False).close()
    serve.listen("localhost", 0, keyless=True).close()


@pytest.mark.parametrize("code", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_file_as_windows_writes_it_is_read(tmp_path, code):
    path = tmp_path / "keys.toml"
    mark = "\ufeff" if code == "utf-16-be" else ""
    text = f'{mark}[[keys]]\r\nkey = "abcdefghijklmnopqrst"\r\nusers = ["ann"]\r\n'
    path.write_bytes(text.encode(code))
    assert keys.load(path).access("abcdefghijklmnopqrst").users == ("ann",)
