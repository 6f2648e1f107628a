"""Imports point down the layers of the design; text-only packages never load JAX."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

LAYERS = (  # top first; packages of one layer do not import each other
    ("__main__",),
    ("main",),
    ("jobs",),
    ("evaluate", "bench", "plan", "serve"),
    ("rl", "agent"),
    ("judge", "train"),
    ("infer",),
    ("data", "models"),
    ("dialogue",),
    ("profile",),
    ("core", "english"),
)
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}
PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "pa_jax"
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: pathlib.Path) -> set[str]:
    """Top-level parts of pa_jax that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("pa_jax.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    for other in imported(path) - {part}:
        assert DEPTH[part] < DEPTH[other], f"{part} may not import {other}"


CONTRACT = (  # what scripts and notebooks outside import, and the way in which they do
    *("models.load", "models.save_hf", "infer.Engine", "infer.score.logprobs", "judge.Judge"),
    *("data.decompose", "profile.ProfileStore", "agent.Agent", "evaluate.metrics.alignment_curve"),
)


@pytest.mark.parametrize("path", CONTRACT)
def test_a_name_that_people_outside_use_is_where_it_was(path):
    module, _, name = f"pa_jax.{path}".rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def test_every_job_is_found_without_the_extras():
    """README's first command installs none of them; each is asked for by the job that needs it."""
    extras = ("fastapi", "starlette", "uvicorn", "prometheus_client", "psycopg", "openai", "libtpu")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras}))\n"
        "import pa_jax.main\n"
        "from pa_jax.jobs import eval_keys, setup, table, values\n"
        "sys.exit(0 if 'grpo' in table.JOBS else 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["english", "profile", "dialogue"])
def test_text_packages_do_not_load_jax(part):
    modules = [
        "pa_jax." + ".".join(p.relative_to(PACKAGE).with_suffix("").parts)
        for p in (PACKAGE / part).rglob("*.py")
        if p.stem != "__init__" and "migrations" not in p.parts  # alembic's, not to be imported
    ]
    code = f"import sys, {', '.join(modules)}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
