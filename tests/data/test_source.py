import dataclasses
import json
import pathlib

import pytest

from pa_jax.data import decompose, dialogues, source
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.data.readers import prefeval
from pa_jax.data.synth import users as synth_users
from pa_jax.dialogue import snippet

SYNTHETIC = dialogues.DataConfig(
    source="synthetic",
    path="",
    form="all",
    users=4,
    heldout_users=2,
    seed=3,
    keep_empty=True,
    state_source="gold",
    state_share=0.5,
    strangers=0.0,
)


def open_all(cfg, split, path=None):
    return list(source.open_episodes(cfg, split=split, quarantine_path=path))


@pytest.fixture
def chats(tmp_path):
    """Fifty users of two turns, the first of which shows nothing."""
    rows = [
        {
            "user_id": f"user-{number}",
            "messages": [
                {"role": "user", "content": "Hello."},
                {"role": "user", "content": f"I am number {number}."},
            ],
            "gold": [snippet.NOTHING, f"Is number {number}."],
        }
        for number in range(50)
    ]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return dataclasses.replace(SYNTHETIC, source="messages", path=str(path))


def test_synthetic_dialogues_come_as_their_episodes():
    for split, users in (("train", 4), ("heldout", 2)):
        dialogues = [synth_users.dialogue(3, index, split=split) for index in range(users)]
        want = [episode for dialogue in dialogues for episode in decompose(dialogue)]
        assert open_all(SYNTHETIC, split) == want
    both = open_all(SYNTHETIC, "train") + open_all(SYNTHETIC, "heldout")
    assert open_all(SYNTHETIC, "all") == both


def test_episodes_are_read_by_number_in_any_order(chats):
    found = source.open_episodes(chats, split="all", quarantine_path=None)
    assert len(found) == 100
    assert [found[i].id for i in (99, 0, -1, 42)] == [
        "user-49/1",
        "user-0/0",
        "user-49/1",
        "user-21/0",
    ]
    with pytest.raises(IndexError):
        found[100]


def test_turns_that_show_nothing_leave_when_told(chats):
    kept = open_all(dataclasses.replace(chats, keep_empty=False), "all")
    assert [episode.id for episode in kept] == [f"user-{n}/1" for n in range(50)]
    assert kept == [e for e in open_all(chats, "all") if e.gold != snippet.NOTHING]


def test_users_are_on_one_side_whatever_else_is_in_the_file(chats, tmp_path):
    train, held = open_all(chats, "train"), open_all(chats, "heldout")
    users = {e.user_id for e in train}, {e.user_id for e in held}
    assert not users[0] & users[1] and len(users[0] | users[1]) == 50
    half = tmp_path / "half.jsonl"
    half.write_text("".join(pathlib.Path(chats.path).read_text().splitlines(keepends=True)[25:]))
    later = open_all(dataclasses.replace(chats, path=str(half)), "heldout")
    assert later == [e for e in held if int(e.user_id[5:]) >= 25]


def test_a_fifth_of_users_is_held_out():
    share = sum(dialogues.held_out(f"user {n}") for n in range(20_000)) / 20_000
    assert abs(share - 0.2) < 0.01  # 3.5 standard deviations


def test_one_aloe_profile_is_on_one_side_with_all_its_personalities(tmp_path):
    turn = {"user": "u", "assistant": {"preferred": "p"}, "chosen": "preferred"}
    rows = [
        {"profile": f"P {n % 40}.", "personality": f"Q {n}.", "conversations": [turn]}
        for n in range(120)
    ]
    path = tmp_path / "conversations.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cfg = dataclasses.replace(SYNTHETIC, source="aloe", path=str(path))
    sides = [{e.user_id.split("/")[1] for e in open_all(cfg, s)} for s in ("train", "heldout")]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 40


@pytest.mark.parametrize("form", ["explicit", "all"])
def test_prefeval_holds_out_topics(real_data, form):
    cfg = dataclasses.replace(
        SYNTHETIC, source="prefeval", path=str(real_data / "prefeval"), form=form
    )
    train, held = open_all(cfg, "train"), open_all(cfg, "heldout")
    topics = [{e.id.split("/")[2] for e in side} for side in (train, held)]
    assert topics[1] == set(prefeval.HELDOUT_TOPICS)
    assert len(topics[0]) == 11 and not topics[0] & topics[1]
    everything = open_all(cfg, "all")
    assert len(everything) == len(train) + len(held)
    assert len({e.id for e in everything}) == len(everything)
    forms = {"explicit"} if form == "explicit" else {"explicit", "choice", "persona"}
    assert {e.id.split("/")[1] for e in train} == forms


def said(*texts):
    return [{"role": "user", "content": text} for text in texts]


def prefeval_folder(root, **topics):
    folder = root / prefeval.FOLDERS["explicit"]
    folder.mkdir(parents=True)
    for name, golds in topics.items():
        rows = [{"preference": gold, "question": "Well?"} for gold in golds]
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return dataclasses.replace(
        SYNTHETIC, source="prefeval", path=str(root), form="explicit"
    ), folder


