"""python -m pa_jax.main --config=configs/NAME.py[:preset] [--config.key=value] [--workdir=DIR]"""

import datetime
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


def main(argv: list[str]) -> None:
    """Run the job that the config names."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments {argv[1:]}; options are --config.KEY=VALUE.")
    config = _CONFIG.value
    from pa_jax.jobs import table  # JAX starts here, after the flags are known to be right

    if config.job not in table.JOBS:
        raise app.UsageError(f"config.job={config.job!r}: choose one of {sorted(table.JOBS)}.")
    date = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    workdir = pathlib.Path(_WORKDIR.value or f"runs/{config.job}-{date}")
    try:
        table.JOBS[config.job](config, workdir)
    except (ValueError, FileNotFoundError, PermissionError, TypeError) as error:
        if logging.get_verbosity() >= logging.DEBUG:
            raise
        logging.error("%s", error)
        sys.exit(2)


def run() -> None:
    """Entry point: flags, then `main`. The configs folder lies beside the package."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    flags.mark_flag_as_required("config")
    logging.set_verbosity(logging.INFO)
    app.run(main)


if __name__ == "__main__":
    run()
