"""Built-in configs by name, on the command line and in Python."""

import importlib
import pathlib

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
    with pytest.raises(FileNotFoundError, match="built in are bench, chat, .*grpo"):
        configs.located("configs/nope.py")
    with pytest.raises(ValueError, match="choose one of bench, chat"):
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