@pytest.mark.parametrize("name", ["shop_fashion (1)", "Kopie von shop_fashion", "backup", "a_b"])
def test_a_copy_of_a_held_out_file_is_not_trained_on(tmp_path, name):
    held, trained = ("I wear wool.", "I hate lace."), ("I travel by train.", "I hate planes.")
    cfg, folder = prefeval_folder(tmp_path, shop_fashion=held, travel_hotel=trained)
    (folder / f"{name}.json").write_text((folder / "shop_fashion.json").read_text())
    assert {e.gold for e in open_all(cfg, "heldout")} == set(held)
    assert sorted(e.gold for e in open_all(cfg, "train")) == sorted(trained)
    assert len(open_all(cfg, "all")) == 6


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: f" {text.replace(' ', '  ')} "], ids=["case", "spaces"]
)
def test_a_copy_that_was_edited_on_the_way_is_not_trained_on(tmp_path, change):
    held = ("I wear wool.", "I hate lace.")
    copies = [change(text) for text in held]
    cfg, _ = prefeval_folder(tmp_path, shop_fashion=held, travel_hotel=["Trains."], more=copies)
    assert [e.gold for e in open_all(cfg, "train")] == ["Trains."]


@pytest.mark.parametrize("labels", [{}, {"gold": ["The user has a number."]}], ids=["as", "with"])
def test_a_part_of_what_a_held_out_user_said_is_not_trained_on(tmp_path, labels):
    users = [f"user {n}" for n in range(40)]
    rows = [{"user_id": user, "messages": said(f"I am {user}.", "I like tea.")} for user in users]
    copies = [
        {"user_id": f"copy of {user}", "messages": said(f"I am {user}."), **labels}
        for user in users
    ]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows + copies))
    cfg = dataclasses.replace(SYNTHETIC, source="messages", path=str(path))
    train, held = ({e.user for e in open_all(cfg, side)} for side in ("train", "heldout"))
    assert train and held and not {t for t in train if "user" in t} & held


def test_a_file_without_held_out_users_says_which_split_has_them(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"user_id": "u1", "messages": said("I like tea.")}) + "\n")
    cfg = dataclasses.replace(SYNTHETIC, source="messages", path=str(path))
    with pytest.raises(quarantine_lib.DataError, match="no episode.*split=all"):
        open_all(cfg, "heldout")
    assert len(open_all(cfg, "all")) == 1


@pytest.mark.parametrize("name", ["synthetic", "unseen", "requests"])
def test_a_path_that_nobody_reads_is_refused(name):
    with pytest.raises(ValueError, match=f"^data.path='x' is not read by data.source='{name}'"):
        dataclasses.replace(SYNTHETIC, source=name, path="x")


def test_a_renamed_held_out_file_is_held_out(tmp_path):
    cfg, folder = prefeval_folder(tmp_path, shop_fashion=["I wear wool."], travel_hotel=["Trains."])
    (folder / "shop_fashion.json").rename(folder / "shop_fashion-old.json")
    assert [e.gold for e in open_all(cfg, "heldout")] == ["I wear wool."]
    assert [e.gold for e in open_all(cfg, "train")] == ["Trains."]


def test_a_copy_of_chats_without_names_falls_on_one_side(tmp_path):
    rows = [{"messages": [{"role": "user", "content": f"I am number {n}."}]} for n in range(60)]
    for name in ("chats", "chats copy", "2024"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    cfg = dataclasses.replace(SYNTHETIC, source="messages", path=str(tmp_path))
    train, held = ({e.user for e in open_all(cfg, side)} for side in ("train", "heldout"))
    assert train and held and not train & held


@pytest.mark.parametrize("name", ["._travel_hotel.json", ".DS_Store.json", ".travel_hotel.json"])
def test_hidden_files_are_no_data(tmp_path, name):
    cfg, folder = prefeval_folder(tmp_path, shop_fashion=["Wool."], travel_hotel=["Trains."])
    (folder / name).write_bytes(b"\0\5\x16\7\0Mac OS X\xff")
    assert [e.gold for e in open_all(cfg, "all")] == ["Wool.", "Trains."]
    chats = tmp_path / "chats"
    chats.mkdir()
    (chats / "a.jsonl").write_text('{"messages": [{"role": "user", "content": "Hi."}]}\n')
    (chats / name.replace("json", "jsonl")).write_bytes(b"\0\5\x16\7\0Mac OS X\xff")
    cfg = dataclasses.replace(cfg, source="messages", path=str(chats))
    assert [e.user for e in open_all(cfg, "all")] == ["Hi."]


def test_bad_lines_land_in_the_file_named(chats, tmp_path):
    with open(chats.path, "a") as file:
        file.write("not json\n")
    kept = tmp_path / "bad.jsonl"
    assert len(open_all(chats, "all", kept)) == 100
    assert json.loads(kept.read_text())["number"] == 51


@pytest.mark.parametrize(
    ("change", "split", "message"),
    [
        ({"source": "prefevel"}, "all", r"data.source='prefevel': choose one of \['aloe'"),
        ({}, "test", r"split='test': choose one of \['train'"),
        ({"source": "prefeval", "form": "implicit"}, "all", "data.form='implicit': choose one of"),
        ({"source": "prefeval"}, "all", "data.path is empty"),
        ({"source": "aloe", "path": "/nowhere/x"}, "all", "'/nowhere/x' is not there"),
        ({"users": 0}, "train", "data.users=0"),
    ],
)
def test_wrong_settings_are_named(change, split, message):
    with pytest.raises(ValueError, match=message):
        open_all(dataclasses.replace(SYNTHETIC, **change), split)


def test_no_episode_left_is_an_error(tmp_path):
    path = tmp_path / "m.jsonl"
    message = {"role": "user", "content": "x"}
    path.write_text(json.dumps({"messages": [message], "gold": [snippet.NOTHING]}))
    cfg = dataclasses.replace(SYNTHETIC, source="messages", path=str(path), keep_empty=False)
    with pytest.raises(quarantine_lib.DataError, match="no episode in split 'all'.*keep_empty"):
        open_all(cfg, "all")
