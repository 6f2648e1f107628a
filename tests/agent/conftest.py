"""A store of its own for each test of the agent."""

import pytest

from pa_jax.profile import store


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/profiles.db"


@pytest.fixture
def profiles(url):
    opened = store.ProfileStore(url)
    yield opened
    opened.close()
