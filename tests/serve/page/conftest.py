"""A server in a process of its own, and Chromium to look at it with."""

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests import devices

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent.parent
START_SECONDS = 180
SEVERE = ("serious", "critical")


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    folder: pathlib.Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(folder: pathlib.Path, command: list[str], *, port: int, seconds: float):
    """A process that runs a command, once it answers at its port."""
    env = os.environ | {"XLA_FLAGS": devices.flags(1), "PYTHONPATH": str(ROOT)}
    log, url = folder / "log.txt", f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        until = time.monotonic() + seconds
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{command} did not answer in {seconds} s:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield Server(url, folder)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture(scope="session")
def talking(tmp_path_factory):
    """Starts the app with scripted models (talker.py); more arguments go to it."""

    def start(*more: str) -> contextlib.AbstractContextManager[Server]:
        folder, port = tmp_path_factory.mktemp("talker"), free_port()
        database = f"sqlite:///{folder}/profiles.db"
        command = [sys.executable, str(HERE / "talker.py"), str(port), database, *more]
        return serving(folder, command, port=port, seconds=START_SECONDS)

    return start


@pytest.fixture(scope="session")
def server(talking):
    """The app with scripted models, for all these tests."""
    with talking() as running:
        yield running


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Starts the server as people do, with a preset."""

    def start(preset: str) -> contextlib.AbstractContextManager[Server]:
        folder, port = tmp_path_factory.mktemp(preset), free_port()
        command = [
            *(sys.executable, "-m", "pa_jax.main", f"--config=configs/serve.py:{preset}"),
            *(f"--config.port={port}", f"--config.store=sqlite:///{folder}/profiles.db"),
            f"--workdir={folder}/run",
        ]
        return serving(folder, command, port=port, seconds=900)

    return start


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory) -> pathlib.Path:
    """Where screenshots are kept: the folder PA_JAX_ARTEFACTS."""
    named = os.environ.get("PA_JAX_ARTEFACTS")
    folder = pathlib.Path(named) if named else tmp_path_factory.mktemp("artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def chromium():
    """A running Chromium; what needs it is skipped where there is none.

    Ends with its module: while Playwright's driver runs, the thread has a running event loop, and
    no other test of this worker could start its own.
    """
    driver = pytest.importorskip(
        "playwright.sync_api", reason='no playwright; pip install "pa_jax[test]"'
    )
    found = os.environ.get("PA_JAX_CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium; apt-get install chromium, or name one by PA_JAX_CHROMIUM")
    with driver.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield running
        running.close()


class Tab:
    """A page of a user's, and what a user does with it."""

    def __init__(self, page, url: str) -> None:
        self.page, self.url = page, url
        self.errors, self.requests = [], []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def open(self, user: str) -> "Tab":
        self.page.goto(f"{self.url}/?user={user}")
        self.page.wait_for_selector("#model:not(:empty)", state="attached")
        return self

    def say(self, words: str, *, seconds: float = 60) -> str:
        """Says it and gives the whole reply with its notes."""
        before = self.page.locator(".turn.agent").count()
        self.page.fill("#say", words)
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(
            "n => document.querySelectorAll('.turn.agent').length > n"
            " && document.getElementById('talk').getAttribute('aria-busy') === 'false'",
            arg=before,
            timeout=1000 * seconds,
        )
        return self.page.locator(".turn.agent").last.inner_text()

    def statements(self) -> list[str]:
        return self.page.locator(".group .statement").all_inner_texts()

    def wait_for(self, *statements: str) -> None:
        """Until the profile holds these facts and no other."""
        self.page.wait_for_function(
            "want => JSON.stringify([...document.querySelectorAll('.group .statement')]"
            ".map(e => e.textContent).sort()) === JSON.stringify(want)",
            arg=sorted(statements),
        )


@pytest.fixture
def tab(chromium, server, artefacts, request):
    """Makes tabs, each of a browser of its own; PA_JAX_ARTEFACTS keeps a last picture of each."""
    made = []

    def make(url: str = server.url, **looks) -> Tab:
        looks = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | looks
        context = chromium.new_context(**looks)
        made.append(Tab(context.new_page(), url))
        return made[-1]

    yield make
    name = re.sub(r"\W+", "-", request.node.name)
    for number, one in enumerate(made):
        if "PA_JAX_ARTEFACTS" in os.environ:
            one.page.screenshot(path=artefacts / f"{name}-{number}.png")
        one.page.context.close()
    assert [error for one in made for error in one.errors] == []


@pytest.fixture
def violations():
    """axe-core's findings on a tab that people could not live with."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason='no axe; pip install "pa_jax[test]"'
    )

    def found(tab):
        tab.page.wait_for_timeout(150)  # colours on the way to others are not judged
        result = axe.Axe().run(tab.page).response
        assert result["passes"]
        return [
            (one["id"], node["html"][:200])
            for one in result["violations"]
            if one["impact"] in SEVERE
            for node in one["nodes"]
        ]

    return found
