"""python -m pa_jax.main --config=NAME[:preset] [--config.key=value] [--workdir=DIR]
python -m pa_jax.main --help | --version

NAME is a file (configs/grpo.py, my/own.py) or one of the built-in configs, a job each.
"""

import datetime
import difflib
import functools
import logging as std_logging
import operator
import os
import pathlib
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from pa_jax.jobs import configs

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Built-in config or config file, with an optional preset behind a colon: grpo:tiny, "
    "configs/grpo.py:tiny.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    "",
    "Folder for everything a job writes (default runs/NAME-DATE). An existing one is resumed.",
)

CACHE = "jax_compilation_cache_dir"
HOST_ONLY = ("plan", "report")  # jobs that start no accelerator


def main(argv: list[str]) -> None:
    """Run the job that the config names; an expected failure is one line and exit status 2."""
    del argv  # parse left no more than the program's name
    config = _CONFIG.value
    if config.job in HOST_ONLY:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # JAX starts here, after the flags are known to be right.
    import jax

    from pa_jax.core import checkpoint, distributed, together
    from pa_jax.jobs import eval_keys, setup, table, tasks, values
    from pa_jax.models.io import source
    from pa_jax.profile.db import connect
    from pa_jax.train import loop

    # A second start finds the programs compiled.
    if not getattr(jax.config, CACHE):
        jax.config.update(CACHE, str(source.cache_dir() / "xla"))

    expected = (ValueError, OSError, checkpoint.DamagedError, connect.StoreError, loop.Diverged)
    date = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    workdir = pathlib.Path(_WORKDIR.value or f"runs/{config.job}-{date}")
    with together.Together(expected) as processes:
        distributed.start()
        processes.watch()
        if jax.process_count() > 1 and not _WORKDIR.value:
            raise ValueError(
                f"--workdir is not set and {jax.process_count()} processes share it; give the same "
                "folder on shared storage to all of them."
            )
        if jax.process_index() > 0:
            logging.set_verbosity(logging.WARNING)
        if config.job not in table.JOBS:
            raise ValueError(f"job={config.job!r}: choose one of {sorted(table.JOBS)}.")
        values.require(config)
        given = config_flags.get_override_values(flags.FLAGS["config"])
        if "task" in config:
            config = tasks.resolved(config, given)
        if config.job == "eval":
            eval_keys.require_used(config, given)
        values.require_read(config, given)
        with setup.alone(workdir):
            table.JOBS[config.job](config, workdir)


def parse(argv: list[str]) -> list[str]:
    """The positional arguments; a wrong flag or config key is one line, not a traceback."""
    given = list(argv)
    if set(argv[1:]) & {"--version", "-version", "-V"}:
        sys.stdout.write(f"pa_jax {metadata.version('pa_jax')}\n")
        sys.exit(0)
    if len(argv) == 1 or set(argv[1:]) & {"--help", "-help", "-h", "--helpshort"}:
        sys.stdout.write(usage())
        sys.exit(0 if len(argv) > 1 else 2)
    try:
        with configs.importable():
            given = named(argv)
            _require_values(given)
            rest = flags.FLAGS(given)
            if len(rest) > 1:
                raise flags.Error(_stray(given, rest[1]))
            if _CONFIG.value is not None:
                _CONFIG.value.get("job")  # a config file that failed to load says so here
                _split_words(_CONFIG.value)
                _require_elements(_CONFIG.value)
        return rest
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        message = _misspelt(given) or f"{type(error).__name__}: {error}"
    except flags.UnrecognizedFlagError as error:
        message = _misspelt(given, error.flagname) or str(error)
    except (flags.Error, OSError) as error:
        plain = _plainly(str(error).strip().splitlines()[-1].strip())
        message = _misspelt(given) or plain
    if not any(re.match(r"--?config(=|$)", one) for one in argv):
        message = _without_config(argv)
    sys.stderr.write(f"{message}\n")
    sys.exit(2)


