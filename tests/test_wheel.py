"""The wheel alone, in a fresh environment and an empty folder: nothing of the checkout is needed.

Dependencies come from this environment's site-packages by a .pth file, to spare a download of
gigabytes; an editable install of pa_jax there stays out of sight, since .pth files of a folder that
is on the path by a .pth file are not read. Whether pyproject.toml names every dependency is shown
by the README's first command, which installs into an empty environment.
"""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from tests import devices

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("wheel")]


def run(*command, cwd, **more):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env["XLA_FLAGS"] = devices.flags(1)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    """Folder with the sdist and the wheel made from it."""
    pytest.importorskip("build", reason="the extra `test` is not installed")
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), cwd=root)
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The Python of a fresh environment with the wheel, and an empty folder."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel), cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python, tmp_path_factory.mktemp("empty")


def test_sdist_and_wheel_hold_what_they_should(built, root):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"pa_jax"}
    package = {  # modules, and what they read: the server's page, templates of reports, texts
        p.relative_to(root).as_posix()
        for p in (root / "pa_jax").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    configs = {f"pa_jax/shipped/configs/{p.name}" for p in (root / "configs").glob("*.py")}
    assert package and configs and package | configs <= names
    assert len(list(built.glob("*.tar.gz"))) == 1


def test_it_is_the_wheel_that_runs_and_no_configs_lie_beside_it(installed):
    python, empty = installed
    code = "import importlib.util as u, pa_jax; print(pa_jax.__file__, u.find_spec('configs'))"
    file, configs = run(python, "-c", code, cwd=empty).split()
    assert pathlib.Path(file).is_relative_to(python.parent.parent)
    assert configs == "None"


def test_grpo_trains_from_an_empty_folder(installed):
    python, empty = installed
    command = (python, "-m", "pa_jax.main", "--config=grpo:tiny", "--config.train.steps=2")
    run(*command, "--workdir=run", cwd=empty)
    report = json.loads((empty / "run" / "report.json").read_text())
    assert report["steps"] == 2 + 2  # of the warm start and of GRPO
    assert (empty / "run" / "report.html").read_text().count('class="branch"') == 2 * 4


def test_chat_answers_in_an_empty_folder(installed):
    python, empty = installed
    said = run(
        python, "-m", "pa_jax.main", "--config=chat:tiny", input="I like tea.\n/quit\n", cwd=empty
    )
    assert "agent> " in said
    assert (empty / "runs" / "profiles-tiny.db").is_file()
