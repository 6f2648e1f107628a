"""Datasets of ArrayRecord files against the readers that they were written from."""

import dataclasses
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

from pa_jax.data import dialogues, numbered, pipeline, source
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.tfds import builders, stored
from pa_jax.dialogue import schema, snippet

SYNTHETIC = dialogues.DataConfig("tfds:synthetic", "", "explicit", 2, 1, 3, True, "gold", 0.5)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PA_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def opened(cfg, split, path=None):
    return source.open_episodes(cfg, split=split, quarantine_path=path)


def plain(cfg, split):
    """The episodes as they come without a dataset between."""
    cfg = dataclasses.replace(cfg, source=cfg.source.removeprefix("tfds:"))
    return list(opened(cfg, split))


def by_id(episodes):
    return sorted(episodes, key=lambda episode: episode.id)


@pytest.fixture
def chats(tmp_path):
    """Thirty users of two turns, the first of which shows nothing, some without labels."""
    rows = [
        {
            "user_id": f"user-{number}",
            "messages": [
                {"role": "user", "content": "Hello.\nThere, “ö”."},
                {"role": "assistant", "content": "Hi."},
                {"role": "user", "content": f"I am number {number}."},
            ],
            "gold": [snippet.NOTHING, f"Is number {number}.\nLikes it." if number % 3 else None],
        }
        for number in range(30)
    ]
    path = tmp_path / "raw" / "chats.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "not json\n")
    return dataclasses.replace(SYNTHETIC, source="tfds:messages", path=str(path.parent))


@pytest.mark.parametrize(
    "episode",
    [
        schema.Episode("a/0", "a", (), "", "Hi.\nYou.", None),
        schema.Episode("a/1", "a", ("One.", "Two ö."), "c", "u", "G one.\nG two.", "s/t", "choice"),
    ],
)
def test_a_record_holds_all_of_an_episode(episode):
    stored_bytes = {k: v.encode() for k, v in builders.record(episode).items()}
    assert builders.episode(stored_bytes) == episode
    of_requests = {"options", "worth"}  # made anew from a seed, never stored
    fields = {field.name for field in dataclasses.fields(episode)}
    assert set(builders.FEATURES) == fields - of_requests


def test_messages_come_back_the_same_with_and_without_turns_that_show_nothing(chats, tmp_path):
    bad = tmp_path / "bad.jsonl"
    for split in ("train", "heldout", "all"):
        found = opened(chats, split, bad)
        assert by_id(found) == by_id(plain(chats, split))
        few = dataclasses.replace(chats, keep_empty=False)
        assert by_id(opened(few, split)) == by_id(plain(few, split))
        assert split == "all" or list(opened(few, split)) == plain(few, split)
    assert found[-1] == list(found)[-1] and len(found) == 60
    with pytest.raises(IndexError):
        found[60]
    lines = [json.loads(line) for line in bad.read_text().splitlines()]
    assert {line["number"] for line in lines} == {31}


def test_other_content_is_another_dataset(chats):
    before = len(opened(chats, "all"))
    path = pathlib.Path(chats.path) / "chats.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:10]))
    assert len(opened(chats, "all")) == 20 != before


def test_a_folder_is_read_as_it_is_and_names_what_it_is(chats):
    folder = stored.prepared("messages", chats, stored.cache_dir(), quarantine_path=None)
    again = dataclasses.replace(chats, source=f"tfds:{folder.parent.parent}", path="")
    assert list(opened(again, "train")) == list(opened(chats, "train"))
    files = sorted(path.name for path in folder.iterdir())
    assert any("array_record" in name for name in files) and "features.json" in files


def test_synthetic_users_come_back_the_same_and_in_order():
    cfg = dataclasses.replace(SYNTHETIC, keep_empty=False)
    assert list(opened(cfg, "train")) == plain(cfg, "train")
    assert list(opened(cfg, "heldout")) == plain(cfg, "heldout")
    other = dataclasses.replace(cfg, seed=4)
    assert list(opened(other, "heldout")) == plain(other, "heldout")


def test_prefeval_comes_back_the_same_and_names_its_licence(real_data):
    cfg = dataclasses.replace(
        SYNTHETIC, source="tfds:prefeval", path=str(real_data / "prefeval"), form="explicit"
    )
    for split in ("train", "heldout"):
        assert list(opened(cfg, split)) == plain(cfg, split)
    folder = stored.prepared("prefeval", cfg, stored.cache_dir(), quarantine_path=None)
    info = json.loads((folder / "dataset_info.json").read_text())
    assert "2502.09597" in info["citation"]
    assert info["redistributionInfo"]["license"] == "CC BY-NC 4.0"


