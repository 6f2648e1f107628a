"""Starts of the command line without the imports of each."""

import pytest

from tests.jobs import starts


@pytest.fixture(scope="session")
def started(root, tmp_path_factory):
    """Runs `pa_jax.main` with arguments and an environment; what `subprocess.run` gives back."""
    opened = starts.Starts(root, tmp_path_factory.mktemp("starts"))
    yield opened.run
    opened.close()
