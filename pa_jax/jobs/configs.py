"""The built-in configs: in a checkout beside the package, in an installed package inside it."""

import importlib
import pathlib
import sys

import ml_collections

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def home() -> pathlib.Path:
    """The folder that holds `configs`; on sys.path, `from configs import common` works."""
    shipped = _PACKAGE / "shipped"
    return shipped if shipped.is_dir() else _PACKAGE.parent


def names() -> list[str]:
    """What --config takes by name: a job each."""
    return sorted(p.stem for p in (home() / "configs").glob("*.py") if p.stem != "common")


def located(given: str) -> str:
    """FILE[:PRESET] for NAME[:PRESET]; FileNotFoundError for what is neither a file nor a name."""
    name, colon, preset = given.partition(":")
    if name in names():
        return f"{home() / 'configs' / name}.py{colon}{preset}"
    if not pathlib.Path(name).is_file():
        raise FileNotFoundError(f"--config={given}: no such file; built in are {_built_in()}.")
    return given


def load(given: str) -> ml_collections.ConfigDict:
    """The config of NAME[:PRESET], to change and to run: `jobs.table.JOBS[c.job](c, workdir)`."""
    name, _, preset = given.partition(":")
    if name not in names():
        raise ValueError(f"config {given!r}: choose one of {_built_in()}.")
    if str(home()) not in sys.path:
        sys.path.insert(0, str(home()))
    return importlib.import_module(f"configs.{name}").get_config(preset)


def _built_in() -> str:
    return ", ".join(names())