@pytest.fixture
def home(tmp_path):
    """A web server with an archive of ALOE's form; its URL and what it holds."""
    turn = {
        "user": "I like tea.",
        "assistant": {"preferred": "Noted.", "rejected": "So?"},
        "chosen": "preferred",
        "inferred_profile": "Likes tea.",
        "inferred_personality": "None",
    }
    rows = [{"profile": f"P {n}.", "personality": "Q.", "conversations": [turn]} for n in range(20)]
    folder = tmp_path / "home"
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    with zipfile.ZipFile(folder / "main.zip", "w") as archive:
        archive.writestr("ALOE-main/datasets/conversations.jsonl", text)
        archive.writestr("ALOE-main/README.md", "ALOE")
    with zipfile.ZipFile(folder / "empty.zip", "w") as archive:
        archive.writestr("ALOE-main/README.md", "ALOE")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", text
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_folder_the_archive_is_fetched_once(home, tmp_path, monkeypatch):
    url, text = home
    monkeypatch.setattr(builders.Aloe, "ARCHIVE", f"{url}/main.zip")
    cfg = dataclasses.replace(SYNTHETIC, source="tfds:aloe", path="")
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "conversations.jsonl").write_text(text)
    local = dataclasses.replace(cfg, path=str(tmp_path / "local"))
    assert list(opened(cfg, "train")) == plain(local, "train")
    monkeypatch.setattr(builders.Aloe, "ARCHIVE", f"{url}/gone.zip")
    assert len(opened(cfg, "all")) == 20


@pytest.mark.parametrize(
    ("name", "message"), [("gone", "cannot be fetched"), ("empty", "holds no")]
)
def test_a_home_that_has_it_no_more_is_named(home, monkeypatch, name, message):
    monkeypatch.setattr(builders.Aloe, "ARCHIVE", f"{home[0]}/{name}.zip")
    with pytest.raises(quarantine_lib.DataError, match=f"{message}.*data.path"):
        opened(dataclasses.replace(SYNTHETIC, source="tfds:aloe", path=""), "train")


def test_tensorflow_is_not_needed(chats):
    code = (
        "import sys\n"
        "from pa_jax.data import dialogues, source\n"
        f"path = {chats.path!r}\n"
        "cfg = dialogues.DataConfig('tfds:messages', path, '', 1, 1, 0, True, 'gold', 0.5)\n"
        "print(source.open_episodes(cfg, split='all', quarantine_path=None)[59].id)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split()[-2:] == ["user-28/0", "False"]  # a user held out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tfds:prefevel", r"choose tfds:NAME with one of \['aloe'"),
        ("tfds:/nowhere/x", "holds none"),
        ("synthetic=1,prefevel=2", "data.source='prefevel': choose one of"),
        ("synthetic=0,messages=1", "'synthetic=0' is not NAME=WEIGHT"),
        ("synthetic=1,messages", "'messages' is not NAME=WEIGHT"),
    ],
)
def test_wrong_sources_are_named(name, message):
    with pytest.raises(ValueError, match=message):
        opened(dataclasses.replace(SYNTHETIC, source=name), "train")


def test_a_mix_needs_a_place_for_every_source(chats):
    cfg = dataclasses.replace(chats, source="synthetic=1,messages=1,tfds:messages=1")
    with pytest.raises(ValueError, match="names 1 places for the 3 sources"):
        opened(cfg, "train")


def test_sources_are_mixed_in_the_shares_of_their_weights(chats):
    cfg = dataclasses.replace(
        chats, source="synthetic=1,tfds:messages=3", path=f",{chats.path}", users=2
    )
    parts = [plain(one, "train") for _, one in source.mixed(cfg)]
    found = opened(cfg, "train")
    assert len(found) == 4 * max(len(parts[0]), len(parts[1]) / 3)
    ids = [episode.id for episode in found]
    share = np.mean([name.startswith("user-") for name in ids])
    assert share == pytest.approx(0.75)
    assert set(ids) == {episode.id for part in parts for episode in part}
    # heldout: each once
    held = opened(cfg, "heldout")
    assert len({e.id for e in held}) == len(held)
    assert len(held) == sum(len(plain(one, "heldout")) for _, one in source.mixed(cfg))


def test_counts_by_hand():
    assert numbered.counts([100, 30], [1.0, 1.0]) == [100, 100]
    assert numbered.counts([100, 30], [3.0, 1.0]) == [100, 33]
    assert numbered.counts([100, 30], [10.0, 1.0]) == [300, 30]


def test_batches_of_a_mix_resume_exactly_and_are_the_same_for_any_number_of_processes(chats):
    cfg = dataclasses.replace(
        chats, source="synthetic=1,tfds:messages=1", path=f",{chats.path}", users=1
    )
    plan = pipeline.PipelineConfig(4, 128, 7)

    def batches(index, count):
        return pipeline.batches(
            opened(cfg, "train"),
            lambda some: [[1] * min(128, len(episode.user)) for episode in some],
            plan,
            process_index=index,
            process_count=count,
        )

    def taken(one, count):
        return [[e.id for e in next(one).episodes] for _ in range(count)]

    whole = batches(0, 1)
    want = taken(whole, 40)
    halves = [taken(batches(k, 2), 40) for k in range(2)]
    assert [a + b for a, b in zip(*halves, strict=True)] == want
    again = batches(0, 1)
    taken(again, 13)
    resumed = batches(0, 1)
    resumed.set_state(json.loads(json.dumps(again.get_state())))
    assert taken(resumed, 27) == want[13:]