def usage() -> str:
    """How it is started, and every job in a line."""
    width = max(map(len, configs.names()))
    jobs = "\n".join(f"  {name:{width}}  {configs.about(name)}" for name in configs.names())
    return f"{__doc__}\n{jobs}\n\n--helpfull has every flag; docs/reference/config.md every key.\n"


def _without_config(argv: Sequence[str]) -> str:
    """What to say where no config is named, with the job that is meant."""
    for argument in argv[1:]:
        word = argument.rpartition("=")[2].partition(":")[0]
        alike = difflib.get_close_matches(word.lower(), configs.names(), 1)
        if alike and alike[0] == word:
            return f"unknown argument {argument!r}; the job is named by --config={word}."
        if alike:
            return f"no config is named; the nearest to {argument!r} is --config={alike[0]}."
    return f"no config is named: give --config=NAME, one of {', '.join(configs.names())}."


def _require_values(argv: Sequence[str]) -> None:
    """A flags.Error where the next flag would be taken for a flag's value, or two name configs."""
    for flag, value in zip(argv[1:], argv[2:], strict=False):
        if re.fullmatch(r"--?(config|workdir)(\.[\w.]+)?", flag) and re.match("--?config", value):
            if "." not in flag or not _is_switch(argv, flag.partition(".")[2]):
                raise flags.Error(f"{flag} has no value: write {flag}=VALUE.")
    if sum(bool(re.match(r"--?config(=|$)", one)) for one in argv) > 1:
        raise flags.Error("--config is given twice; give one.")


def _is_switch(argv: Sequence[str], key: str) -> bool:
    """Whether a key is true or false, which alone means true."""
    config = _parsed(argv)
    known = configs.keys(config) if config is not None else ()
    value = functools.reduce(operator.getitem, key.split("."), config) if key in known else None
    return isinstance(value, bool)


def _stray(argv: Sequence[str], word: str) -> str:
    """What to say of an argument that is no flag, with the flag that is meant."""
    if word.partition(":")[0] in configs.names():
        return f"unknown argument {word!r}; the job is named by --config={word}."
    key = word.partition("=")[0]
    meant = re.search(r"--config\.\S+(?= is the nearest)", _misspelt(argv, key))
    return f"unknown argument {word!r}; options are {meant[0] if meant else '--config.KEY'}=VALUE."


def _plainly(message: str) -> str:
    """An error of a flag's value without Python's names for it."""
    if " as tuple" in message:
        return f"{message.partition(': Error')[0]}: several are written (A,B), words in quotes."
    for said, what in _VALUES.items():
        if said in message:
            return f"{message.partition(f': {said}')[0].removesuffix(': (')}: {what} is allowed."
    return message


_VALUES = {  # what Python says of a value -> what its key holds
    "invalid literal for int()": "a whole number",
    "could not convert string to float": "a number, with a point for decimals,",
    "('Non-boolean argument to boolean flag'": "true or false",
}


def _split_words(config: ml_collections.ConfigDict) -> None:
    """Several words for a tuple, with commas between and no more, are several elements."""
    for key in config_flags.get_override_values(flags.FLAGS["config"]):
        *sections, name = key.split(".")
        section = functools.reduce(operator.getitem, sections, config)
        value = section[name]
        if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], str):
            words = tuple(word.strip() for word in value[0].split(","))
            if len(words) > 1 and all(words) and not pathlib.Path(value[0]).exists():
                section[name] = words


def _require_elements(config: ml_collections.ConfigDict) -> None:
    """A flags.Error for a tuple of the command line with elements that its key does not hold."""
    flag = flags.FLAGS["config"]
    before = flag.parser.parse(config_flags.get_config_filename(flag))
    for key in config_flags.get_override_values(flag):
        now: Any = config
        was: Any = before
        for name in key.split("."):
            now, was = now[name], was[name]
        if not isinstance(now, tuple) or not was:
            continue
        kinds = {type(one) for one in was}
        if not {type(one) for one in now} <= (kinds | {int} if float in kinds else kinds):
            raise flags.Error(
                f"config key {key!r} is {now}: what it holds is of another kind, as in {was}; "
                f'several are written "--config.{key}=(A,B)", words in quotes.'
            )


