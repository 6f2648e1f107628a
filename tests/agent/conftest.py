"""A store of its own for each test of the agent, and an agent of scripted models on it."""

import pytest

from pa_jax.profile import store
from tests.agent import scripted


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/profiles.db"


@pytest.fixture
def profiles(url):
    opened = store.ProfileStore(url)
    yield opened
    opened.close()


@pytest.fixture
def model():
    return scripted.Model()


@pytest.fixture
def agent(profiles, model):
    with scripted.agent(profiles, model) as opened:
        yield opened
