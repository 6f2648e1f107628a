"""10^6 episodes of ArrayRecord files through the whole pipeline: memory and resume.

PA_JAX_STREAM_EPISODES sets how many are read (default all). Speed is printed (-s), not asserted: it
is the machine's as much as the pipeline's.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from pa_jax.data import dialogues
from pa_jax.data.tfds import stored

USERS, TURNS, COPIES = 1000, 20, 50
STORED = USERS * TURNS * COPIES


def chat(user):
    """A user of TURNS turns who shows a preference in each."""
    messages = []
    for turn in range(TURNS):
        said = f"On day {turn} I'd like plan {user} to have {turn} breaks, as always. " * 3
        messages.append({"role": "user", "content": said})
        messages.append({"role": "assistant", "content": "Noted, I'll keep that in mind for you."})
    gold = [f"The user wants {turn} breaks in plan {user}." for turn in range(TURNS)]
    return {"user_id": f"user-{user}", "messages": messages, "gold": gold}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A dataset whose one split is COPIES links to shards that a builder wrote."""
    root = tmp_path_factory.mktemp("large")
    raw = root / "raw.jsonl"
    raw.write_text("".join(json.dumps(chat(user)) + "\n" for user in range(USERS)))
    cfg = dialogues.DataConfig("tfds:messages", str(raw), "", 0, 0, 0, False, "gold", 0.5)
    folder = stored.prepared("messages", cfg, root, quarantine_path=None)
    info = json.loads((folder / "dataset_info.json").read_text())
    for split in info["splits"]:
        (shard,) = folder.glob(f"*-{split['name']}.array_record-00000-of-00001")
        stem = shard.name.removesuffix("00000-of-00001")
        for copy in range(COPIES):
            os.link(shard, folder / f"{stem}{copy:05d}-of-{COPIES:05d}")
        shard.unlink()
        split["shardLengths"] *= COPIES
        split["numBytes"] = str(int(split["numBytes"]) * COPIES)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    yield folder
    shutil.rmtree(root)


@pytest.mark.slow
def test_a_million_episodes_stream_at_bounded_memory(large, real_data):
    read = int(os.environ.get("PA_JAX_STREAM_EPISODES", STORED))
    worker = pathlib.Path(__file__).with_name("stream_worker.py")
    root = pathlib.Path(__file__).resolve().parents[2]
    args = [str(large), str(real_data / "qwen3_tokenizer"), str(read // 64)]
    done = subprocess.run(
        [sys.executable, str(worker), *args],
        env=os.environ | {"PYTHONPATH": str(root)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    sys.stdout.write(done.stdout)
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["stored"] == STORED == 10**6
    assert row["read"] > 0.99 * read
    assert row["rss_peak"] < 1500 and row["rss_peak"] - row["rss_before"] < 200
    assert row["resumed"]
