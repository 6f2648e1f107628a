"""python -m pa_jax.main --config=configs/NAME.py[:preset] [--config.key=value] [--workdir=DIR]"""

import datetime
import logging as std_logging
import os
import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file, with an optional preset behind a colon: configs/grpo.py:tiny."
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    "",
    "Folder for everything a job writes (default runs/NAME-DATE). An existing one is resumed.",
)

HOST_ONLY = ("plan",)  # jobs that start no accelerator


def main(argv: list[str]) -> None:
    """Run the job that the config names; an expected failure is one line and exit status 2."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments {argv[1:]}; options are --config.KEY=VALUE.")
    config = _CONFIG.value
    if config.job in HOST_ONLY:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # JAX starts here, after the flags are known to be right.
    import jax

    from pa_jax.core import checkpoint, distributed
    from pa_jax.jobs import table
    from pa_jax.models.io import source
    from pa_jax.profile import connect
    from pa_jax.train import loop

    if not jax.config.jax_compilation_cache_dir:  # a second start finds the programs compiled
        jax.config.update("jax_compilation_cache_dir", str(source.cache_dir() / "xla"))

    if config.job not in table.JOBS:
        raise app.UsageError(f"config.job={config.job!r}: choose one of {sorted(table.JOBS)}.")
    expected = (ValueError, OSError, checkpoint.DamagedError, connect.StoreError, loop.Diverged)
    date = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    workdir = pathlib.Path(_WORKDIR.value or f"runs/{config.job}-{date}")
    try:
        distributed.start()
        if jax.process_count() > 1 and not _WORKDIR.value:
            raise ValueError(
                f"--workdir is not set and {jax.process_count()} processes share it; give the same "
                "folder on shared storage to all of them."
            )
        if jax.process_index() > 0:
            logging.set_verbosity(logging.WARNING)
        table.JOBS[config.job](config, workdir)
    except expected as error:
        if logging.get_verbosity() >= logging.DEBUG:
            raise
        logging.error("%s (--verbosity=1 shows where)", error)
        sys.exit(2)


def parse(argv: list[str]) -> list[str]:
    """The positional arguments; a wrong flag or config key is one line, not a traceback."""
    try:
        rest = flags.FLAGS(argv)
        if _CONFIG.value is not None:
            _CONFIG.value.get("job")  # a config file that failed to load says so here
        return rest
    except AttributeError as error:
        text = str(error).replace("\\n", " ").replace("\\'", "'").strip("'")
        message = f"unknown config key {text}"
    except (flags.Error, OSError) as error:
        message = str(error).strip().splitlines()[-1].strip()
    sys.stderr.write(f"{message}\nSee --help, and the config file for its keys.\n")
    sys.exit(2)


def run() -> None:
    """Entry point: flags, then `main`. The configs folder lies beside the package."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # "PyTorch was not found"
    std_logging.getLogger("jax").setLevel(std_logging.WARNING)  # backends that are not here
    std_logging.getLogger("alembic").setLevel(std_logging.WARNING)  # a line a plugin
    flags.mark_flag_as_required("config")
    logging.set_verbosity(logging.INFO)
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    run()
