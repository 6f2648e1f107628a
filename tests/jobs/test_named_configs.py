"""Built-in configs by name, on the command line and in Python."""

import importlib
import pathlib
import sys

import pytest

from pa_jax import main
from pa_jax.jobs import configs, table


def test_the_names_are_the_jobs():
    assert set(configs.names()) == set(table.JOBS)


@pytest.mark.parametrize("flag", ["--config=grpo:tiny", "-config=grpo:tiny"])
def test_a_name_becomes_the_file_and_keeps_its_preset(flag, root):
    argv = ["main", flag, "--config.seed=grpo", "--workdir=grpo"]
    _, got, *rest = main.named(argv)
    assert got.partition("=")[2] == f"{root}/configs/grpo.py:tiny"
    assert rest == argv[2:]
    assert main.named(["main", "--config", "sft"])[2] == f"{root}/configs/sft.py"


def test_a_file_stays_as_it_is_whatever_its_name(tmp_path):
    own = tmp_path / "grpo.py"
    own.write_text("")
    assert configs.located(f"{own}:tiny") == f"{own}:tiny"


def test_what_is_neither_names_the_choices():
    with pytest.raises(FileNotFoundError, match="built in are ablate, bench, chat, .*grpo"):
        configs.located("configs/nope.py")
    with pytest.raises(ValueError, match="choose one of ablate, bench, chat"):
        configs.load("nope")


def test_loading_in_python_gives_the_same_config():
    want = importlib.import_module("configs.grpo").get_config("tiny")
    assert configs.load("grpo:tiny").to_json() == want.to_json()


def test_an_installed_package_finds_its_own(tmp_path, monkeypatch):
    package = tmp_path / "pa_jax"
    (package / "shipped" / "configs").mkdir(parents=True)
    (package / "shipped" / "configs" / "mine.py").write_text("")
    monkeypatch.setattr(configs, "_PACKAGE", package)
    assert configs.names() == ["mine"]
    assert pathlib.Path(configs.located("mine")) == package / "shipped" / "configs" / "mine.py"


def test_a_package_of_the_same_name_is_neither_taken_nor_hidden(tmp_path, monkeypatch):
    """Somebody's project has a package `configs` of its own, with a `common` in it."""
    for name in ("__init__", "common", "own"):
        (tmp_path / "configs").mkdir(exist_ok=True)
        (tmp_path / "configs" / f"{name}.py").write_text(f"NAME = 'their {name}'")
    ours = [name for name in sys.modules if name.partition(".")[0] == "configs"]
    for name in ours:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    theirs = importlib.import_module("configs")
    assert theirs.NAME == "their __init__"
    assert configs.load("grpo:tiny").job == "grpo"
    with configs.importable():
        assert importlib.import_module("configs.own").NAME == "their own"
        assert importlib.import_module("configs.common").PRESETS
    assert sys.modules["configs"] is theirs
    assert importlib.import_module("configs.common").NAME == "their common"
    for name in ("configs", "configs.common"):
        monkeypatch.delitem(sys.modules, name)
