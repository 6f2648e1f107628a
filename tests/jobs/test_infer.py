"""The infer job with tiny weights: right with gold snippets, resumed exactly, bad lines out."""

import collections
import importlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from pa_jax import models
from pa_jax.agent.inference import inferencer
from pa_jax.core import files
from pa_jax.data import dialogues
from pa_jax.dialogue import schema
from pa_jax.evaluate.profiles import talks
from pa_jax.jobs import inferring, measure, setup
from pa_jax.profile import store
from tests import devices


def config(**changed):
    made = importlib.import_module("configs.infer").get_config("tiny")
    made.infer.rows, made.users = 1, 4  # few programs to compile
    made.infer.grounding = -math.inf  # random weights ground nothing
    made.size.turns = 3
    made.update(changed)
    return made


@pytest.fixture(scope="module")
def agent():
    model = models.load("random:tiny", dtype="float32")
    cfg = setup.section(inferencer.InferConfig, config().infer)
    return inferencer.Inferencer(model, cfg)


def rows(workdir):
    """What was written of every turn, user by user; a user's turns as they lie on file."""
    found = files.read_rows(workdir / "snippets.jsonl")
    plain = [{key: value for key, value in row.items() if key != "time"} for row in found]
    return sorted(plain, key=lambda row: row["user"])


