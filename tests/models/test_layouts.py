"""Layouts of every preset on every mesh are on file, so that a change of one shows in the diff."""

import importlib.util
import json
import pathlib

import pytest

from pa_jax.models import config

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_layouts", GOLDEN / "make_layouts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("preset", sorted(config.PRESETS))
def test_layouts_are_those_on_file(script, preset):
    on_file = json.loads((GOLDEN / "layouts" / f"{preset}.json").read_text())
    assert script.layouts(preset) == on_file, "meant? python tests/golden/make_layouts.py"
