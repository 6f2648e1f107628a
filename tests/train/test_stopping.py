"""Several processes stop together: on one step, saved once, whoever was asked and whenever."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import orbax.checkpoint as ocp
import pytest

from pa_jax.core import distributed, files, manifest
from tests import devices

EARLY = True  # processes wait for each other here, and this would be the last file
STEPS = 12
SECONDS = 60  # to leave in


class Run:
    """So many processes with eight devices together, in a folder that outlives them."""

    def __init__(self, root: pathlib.Path, workdir: pathlib.Path, count: int, *more: str) -> None:
        workdir.mkdir(exist_ok=True)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.workdir, self.logs, self.children = workdir, [], []
        for number in range(count):
            values = (f"127.0.0.1:{port}", str(count), str(number))
            mine = {
                "JAX_PLATFORMS": "cpu",
                "XLA_FLAGS": devices.flags(8 // count),
            }
            if count > 1:
                mine |= dict(zip(distributed.ENVIRONMENT, values, strict=True))
            self.logs.append(workdir.parent / f"{workdir.name}-{number}.log")
            with self.logs[-1].open("w") as log:
                self.children.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "tests.train.several", str(workdir), str(STEPS)]
                        + list(more),
                        cwd=root,
                        env=os.environ | mine,
                        stdout=log,
                        stderr=log,
                    )
                )

    def until(self, pattern: str) -> None:
        """Returns once the folder has such a file."""
        while not any(self.workdir.glob(pattern)):
            assert all(child.poll() is None for child in self.children), self.text()
            time.sleep(0.001)

    def ends(self, seconds: float = SECONDS) -> list[int]:
        """Exit statuses; a child that is still there after `seconds` fails the test."""
        until = time.monotonic() + seconds
        try:
            return [child.wait(max(until - time.monotonic(), 0.1)) for child in self.children]
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s: {self.text()}") from None
        finally:
            for child in self.children:
                child.kill()
                child.wait()

    def text(self) -> str:
        return "\n".join(log.read_text()[-3000:] for log in self.logs)


def arrays(workdir: pathlib.Path) -> tuple[int, dict[str, np.ndarray]]:
    """Step and arrays of the one checkpoint, read through Orbax itself."""
    (found,) = (p for p in (workdir / "checkpoints").iterdir() if p.name.isdecimal())
    assert manifest.damage(found) is None
    reader, path = ocp.PyTreeCheckpointer(), (found / "state").absolute()
    plain = ocp.RestoreArgs(restore_type=np.ndarray)  # wherever it was saved from
    how = dict.fromkeys(reader.metadata(path).item_metadata.tree, plain)
    return int(found.name), dict(sorted(reader.restore(path, restore_args=how).items()))


@pytest.fixture(scope="module")
def alone(root, tmp_path_factory):
    """The arrays of a run that nothing disturbed."""
    run = Run(root, tmp_path_factory.mktemp("alone") / "run", 1)
    assert run.ends(300) == [0], run.text()
    return arrays(run.workdir)


def goes_on_the_same(root, workdir, count, alone):
    again = Run(root, workdir, count)
    assert again.ends(300) == [0] * count, again.text()
    step, got = arrays(workdir)
    assert step == alone[0] == STEPS and len(got) == len(alone[1]) > 3
    for name, want in alone[1].items():
        np.testing.assert_array_equal(got[name], want, err_msg=name)
    assert [row["step"] for row in files.read_rows(workdir / "metrics.jsonl")] == list(range(STEPS))


def stopped(run: Run, number: int) -> int:
    """The step at which all ended, as their statuses say."""
    assert run.ends() == [128 + number] * len(run.children), run.text()
    step, _ = arrays(run.workdir)
    assert 0 < step < STEPS
    return step


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("count", "who", "moment", "number"),
    [
        (2, [1], "judge-1.mark", signal.SIGTERM),
        *(
            slow(count, who, moment, number)
            for count in (2, 4)
            for who in ([0], [count - 1], list(range(count)))
            for moment, number in (
                ("judge-4.mark", signal.SIGTERM),
                ("judge-4.mark", signal.SIGINT),
                ("checkpoints/.saving-3", signal.SIGTERM),
                ("evaluation-5.mark", signal.SIGTERM),
                ("metrics.jsonl", signal.SIGTERM),
            )
        ),
    ],
)
def test_a_signal_to_some_stops_all_on_one_step(root, tmp_path, alone, count, who, moment, number):
    run = Run(root, tmp_path / "run", count)
    run.until(moment)
    for each in who:
        run.children[each].send_signal(number)
    stopped(run, number)
    goes_on_the_same(root, tmp_path / "run", count, alone)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [2, 4])
def test_signals_four_seconds_apart_as_ssh_may_bring_them(root, tmp_path, alone, count):
    run = Run(root, tmp_path / "run", count)
    run.until("judge-1.mark")
    for child in reversed(run.children):
        child.send_signal(signal.SIGTERM)
        time.sleep(4)  # the others may have left by then
    stopped(run, signal.SIGTERM)
    goes_on_the_same(root, tmp_path / "run", count, alone)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("count", "who"), [(2, 1), *(slow(*case) for case in [(2, 0), (4, 0), (4, 3)])]
)
def test_an_error_on_one_ends_all_with_its_message(root, tmp_path, count, who):
    run = Run(root, tmp_path / "run", count, str(who), "4")
    run.until("judge-4.mark")
    assert run.ends() == [2] * count, run.text()
    for number, log in enumerate(run.logs):
        text = log.read_text()
        assert f"no batch 4 on process {who}" in text
        assert (f"process {who} ended: " in text) == (number != who), text
    assert arrays(run.workdir)[0] == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", [0, 1])
def test_one_that_is_killed_ends_the_other_and_the_run_goes_on_the_same(root, tmp_path, alone, who):
    run = Run(root, tmp_path / "run", 2)
    run.until("judge-4.mark")
    run.children[who].kill()
    codes = run.ends()
    assert codes[who] == -signal.SIGKILL and codes[1 - who] != 0
    goes_on_the_same(root, tmp_path / "run", 2, alone)
