"""The built-in configs: in a checkout beside the package, in an installed package inside it."""

import ast
import contextlib
import difflib
import importlib
import pathlib
import sys
import types
from collections.abc import Iterator

import ml_collections

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def folder() -> pathlib.Path:
    """Where the built-in configs lie."""
    shipped = _PACKAGE / "shipped" / "configs"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "configs"


def names() -> list[str]:
    """What --config takes by name: a job each."""
    return sorted(p.stem for p in folder().glob("*.py") if p.stem != "common")


def about(name: str) -> str:
    """The first line of a built-in config's docstring."""
    tree = ast.parse((folder() / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def keys(config: ml_collections.ConfigDict) -> list[str]:
    """Every key of a config that holds a value, its sections' names in front."""
    found = []
    for name, value in config.items():
        inside = keys(value) if isinstance(value, ml_collections.ConfigDict) else [""]
        found += [f"{name}.{key}".rstrip(".") for key in inside]
    return found


def located(given: str) -> str:
    """FILE[:PRESET] for NAME[:PRESET]; FileNotFoundError for what is neither a file nor a name."""
    name, colon, preset = given.partition(":")
    if name in names():
        return f"{folder() / name}.py{colon}{preset}"
    if not pathlib.Path(name).is_file():
        alike = difflib.get_close_matches(pathlib.Path(name).stem.lower(), names(), 1)
        what = "a folder, no file" if pathlib.Path(name).is_dir() else "no such file"
        nearest = f"; the nearest is {alike[0]}" if alike else ""
        raise FileNotFoundError(f"--config={given}: {what}{nearest}; built in are {_built_in()}.")
    return given


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Inside, `configs` is the built-in folder (then the current folder's); after, as before.

    So `from configs import common` works in a config, and a package of somebody else's that is
    called `configs`, too, is neither taken for ours nor hidden by it.
    """
    before = {name: sys.modules.pop(name) for name in _imported()}
    made = types.ModuleType("configs")
    made.__path__ = [str(folder()), str(pathlib.Path.cwd() / "configs")]
    sys.modules["configs"] = made
    try:
        yield
    finally:
        for name in _imported():
            del sys.modules[name]
        sys.modules.update(before)


def load(given: str) -> ml_collections.ConfigDict:
    """The config of NAME[:PRESET], to change and to run: `jobs.table.JOBS[c.job](c, workdir)`."""
    name, _, preset = given.partition(":")
    if name not in names():
        raise ValueError(f"config {given!r}: choose one of {_built_in()}.")
    with importable():
        return importlib.import_module(f"configs.{name}").get_config(preset)


def presets() -> tuple[str, ...]:
    """What a built-in config may be given behind its colon."""
    with importable():
        return importlib.import_module("configs.common").PRESETS


def _imported() -> list[str]:
    return [name for name in sys.modules if name == "configs" or name.startswith("configs.")]


def _built_in() -> str:
    return ", ".join(names())
