"""One job a folder: the second is told who is there; a kill lets go, also on another machine."""

import json
import subprocess
import sys
import time

import pytest

from pa_jax.core import exclusive

HOLDS = """
import pathlib, sys, time
from pa_jax.core import exclusive
exclusive.BEAT_SECONDS = 0.1
with exclusive.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
ELSEWHERE = {"pid": 7, "host": "another-machine", "boot": "x", "since": "2026-01-01T00:00:00+00:00"}


@pytest.fixture
def holder(tmp_path, root):
    """A process that holds the folder."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path), "60"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(exclusive, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(exclusive, "SILENT_SECONDS", 1.0)


def test_the_second_is_told_who_is_there_and_a_kill_lets_go(tmp_path, holder):
    with pytest.raises(ValueError, match=rf"in use by process {holder.pid} on .* --workdir"):
        with exclusive.held(tmp_path):
            pass
    assert json.loads((tmp_path / exclusive.HOLDER).read_text())["pid"] == holder.pid
    holder.kill()
    holder.wait()
    began = time.monotonic()
    with exclusive.held(tmp_path):  # at once: it died on this machine
        assert time.monotonic() - began < 5
    assert not (tmp_path / exclusive.HOLDER).exists()
    with exclusive.held(tmp_path):
        pass


def test_where_locks_are_not_passed_on_a_living_job_elsewhere_is_heard(tmp_path, hurried):
    place = tmp_path / exclusive.HOLDER
    place.write_text(json.dumps(ELSEWHERE))
    with exclusive.held(tmp_path):  # silent: gone
        mine = json.loads(place.read_text())
        assert mine["host"] != "another-machine"
        until = time.monotonic() + 10
        while "beats" not in json.loads(place.read_text()):
            assert time.monotonic() < until
            time.sleep(0.02)
    code = (
        "import json, pathlib, sys, time\n"
        "place, said = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])\n"
        "for beat in range(10**6):\n"
        "    new = place.with_suffix('.new')\n"
        "    new.write_text(json.dumps(said | {'beats': beat})); new.rename(place)\n"
        "    time.sleep(0.1)\n"
    )
    command = [sys.executable, "-c", code, str(place), json.dumps(ELSEWHERE)]
    with subprocess.Popen(command) as beating:
        try:
            while not place.exists():
                time.sleep(0.02)
            with pytest.raises(ValueError, match="in use by process 7 on another-machine since"):
                with exclusive.held(tmp_path):
                    pass
        finally:
            beating.kill()


def test_without_any_locks_a_living_process_of_this_machine_is_seen(
    tmp_path, holder, hurried, monkeypatch
):
    monkeypatch.setattr(exclusive, "_lock", lambda *_: False)
    with pytest.raises(ValueError, match=f"in use by process {holder.pid}"):
        with exclusive.held(tmp_path):
            pass
    holder.kill()
    holder.wait()
    with exclusive.held(tmp_path):
        pass


def test_of_two_that_both_think_the_folder_theirs_the_earlier_one_ends(tmp_path, root):
    """As after a stop of the machine, where no lock tells: the second has taken over."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path), "60"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        exclusive._write(tmp_path, ELSEWHERE)
        assert process.wait(20) == 1
        assert "in use by process 7 on another-machine" in process.stderr.read()
    assert json.loads((tmp_path / exclusive.HOLDER).read_text()) == ELSEWHERE
