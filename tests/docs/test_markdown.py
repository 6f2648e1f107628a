"""README and docs: commands run or say why not, flags and files exist, messages are real."""

import ast
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from pa_jax.jobs import configs, setup
from tests import devices
from tests.docs import markdown

ALL = markdown.pages()


@pytest.mark.parametrize("page", ALL)
def test_every_command_block_is_run_or_says_why_not(page):
    unmarked = [one.code for one in markdown.blocks(page) if not one.reason]
    assert not unmarked or page in markdown.PAGES, (
        f"{page}: put `<!-- not run: REASON -->` on the line before {unmarked[0]!r}, or the page "
        "into tests/docs/markdown.PAGES"
    )


@pytest.mark.parametrize("page", ALL)
def test_flags_of_commands_exist(page):
    for command in markdown.commands(page):
        flags = [one for one in shlex.split(command.strip("[]"), comments=True)]
        flags = [one.strip("[]") for one in flags if one.strip("[]").startswith("--config")]
        if not flags:
            continue
        name = flags[0].removeprefix("--config=").removeprefix("configs/").replace(".py", "", 1)
        if not re.fullmatch(r"[a-z]+(:[a-z0-9.-]+)?", name):
            assert "NAME" in name or "..." in name, command  # a pattern, not a command
            continue
        known = setup.flat(configs.load(name).to_dict())
        for flag in flags[1:]:
            key = flag.removeprefix("--config.").partition("=")[0]
            sections = any(one.startswith(f"{key}.") for one in known)
            assert key in known or sections, f"{page}: {command}: config {name} has no key {key}"


@pytest.mark.parametrize("page", ALL)
def test_named_files_exist(page, root):
    text = (root / page).read_text()
    for name in set(re.findall(r"`((?:pa_jax|tests|configs|docs|tpu|notebooks)/[\w./*-]+)", text)):
        if "NAME" not in name:
            assert any(root.glob(name.rstrip("/"))), f"{page} names {name}"


@pytest.mark.parametrize("page", ALL)
def test_links_lead_somewhere(page, root):
    text = re.sub(r"(?ms)^```.*?^```", "", (root / page).read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https://|#", target):
            continue
        path, _, anchor = target.partition("#")
        found = (root / page).parent / path
        assert found.is_file(), f"{page} links to {target}"
        heads = re.findall(r"(?m)^#+ (.*)$", found.read_text() if anchor else "")
        slugs = {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}
        assert not anchor or anchor in slugs, f"{page} links to {target}"


def test_figures_of_the_readme_stand_in_the_docs_beside_their_commands(root):
    docs = "\n".join(page.read_text() for page in (root / "docs").glob("**/*.md"))
    shown = re.findall(r"-?[\d.]+ \[[-\d.]+, [-\d.]+\]", (root / "README.md").read_text())
    assert len(shown) > 16  # a run's, before and after, and more
    assert not [figure for figure in shown if figure not in docs]


def test_every_page_is_in_the_navigation(root):
    listed = set(re.findall(r"[\w/]+\.md", (root / "mkdocs.yml").read_text()))
    assert listed == {p.removeprefix("docs/") for p in ALL if p.startswith("docs/")}


def messages(root: pathlib.Path) -> list[str]:
    """Every string of the package; what an f-string puts in is "…"."""
    found = []
    for path in (root / "pa_jax").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_of_the_troubleshooting_page_are_those_of_the_code(root):
    text = (root / "docs" / "reference" / "troubleshooting.md").read_text()
    shown = re.findall(r"(?m)^### `(.+)`$", text)
    assert len(shown) > 20
    known = messages(root)
    gone = [one for one in shown if not any(one in message for message in known)]
    assert not gone


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """One folder for pages of the guide that go on from its first run."""
    return tmp_path_factory.mktemp("docs")


def run_blocks(page, folder, root):
    todo = [one for one in markdown.blocks(page) if not one.reason]
    assert todo, f"{page} has nothing to run"
    env = os.environ | {"XLA_FLAGS": devices.flags(1), "PYTHONPATH": str(root)}
    env["PATH"] = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    for block in todo:
        if block.file:
            (folder / block.file).write_text(block.code)
            continue
        command = ["bash", "-euo", "pipefail"] if block.language == "bash" else [sys.executable]
        done = subprocess.run(
            [*command, "-c", block.code], cwd=folder, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block.code}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("first run")
@pytest.mark.parametrize("page", markdown.FIRST_RUN)
def test_commands_of_the_guides_first_run_follow_each_other(page, scratch, root):
    run_blocks(page, scratch, root)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", markdown.ALONE)
def test_commands_of_a_page_run(page, tmp_path, root):
    run_blocks(page, tmp_path, root)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(root, tmp_path):
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    keys = (tmp_path / "reference" / "config" / "index.html").read_text()
    assert "<code>train.keep</code>" in keys and "checkpoints that stay" in keys
    api = (tmp_path / "reference" / "api" / "index.html").read_text()
    assert 'id="pa_jax.models.load"' in api and "Divides" not in api
    sources = re.findall(r'(?:src|href)="(https?://[^"]+)"', keys + api)
    assert not [one for one in sources if re.search(r"\.(js|css|woff2?)(\?|$)", one)]
