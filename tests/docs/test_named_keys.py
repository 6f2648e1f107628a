"""Keys of configs that pages, notebooks, scripts and messages name: each is there."""

import json
import re

import pytest

from pa_jax.jobs import configs, setup
from tests.docs import markdown

GIVEN = re.compile(r"--config\.([a-z][\w.]*\w)")
LOADED = re.compile(r'(\w+) = configs\.load\(f?"(\w+)')
WHERE = ("docs/**/*.md", "*.md", "tpu/*", "notebooks/*.ipynb", "configs/*.py", "pa_jax/**/*.py")
MEANT = {"key"}  # --config.key=value, of a pattern


@pytest.fixture(scope="module")
def known():
    """Every key of every config, and every section."""
    found = set()
    for name in configs.names():
        for key in setup.flat(configs.load(name).to_dict()):
            parts = key.split(".")
            found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return found


@pytest.mark.parametrize("pattern", WHERE)
def test_a_key_of_the_command_line_is_one(pattern, known):
    paths = [path for path in markdown.ROOT.glob(pattern) if path.is_file()]
    assert paths
    for path in paths:
        for key in GIVEN.findall(path.read_text(encoding="utf-8", errors="replace")):
            assert key in known or key in MEANT, f"{path}: --config.{key} is no key"


@pytest.mark.parametrize("name", ["colab_grpo", "plan_a_slice", "profile_agent"])
def test_an_attribute_of_a_notebooks_config_is_a_key_of_its_job(name):
    path = markdown.ROOT / "notebooks" / f"{name}.ipynb"
    cells = json.loads(path.read_text())["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    loaded = LOADED.findall(code)
    assert loaded
    for variable, job in loaded:
        tree = configs.load(job).to_dict()
        used = re.findall(rf"\b{variable}((?:\.[a-z]\w*)+)", code)
        assert used or "(" in code
        for dotted in used:
            inside = tree
            for part in dotted.strip(".").split("."):
                assert part in inside, f"{path}: {job} has no {dotted}"
                inside = inside[part]
                if not isinstance(inside, dict):
                    break
