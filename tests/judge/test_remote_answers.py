"""The file of answers: what was paid for is not asked again, whoever asks and whatever dies."""

import collections
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pa_jax.judge import answers
from tests.judge import endpoint

pytest.importorskip("openai", reason="the extra `remote` is not installed")


def test_a_file_that_holds_no_answers_is_named(opened, tmp_path):
    (tmp_path / "answers.sqlite").write_text("not a database" * 100)
    with pytest.raises(ValueError, match="answers.sqlite cannot be read"):
        opened("http://127.0.0.1:9/v1")


def test_the_file_of_answers_needs_no_shared_memory(tmp_path):
    """Which SQLite's write-ahead log does, and a network's file system has none."""
    path = tmp_path / "answers.sqlite"
    before = sqlite3.connect(path)
    before.execute("PRAGMA journal_mode=WAL")  # as older versions left it
    before.execute("CREATE TABLE other (x)")
    before.close()
    made = answers.AnswerFile(path)
    made.add("a", "text", requests=1, cost=0.0)
    assert made.get("a") == "text"
    assert not [p.name for p in tmp_path.iterdir() if p.name.endswith(("-wal", "-shm"))]
    made.close()


def test_a_killed_run_asks_nothing_twice(opened, tmp_path):
    """A process that judges one at a time is killed midway; a second one does the rest."""
    texts = [f"Tea number {i}." for i in range(12)]
    enough = threading.Event()

    def slow(request, seen):
        if len(got) > 5:
            enough.set()
            time.sleep(0.3)  # the kill comes while this answer is under way
        return endpoint.rated(request, seen)

    code = (
        "import json, sys; from pa_jax import judge; from pa_jax.dialogue import schema\n"
        "from pa_jax.judge import remote, rubric\n"
        "settings, texts = json.loads(sys.argv[1]), json.loads(sys.argv[2])\n"
        "episode = schema.Episode('0/0', '0', ('The user has a cat.',), '', 'Trains 0.', "
        "'The user prefers trains.')\n"
        "one = judge.Judge('remote', model=remote.Endpoint(**settings))\n"
        "one.score([rubric.Group(episode, ((),) * len(texts), tuple(texts))])\n"
    )
    with endpoint.serving(slow) as (url, got):
        one = opened(url, concurrency=1)
        settings = json.dumps(one._judge.endpoint.__dict__)
        args = [sys.executable, "-c", code, settings, json.dumps(texts)]
        with subprocess.Popen(args, env=os.environ | {"JAX_PLATFORMS": "cpu"}) as worker:
            assert enough.wait(60)
            worker.send_signal(signal.SIGKILL)
        before = len(got)
        scores = one.score(endpoint.groups(texts))
        notes = [json.loads(body["messages"][1]["content"])["note_to_judge"] for _, body in got]
    assert before == 6 and not scores.failed.any()
    assert scores.values[0].tolist() == [endpoint.WANT] * 12
    again = collections.Counter(notes)
    assert set(again) == set(texts)
    # only the question that was under way at the kill was asked again
    assert [note for note in again if again[note] > 1] == [texts[5]]


def test_several_threads_and_runs_share_one_file(opened):
    texts = [f"Tea number {i}." for i in range(30)]
    with endpoint.serving(endpoint.rated) as (url, got):
        both = [opened(url, concurrency=8), opened(url, concurrency=8)]
        made = [None, None]
        threads = [
            threading.Thread(
                target=lambda i=i: made.__setitem__(i, both[i].score(endpoint.groups(texts)))
            )
            for i in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for scores in made:
        np.testing.assert_array_equal(scores.values[0], [endpoint.WANT] * 30)
    assert both[0].figures()["judge/requests_in_all"] == len(got)
