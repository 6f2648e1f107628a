"""Sessions whose process is killed at random points: the facts and turns of a serial run."""

import json
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from pa_jax.profile import store
from tests.agent import scripted

SCRIPT = pathlib.Path(__file__).with_name("scripted.py")


def told(profiles):
    """Everything kept, without what differs by the time it took."""
    data = profiles.export("ann")
    late = {"times", "valid_from", "valid_to", "recorded_at", "known_from", "known_to"}
    late |= {"applied_at", "first_seen", "last_seen", "promoted_at", "confidence"}
    return {
        part: [{key: row[key] for key in row.keys() - late} for row in data[part]]
        for part in ("turns", "labels", "journal")
    } | {"facts": sorted(json.dumps(row["statement"]) + row["event"] for row in data["facts"])}


def run(root, tmp_path, kills):
    url = f"sqlite:///{tmp_path}/killed.db"
    command = [sys.executable, str(SCRIPT), url, str(kills)]
    env = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["lost"], seen["changed"]) == (0, 0)  # of what was acknowledged
    assert seen["cut"] >= kills // 8  # killed inside a turn
    turns = seen["turns"]
    killed, serial = store.ProfileStore(url), scripted.serial(f"sqlite:///{tmp_path}/s.db", turns)
    assert told(killed) == told(serial)
    assert [turn.stage for turn in killed.journal.turns_of("ann")] == ["replied"] * seen["turns"]
    killed.close()
    serial.close()
    with sqlite3.connect(f"{tmp_path}/killed.db") as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    plain.close()


def test_killed_at_a_few_points(root, tmp_path):
    run(root, tmp_path, kills=8)


@pytest.mark.slow
def test_killed_at_two_hundred_points(root, tmp_path):
    run(root, tmp_path, kills=200)
