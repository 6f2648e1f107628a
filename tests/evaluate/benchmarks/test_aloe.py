"""ALOE's protocol: who speaks when, what the judge sees, and what is kept apart."""

import json

import pytest

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.evaluate.benchmarks import aloe, jury, protocol
from pa_jax.evaluate.systems import baselines

CASES = [
    aloe.SimulatedUser(f"{i}x{k}", f"profile-{i}", f"She is cook {i}.", f"She is calm {k}.")
    for i in range(2)
    for k in range(2)
]


def settings(folder="", **changes) -> aloe.AloeConfig:
    values = {
        "path": str(folder),
        "rlpa_path": "",
        "unseen_path": "",
        "cases": 100,
        "turns": 3,
        "temperature": 0.0,
        "seed": 0,
        "chunk": 4,
    }
    return aloe.AloeConfig(**{**values, **changes})


class Script:
    """A judge that writes the next of its texts, and remembers what it was asked."""

    def __init__(self, *texts):
        self.texts, self.asked = texts, []

    def __call__(self, chats):
        self.asked += [chat[0].content for chat in chats]
        return [self.texts[i % len(self.texts)] for i in range(len(chats))]


def played(task, tools, chosen, known=None):
    rows = []
    for chunk in task.chunks():
        for made in task.run(chunk, chosen, tools, known or {}):
            rows += made
    return rows


def with_judge(tools, script):
    return protocol.Tools(tools.model, jury.ByText(script), tools.user, tools.cfg)


def test_a_case_goes_on_for_all_its_turns_and_each_is_judged_alone(tools):
    script = Script("4", "2", "no number", "5")
    chosen = baselines.choose(("zero_shot",))
    task = aloe.Aloe(settings(), CASES, name="aloe")
    rows = played(task, with_judge(tools, script), chosen)
    assert [row["id"] for row in rows] == [f"{c.id}/{t}" for t in range(3) for c in CASES]
    assert [row["measures"].get("alignment") for row in rows] == [4.0, 2.0, None, 5.0] * 3
    assert [row["failed"] for row in rows] == [False, False, True, False] * 3
    for row, asked in zip(rows, script.asked, strict=True):
        assert row["user"] in asked and row["text"] in asked
        earlier = [r for r in rows if r["case"] == row["case"] and r["turn"] < row["turn"]]
        assert not any(len(r["text"]) > 8 and r["text"] in asked for r in earlier)


def test_turns_of_an_earlier_start_are_taken_over_and_not_judged_again(tools):
    chosen = baselines.choose(("zero_shot",))
    task = aloe.Aloe(settings(), CASES, name="aloe")
    whole = played(task, with_judge(tools, Script("3")), chosen)
    kept = {(row["system"], row["id"]): row for row in whole[:6]}  # in the middle of turn 1
    script = Script("3")
    again = played(task, with_judge(tools, script), chosen, kept)
    assert whole[:6] + again == whole
    assert len(script.asked) == len(whole) - 6


def test_accept_or_not_is_a_benchmark_of_its_own_in_percent(tools):
    script = Script("<answer>Yes</answer>", "<answer>No</answer>", "4")
    task = aloe.Aloe(settings(turns=1), CASES[:3], name="aloe_rlpa")
    rows = played(task, with_judge(tools, script), baselines.choose(("no_history",)))
    assert [row["measures"].get("alignment") for row in rows] == [100.0, 0.0, None]
    assert {row["benchmark"] for row in rows} == {"aloe_rlpa"}


def test_a_judge_by_labels_gives_a_score_and_its_expectation(tools):
    task = aloe.Aloe(settings(turns=1), CASES[:2], name="aloe")
    for row in played(task, tools, baselines.choose(("no_history",))):
        assert row["measures"]["alignment"] == float(row["judge"]) in (1.0, 2.0, 3.0, 4.0, 5.0)
        assert 1.0 < row["measures"]["expected"] < 5.0


@pytest.mark.parametrize(
    ("text", "want"),
    [("*smiles* Hi! *waves\nback* How  are you?", "Hi! How are you?"), ("2 * 3", "2 * 3")],
)
def test_stage_directions_are_left_out(text, want):
    assert aloe.without_actions(text) == want


def test_the_benchmark_is_twenty_profiles_by_five_personalities(real_data):
    cases = aloe.read(settings(real_data / "aloe"), quarantine_lib.Quarantine(None))
    assert len(cases) == len({case.id for case in cases}) == 100
    assert len({case.user for case in cases}) == 20
    people = (real_data / "aloe" / "personality_eval.jsonl").read_text().splitlines()
    assert {case.personality for case in cases} == {json.loads(line) for line in people[:5]}
    few = aloe.read(settings(real_data / "aloe", cases=10), quarantine_lib.Quarantine(None))
    assert len(few) == 10 and len({case.user for case in few}) == 10


@pytest.mark.parametrize("key", ["rlpa_path", "unseen_path"])
def test_other_cases_come_from_a_file_of_the_users(key, tmp_path):
    with pytest.raises(quarantine_lib.DataError, match=f"{key} is empty"):
        aloe.read_cases(settings(), key, quarantine_lib.Quarantine(None))
    line = json.dumps({"profile": "He sails.", "personality": "He is shy."})
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join([line] * 3))
    cases = aloe.read_cases(settings(**{key: str(path)}), key, quarantine_lib.Quarantine(None))
    assert [case.profile for case in cases] == ["He sails."] * 3
    assert len({case.user for case in cases}) == 3
