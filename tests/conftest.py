"""Eight CPU devices for every test, and where real data lies."""

import atexit
import os
import pathlib
import shutil
import tempfile

from beartype import BeartypeConf, claw

from tests import devices

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {devices.flags(8)}"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # tiny arrays: compiling costs more than running
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
# What one test compiled, the next need not: all workers, and the jobs they start, share a cache.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="pa-jax-xla-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

import pytest

# Types are checked at every call: beartype does it, and jaxtyping where arrays have shapes
# (pyproject.toml). That one binds the arguments of each call, which rules over words would feel.
claw.beartype_package("pa_jax", conf=BeartypeConf(claw_is_pep526=False))

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("PA_JAX_TEST_DATA", ROOT.parent / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that say EARLY come first: begun last, all other workers would wait for them."""
    items.sort(key=lambda item: not getattr(getattr(item, "module", None), "EARLY", False))


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """Folder of real public data (PA_JAX_TEST_DATA); the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; set PA_JAX_TEST_DATA to a folder that holds it")
    return DATA