def _misspelt(argv: Sequence[str], flag: str = "") -> str:
    """What is wrong with the first unknown key, and the nearest one; "" where all are known."""
    config = _parsed(argv)
    if config is None:
        return ""
    known = configs.keys(config)
    if flag:
        flag = flag.partition("=")[0]
        if flag in _OUTSIDE:
            return f"unknown flag --{flag}; {_OUTSIDE[flag]}."
        alike = difflib.get_close_matches(flag, ("workdir", "config", "verbosity"), 1)
        if "." not in flag and alike:
            nearest = alike[0]
        else:  # conf.rollout.group, or a key by itself
            inside = flag.partition(".")[2]
            nearest = f"config.{_nearest(inside if inside in known else flag, known)}"
        return f"unknown flag --{flag}; keys begin with config: --{nearest} is the nearest."
    for argument in argv:
        match = re.match(r"--?(?:no)?config\.([^=]+)", argument)
        if match and match[1] in _OUTSIDE:
            return f"unknown config key {match[1]!r}; {_OUTSIDE[match[1]]}."
        if match and match[1] not in known:
            keys = [key for key in known if key.startswith(f"{match[1]}.")]
            if keys:
                return f"config key {match[1]!r} is a section; set a key of it, as {keys[0]!r}."
            nearest = _nearest(match[1], known)
            return f"unknown config key {match[1]!r}; the nearest is {nearest!r}."
    return ""


def _parsed(argv: Sequence[str]) -> Any:
    """The config that the arguments name, without their overrides; None where it cannot be read."""
    path = next((a.partition("=")[2] for a in argv if re.match("--?config=", a)), "")
    path = path or next((b for a, b in zip(argv, argv[1:], strict=False) if a == "--config"), "")
    if not path:
        return None
    try:
        with configs.importable():
            config: Any = flags.FLAGS["config"].parser.parse(path)
            config.get("job")  # a file that failed to load says so here
            return config
    except (AttributeError, KeyError, TypeError, ValueError, OSError):  # of the file itself
        return None


_OUTSIDE = {  # what is no key of a config -> where it is said
    "preset": "a preset stands behind the config's name, --config=grpo:tiny",
    "workdir": "the folder is named by --workdir=DIR",
    "config": "the job is named by --config=NAME",
}


def _nearest(given: str, known: Sequence[str]) -> str:
    """The key that is spelt most alike; what stands behind the last dot counts most.

    An abbreviation is near to what it stands for: lr to learning_rate.
    """

    def likeness(key: str) -> float:
        ends = [text.rpartition(".")[2] for text in (given, key)]
        initials = "".join(word[0] for word in ends[1].split("_") if word)
        short = ends[0] == initials or ends[1].startswith(ends[0])
        end = 1.0 if short else difflib.SequenceMatcher(None, ends[0], ends[1]).ratio()
        return end + difflib.SequenceMatcher(None, given, key).ratio()

    return max(known, key=likeness)


def named(argv: Sequence[str]) -> list[str]:
    """The arguments with the file of a built-in config where its name stands."""
    made = list(argv)
    for i, argument in enumerate(argv):
        flag, equals, value = argument.partition("=")
        if flag in ("-config", "--config") and equals:
            made[i] = f"{flag}={configs.located(value)}"
        elif flag in ("-config", "--config") and i + 1 < len(argv):
            made[i + 1] = configs.located(argv[i + 1])
    return made


def run() -> None:
    """Entry point: flags, then `main`."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # "PyTorch was not found"
    for name in ("jax", "alembic"):  # backends that are not here; every step of a migration
        std_logging.getLogger(name).setLevel(std_logging.WARNING)
    flags.mark_flag_as_required("config")
    logging.set_verbosity(logging.INFO)
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    run()
