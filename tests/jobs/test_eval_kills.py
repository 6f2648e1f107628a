"""The eval job as a process that is killed again and again, with a judge over HTTP that counts."""

import collections
import hashlib
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from pa_jax.core import files
from pa_jax.evaluate.benchmarks import grid

KILLS = 10


@pytest.fixture
def endpoint(monkeypatch, root):
    """The judges' stand-in server; a score of 0 to 5 that hangs on the question, 0 is no score."""
    pytest.importorskip("openai", reason="the extra `remote` is not installed")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = root / "tests/judge/endpoint.py"
    spec = importlib.util.spec_from_file_location("endpoint", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def score(request, seen):
        time.sleep(0.05)
        text = json.dumps(request["messages"])
        return module.completion(str(hashlib.sha256(text.encode()).digest()[0] % 6))

    with module.serving(score) as (url, got):
        yield url, got


def command(root, folder, url, workdir):
    values = {
        "benchmarks": ("aloe",),
        "systems": ("zero_shot", "no_history"),
        "aloe.path": str(folder),
        "aloe.cases": 10,
        "aloe.turns": 3,
        "mesh.fsdp": 1,
        "judge.kind": "remote",
        "judge.remote.url": url,
        "judge.remote.model": "m",
        "judge.remote.key_env": "",
        "judge.remote.concurrency": 1,
    }
    args = [f"--config.{name}={value}" for name, value in values.items()]
    config = f"--config={root / 'configs/eval.py'}:tiny"
    return [sys.executable, "-m", "pa_jax.main", config, *args, f"--workdir={workdir}"]


def rows(workdir):
    return grid.Records(workdir / "records.jsonl", retry_failed=False).rows()


@pytest.mark.slow
def test_killed_ten_times_it_ends_with_the_same_records(root, endpoint, tmp_path):
    url, got = endpoint
    for name in ("profile_eval", "personality_eval"):
        lines = [json.dumps(f"{name} number {i}.") for i in range(4)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    env = os.environ | {"PYTHONPATH": str(root), "PA_JAX_CACHE": str(tmp_path / "cache")}
    subprocess.run(command(root, tmp_path, url, tmp_path / "whole"), env=env, check=True)
    want, asked = rows(tmp_path / "whole"), len(got)
    assert len(want) == 60 and 0 < sum(row["failed"] for row in want) < 30
    got.clear()
    rng, workdir = random.Random(0), tmp_path / "killed"
    for _ in range(KILLS):
        enough = len(got) + rng.randint(1, asked // (KILLS + 1))
        with subprocess.Popen(command(root, tmp_path, url, workdir), env=env) as worker:
            while len(got) < enough and worker.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.random() * 0.1)
            worker.send_signal(signal.SIGKILL)
        assert worker.returncode == -signal.SIGKILL
    assert len(rows(workdir)) < 60
    subprocess.run(command(root, tmp_path, url, workdir), env=env, check=True)
    assert rows(workdir) == want
    assert len(list(files.read_rows(workdir / "records.jsonl"))) == 60
    times = collections.Counter(json.dumps(body) for _, body in got)
    # Twice only what was under way at a kill and had no answer yet: one question a kill at most.
    assert len(times) == asked and max(times.values()) <= 2
    assert sum(times.values()) - asked <= KILLS
    entry = json.loads((workdir / "report.json").read_text())
    assert entry["judge_failures"] == sum(row["failed"] for row in want)
