import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of public data for trying and testing; never part of this repository."""
    folder = pathlib.Path(os.environ.get("PA_JAX_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set PA_JAX_TEST_DATA to its folder")
    return folder
