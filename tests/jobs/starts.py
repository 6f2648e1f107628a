"""Starts of `python -m pa_jax.main` in forks of one process that has made its imports.

A fresh start imports for seconds; a command line that is refused says so in a moment. JAX starts
its devices behind the fork, so a start differs from a fresh one by the time alone.

python -m tests.jobs.starts reads a start a line and answers each with its exit status.
"""

import gc
import json
import os
import pathlib
import runpy
import subprocess
import sys


class Starts:
    """The process of imports; `run` is one start."""

    def __init__(self, root: pathlib.Path, folder: pathlib.Path):
        self.folder = folder
        command = [sys.executable, "-m", "tests.jobs.starts"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=root, text=True, **pipes)

    def run(self, arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        said = [self.folder / name for name in ("stdout", "stderr")]
        order = {"arguments": arguments, "env": env, "said": [str(path) for path in said]}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        status = os.waitstatus_to_exitcode(int(self.process.stdout.readline()))
        return subprocess.CompletedProcess(arguments, status, *(path.read_text() for path in said))

    def close(self) -> None:
        self.process.communicate()  # it ends with what it reads


def serve() -> None:
    from pa_jax.jobs import table  # noqa: F401 (what main imports once the flags are right)

    gc.freeze()  # or a fork copies all of this to look through it at its end
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            begin(**order)
            return
        sys.stdout.write(f"{os.waitpid(child, 0)[1]}\n")
        sys.stdout.flush()


def begin(arguments: list[str], env: dict[str, str], said: list[str]) -> None:
    """As the command line does it: this process ends as that one would."""
    for number, path in enumerate(said, start=1):
        with open(path, "w") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["main", *arguments]
    runpy.run_module("pa_jax.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
