"""A file of one's own in recall's benchmarks: who is asked what, and what each system brings."""

import json

import pytest

from pa_jax.core import files
from pa_jax.data import quarantine as quarantine_lib
from pa_jax.dialogue import schema
from pa_jax.evaluate.benchmarks import recall, recall_own
from pa_jax.evaluate.systems import baselines
from pa_jax.jobs import configs
from pa_jax.jobs import eval as eval_job

CFG = recall.RecallConfig(
    users=9, turns=(1, 3), questions=2, untold=1, chunk=2, path="", seed=0, noise=(0,)
)
SAID = {
    "ann": ("The user likes green tea.", "The user lives in Graz.", "No new preference."),
    "bob": ("The user is allergic to kiwis.", None, "The user plays chess."),
    "cyd": ("The user dislikes coffee.",),
    "dee": (None,),
}


@pytest.fixture
def path(tmp_path):
    rows = [
        {
            "user_id": user,
            "messages": [
                {"role": role, "content": f"{role} {user} {number}"}
                for number in range(len(gold))
                for role in ("user", "assistant")
            ],
            "gold": list(gold),
        }
        for user, gold in SAID.items()
    ]
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def asked(cfg, noise=()):
    found = recall_own.moments(cfg, "noise", quarantine_lib.Quarantine(None), noise)
    return {(one.user, one.turns, one.noise): one for one in found}


def with_path(path, **changed):
    return recall.dataclasses.replace(CFG, path=path, **changed)


def test_who_is_asked_what_and_when(path):
    found = asked(with_path(path))
    # cyd said one turn: asked behind it at T=1, and once more behind all at T=3; dee has no gold
    assert {key[:2] for key in found} == {("ann", 1), ("ann", 3), ("bob", 1), ("bob", 3)} | {
        ("cyd", 1),
        ("cyd", 3),
    }
    early = found["ann", 1, 0]
    assert [m.content for m in early.history] == ["user ann 0", "assistant ann 0"]
    told, later = early.questions
    assert (told.options[0], told.age, told.gold) == (
        "You like green tea.",
        1,
        "The user likes green tea.",
    )
    assert (later.options[0], later.age) == ("You live in Graz.", 0)
    for question in early.questions:
        assert len(set(question.options)) == 4
        theirs = {"You are allergic to kiwis.", "You play chess.", "You dislike coffee."}
        assert set(question.options[1:]) == theirs
    late = found["ann", 3, 0]
    assert [question.age for question in late.questions] == [3, 2]


def test_noise_comes_behind_what_was_told(path):
    said = tuple(
        schema.Message(role, f"{n} {role}") for n in range(2) for role in ("user", "assistant")
    )
    found = asked(with_path(path, noise=(0, 2), turns=(3,)), said)
    plain, behind = found["ann", 3, 0], found["ann", 3, 2]
    assert behind.history == plain.history + said
    assert [q.options for q in plain.questions] == [q.options for q in behind.questions]


def test_too_few_people_is_one_message(tmp_path):
    row = {"user_id": "a", "messages": [{"role": "user", "content": "x"}], "gold": ["The user x."]}
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(quarantine_lib.DataError, match="^noise.path=.*several users"):
        asked(with_path(str(tmp_path / "one.jsonl")))
    with pytest.raises(quarantine_lib.DataError, match="^noise.path='nix' is not there"):
        asked(with_path("nix"))


NAMES = ("zero_shot", "full_history", "retrieval", "memory_bank", "oracle")


def test_systems_are_asked_as_of_synthetic_users(path, tools):
    cfg = with_path(path, turns=(3,), users=2, untold=0)
    found = recall_own.moments(cfg, "long_horizon", quarantine_lib.Quarantine(None))
    task = recall.Recall(cfg, found, name="long_horizon")
    chosen = baselines.choose(NAMES)
    rows = [r for chunk in task.chunks() for of in task.run(chunk, chosen, tools, {}) for r in of]
    questions = sum(len(moment.questions) for moment in found)
    assert questions and len(rows) == questions * len(NAMES)
    assert all(0 <= row["measures"]["p_right"] <= 1 for row in rows)


@pytest.mark.slow
def test_the_job_asks_them_under_the_agent_that_asks_back_too(path, tmp_path):
    made = configs.load("eval:tiny")
    made.mesh.fsdp, made.infer.rows, made.lengths = 2, 2, (2048,)
    made.benchmarks = ("unseen", "long_horizon")
    made.systems = (*baselines.SYSTEMS, "personal_agent", "personal_agent_asking")
    made.baseline = "oracle"
    made.unseen.path = made.long_horizon.path = path
    eval_job.run(made, tmp_path / "w")
    rows = list(files.read_rows(tmp_path / "w" / "records.jsonl"))
    assert {row["cluster"] for row in rows} <= {"ann", "bob", "cyd"}
    assert {row["benchmark"] for row in rows} == {"unseen", "long_horizon"}
    assert {row["system"] for row in rows} == set(made.systems)
