"""Code that a config names by "module:name"."""

import difflib
import importlib
from collections.abc import Callable
from typing import Any

SHOWN = 8  # names of a module in a message


def resolve(text: str, key: str) -> Callable[..., Any]:
    """The function or class that `text` names; ValueError names the config key and what is wrong.

    The module is imported from where Python finds modules: the folder a job is started in, what
    PYTHONPATH lists, and what is installed.
    """
    module, _, name = text.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise ValueError(
            f"{key}={text!r}: give module:name, the module as in an import and the name of a "
            "function or class in it (my_code:score)."
        )
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and imports another one that is not
        raise ValueError(
            f"{key}={text!r}: there is no module {error.name!r}; start the job in the folder of "
            f"{module.partition('.')[0]}.py, or add that folder to PYTHONPATH."
        ) from error
    if not hasattr(found, name):
        there = sorted(k for k, v in vars(found).items() if callable(v) and not k.startswith("_"))
        if len(there) > SHOWN:
            there = difflib.get_close_matches(name, there, SHOWN, cutoff=0.0)
        raise ValueError(
            f"{key}={text!r}: {found.__file__} has no {name!r}; it has {there or 'none to call'}."
        )
    made = getattr(found, name)
    if not callable(made):
        raise ValueError(
            f"{key}={text!r}: {name} is a {type(made).__name__}, nothing that can be called; name "
            "a function or class."
        )
    return made