def profiles_of(workdir):
    return [json.loads(line) for line in (workdir / "profiles.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def golden(agent, tmp_path_factory):
    """Work directory of a run with gold snippets."""
    workdir = tmp_path_factory.mktemp("golden")
    inferring.infer(config(snippets="gold"), workdir, agent)
    return workdir


def test_with_gold_snippets_the_profile_is_gold(golden):
    report = json.loads((golden / "report.json").read_text())
    assert report["users"] == 3 and report["turns"] == 3 * 2 * 3
    assert report["gold"]["precision"]["mean"] == report["gold"]["recall"]["mean"] == 1.0
    assert report["gold"]["junk"]["mean"] == 0.0
    # Words alone place what users say of themselves; the taxonomy's own values they place rightly.
    assert report["gold"]["in_slot"]["mean"] >= 0.6
    assert report["gold"]["retired_rightly"]["mean"] in (None, 1.0)
    assert sum(report["dropped"].values()) == 0
    for row in profiles_of(golden):
        for fact in row["facts"]:
            said = next(
                r for r in rows(golden) if (r["user"], r["turn"]) == (row["user"], fact["turn"])
            )
            assert fact["quote"] == said["words"]


def test_a_killed_run_goes_on_as_if_it_had_not_been(agent, golden, tmp_path):
    """Killed after the rows of a wave were written and only some were applied."""
    workdir = tmp_path / "killed"
    workdir.mkdir()
    lines = (golden / "snippets.jsonl").read_bytes().splitlines(keepends=True)
    (workdir / "snippets.jsonl").write_bytes(b"".join(lines[:8]) + lines[8][:20])
    half = store.ProfileStore(f"sqlite:///{workdir}/profiles.db")
    keep = inferring.InferRun(half, tmp_path / "part.jsonl")
    (tmp_path / "part.jsonl").write_bytes(b"".join(lines[:6]))
    users = talks.by_user(dialogues.of_users(0, 3, "heldout", (2, 3)))
    keep.replay({talk.user: talk for talk in users})
    half.close()
    inferring.infer(config(snippets="gold"), workdir, agent)
    assert rows(workdir) == rows(golden)
    assert profiles_of(workdir) == profiles_of(golden)
    again = (workdir / "snippets.jsonl").read_bytes()
    inferring.infer(config(snippets="gold"), workdir, agent)  # nothing is left to do
    assert (workdir / "snippets.jsonl").read_bytes() == again
    assert profiles_of(workdir) == profiles_of(golden)


def test_rows_of_other_data_are_refused(agent, golden, tmp_path):
    shutil.copy(golden / "snippets.jsonl", tmp_path)
    other = config(snippets="gold")
    other.data.seed = 1
    with pytest.raises(ValueError, match="not the next one in the data"):
        inferring.infer(other, tmp_path, agent)


def test_dialogues_from_a_file_and_bad_lines_set_aside(agent, tmp_path):
    said = [f"Message {k} says little." for k in range(24)]
    lines = [
        json.dumps({"user_id": f"u{k % 3}", "messages": [{"role": "user", "content": text}]})
        for k, text in enumerate(said)
    ]
    lines[7] = lines[7][:-9]
    path = tmp_path / "chat.jsonl"
    path.write_text("\n".join(lines) + "\n")
    made = config(split="all", users=2)
    made.data.source, made.data.path = "messages", str(path)
    inferring.infer(made, tmp_path, agent)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["items"] == {"read": 24, "quarantined": 1}
    assert report["turns"] == 23 and report["gold"] is None
    for user in range(3):
        mine = [row["words"] for row in rows(tmp_path) if row["user"] == f"u{user}"]
        assert mine == [text for k, text in enumerate(said) if k % 3 == user and k != 7]
    dropped = sum(len(row["dropped"]) for row in rows(tmp_path))
    assert dropped == sum(report["dropped"].values())


def test_an_empty_split_says_what_to_change(tmp_path):
    path = tmp_path / "one.jsonl"
    talk = {"user_id": "u0", "messages": [{"role": "user", "content": "I like tea."}]}
    path.write_text(json.dumps(talk) + "\n")
    made = config()
    made.data.source, made.data.path = "messages", str(path)
    sides = {}
    for split in ("train", "heldout", "all"):
        made.split = split
        try:
            people, _, _ = inferring.read(made, tmp_path)
            sides[split] = len(people)
        except ValueError as error:
            assert f"split={split!r} holds no user" in str(error)
            assert "--config.split=all" in str(error) and str(path) in str(error)
            sides[split] = 0
    assert sorted(sides.values()) == [0, 1, 1] and sides["all"] == 1


def test_labelled_turns_count_and_the_rest_is_said(agent, tmp_path):
    """The docs' own example: one turn has a gold, the other null."""
    said = ("I always take the window seat.", "Noted.", "What is the capital of Chile?")
    roles = ("user", "assistant", "user")
    talk = {
        "user_id": "ann",
        "messages": [{"role": r, "content": c} for r, c in zip(roles, said, strict=True)],
        "gold": ["The user prefers window seats.", None],
    }
    blank = {"user_id": "bob", "messages": [{"role": "user", "content": "Text\0 with a NUL."}]}
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps(talk) + "\n" + json.dumps(blank) + "\n")
    made = config(split="all", users=2)
    made.data.source, made.data.path = "messages", str(path)
    inferring.infer(made, tmp_path, agent)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["users"] == 2 and report["users_with_gold"] == 1
    assert report["turns_without_gold"] == 2 and report["gold"]["recall"]["n"] == 1


def test_waves_hold_a_users_turns_in_order_and_stay_full():
    rng = random.Random(0)
    people = [
        talks.Talk(f"u{k}", tuple(schema.Turn(str(i)) for i in range(rng.randint(0, 9))))
        for k in range(20)
    ]
    done = collections.Counter({"u1": min(3, len(people[1].turns)), "u2": len(people[2].turns)})
    seen = [[(talk.user, k) for talk, k in wave] for wave in talks.waves(people, done, 6)]
    for wave in seen:
        assert len({user for user, _ in wave}) == len(wave) <= 6
    for talk in people:
        numbers = [k for wave in seen for user, k in wave if user == talk.user]
        assert numbers == list(range(done[talk.user], len(talk.turns)))
    alone = next((n for n, wave in enumerate(seen) if len(wave) < 6), len(seen))
    left = {user for wave in seen[alone:] for user, _ in wave}
    assert len(left) < 6  # a wave is short only when no user is waiting


def test_sessions_of_one_user_count_from_zero_and_context_ends_with_a_session():
    def dialogue(*sessions):
        turns = tuple(schema.Turn(f"w{s}", assistant=f"a{s}", session=s) for s in sessions)
        return schema.Dialogue("d", "u", turns)

    (talk,) = talks.by_user([dialogue(-4, -4, 9), dialogue(9)])
    assert [turn.session for turn in talk.turns] == [0, 0, 1, 2]
    assert [talk.observed(k, ()).context for k in range(4)] == ["", "a-4", "", ""]


@pytest.mark.slow
def test_the_job_survives_sigkill_at_any_point(root, tmp_path):
    """Killed until it is through: each turn once, in order, and the profiles of the rows."""
    workdir = tmp_path / "run"
    command = [sys.executable, "-m", "pa_jax.main", "--config=configs/infer.py:tiny"]
    command += [f"--workdir={workdir}", "--config.data.heldout_users=6", "--config.mesh.fsdp=-1"]
    env = os.environ | {"XLA_FLAGS": devices.flags(1), "PA_JAX_CACHE": str(tmp_path / "cache")}
    rng = random.Random(0)
    for kill in (True, True, True, True, False):
        child = subprocess.Popen(command, cwd=root, env=env, stderr=subprocess.DEVNULL)
        if kill:
            time.sleep(rng.uniform(6, 30))
            child.send_signal(signal.SIGKILL)
            child.wait()
        else:
            assert child.wait(timeout=300) == 0
    report = json.loads((workdir / "report.json").read_text())
    assert report["turns"] == 6 * 2 * 2
    turns = collections.Counter((row["user"], row["turn"]) for row in rows(workdir))
    assert set(turns.values()) == {1}
    fresh = store.ProfileStore(f"sqlite:///{tmp_path}/again.db")
    inferring.InferRun(fresh, workdir / "snippets.jsonl").replay(
        {t.user: t for t in talks.by_user(dialogues.of_users(0, 6, "heldout", (2, 2)))}
    )
    there = store.ProfileStore(f"sqlite:///{workdir}/profiles.db")
    for user in there.users():
        assert fresh.history(user) == there.history(user)
    for opened in (fresh, there):
        opened.close()


def test_models_and_ways_stand_in_one_table(tmp_path):
    made = config(runs=("random:tiny",))
    made.data.heldout_users, made.size.sessions, made.size.turns = 2, 1, 2
    made.full_history.prompt_tokens = 600
    measure.compare(made, tmp_path, None)
    lines = (tmp_path / "table.md").read_text().splitlines()
    names = [line.split("|")[1].strip() for line in lines[2:]]
    assert names == [
        f"{number}-random-tiny-{way}" for number in (0, 1) for way in ("turns", "full_history")
    ]
    assert lines[2].split("|")[2:] == lines[4].split("|")[2:]  # the same model twice
    written = (tmp_path / names[1] / "lists.jsonl").read_bytes()
    measure.compare(made, tmp_path, None)  # nothing is left to do
    assert (tmp_path / names[1] / "lists.jsonl").read_bytes() == written
    with pytest.raises(ValueError, match="none of"):
        measure.compare(config(ways=("half",)), tmp_path, None)


@pytest.mark.parametrize("turns", [120, pytest.param(300, marks=pytest.mark.slow)])
def test_with_gold_snippets_many_turns_stay_bounded_and_known(agent, tmp_path, turns):
    made = config(horizon=(8, turns), snippets="gold", users=1)
    made.data.heldout_users, made.size.sessions, made.size.turns = 1, turns // 8 + 1, 8
    measure.measure(made, tmp_path, agent)
    found = json.loads((tmp_path / "report.json").read_text())["horizon"]["gold"]
    early, late = found["8"], found[str(turns)]
    assert early["users"] == late["users"] == 1
    assert late["first"] >= early["first"] - 0.05 and late["all"] > 0.95
    assert late["facts"]["most"] <= 8 * 325 + 48
    assert late["snippet_prompt"] <= made.infer.prompt_tokens
    assert late["reply_prompt"] <= made.reply.prompt_tokens
