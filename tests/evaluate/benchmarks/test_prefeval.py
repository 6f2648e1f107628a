"""PrefEval's dialogues as its public code builds them, and what its judge's answers come to."""

import collections
import hashlib
import json

import numpy as np
import pytest

from pa_jax.data import quarantine as quarantine_lib
from pa_jax.dialogue import schema
from pa_jax.evaluate import chat_model
from pa_jax.evaluate.benchmarks import jury, prefeval, prefeval_data, protocol
from pa_jax.evaluate.systems import baselines

TALKS = [
    {
        "conversation": [
            {"role": role, "content": f"{role} says {talk}.{i}"}
            for i in range(2)
            for role in ("user", "assistant")
        ]
    }
    for talk in range(3)
]


def settings(folder, **changes) -> prefeval_data.PrefEvalConfig:
    values = {
        "path": str(folder),
        "form": "explicit",
        "topics": (),
        "per_topic": 100,
        "noise": (0, 1),
        "acknowledge": False,
        "words": 50,
        "chunk": 3,
        "seed": 0,
    }
    return prefeval_data.PrefEvalConfig(**{**values, **changes})


@pytest.fixture
def folder(tmp_path):
    """Two made-up items of one topic in PrefEval's format."""
    root = tmp_path / "benchmark_dataset"
    stated = [
        {"preference": f"I dislike {x}.", "question": f"Plan {x}?"} for x in ("noise", "crowds")
    ]
    options = [
        item | {"classification_task_options": [f"right {i}", "wrong 1", "wrong 2", "wrong 3"]}
        for i, item in enumerate(stated)
    ]
    options[1]["question"] = "Plan crowds, as the options' file words it?"
    for name, value in (("explicit_preference", stated), ("mcq_options", options)):
        (root / name).mkdir(parents=True)
        (root / name / "trips.json").write_text(json.dumps(value))
    (root / "filtered_inter_turns.json").write_text(json.dumps(TALKS))
    return tmp_path


def opened(folder, mcq=True, **changes) -> prefeval_data.Dialogues:
    return prefeval_data.Dialogues(
        settings(folder, **changes), quarantine_lib.Quarantine(None), mcq=mcq
    )


def test_the_multiple_choice_takes_its_question_from_the_options_file(folder):
    of_choice, of_reply = opened(folder).items, opened(folder, mcq=False).items
    assert [item.options[0] for item in of_choice] == ["right 0", "right 1"]
    assert of_choice[1].question.endswith("words it?") and of_reply[1].question == "Plan crowds?"


def test_options_stand_in_an_order_of_the_items_own(folder):
    cases = opened(folder, noise=(0, 1, 2)).cases()
    found = {case: prefeval_data.shuffled(case, 0) for case in cases}
    for case, (options, right) in found.items():
        assert sorted(options) == sorted(case.item.options)
        assert options[right] == case.item.options[0]
        assert (options, right) == found[next(c for c in cases if c.item == case.item)]
    places = [
        prefeval_data.shuffled(
            prefeval_data.NoisyItem(prefeval_data.Item(f"x/{i}", "", "", "", (), tuple("rabc")), 0),
            0,
        )[1]
        for i in range(400)
    ]
    assert all(70 <= count <= 130 for count in collections.Counter(places).values())


def test_more_noise_than_there_is_is_refused(folder):
    with pytest.raises(ValueError, match="has 6 pairs"):
        opened(folder, noise=(7,))


def test_the_multiple_choice_has_a_row_a_case_and_system(folder, tools):
    task = prefeval.Mcq(opened(folder, acknowledge=True), as_text=False)
    chosen = baselines.choose(("zero_shot", "reminder"))
    rows = []
    for chunk in task.chunks():
        for made in task.run(chunk, chosen, tools, {}):
            rows += made
    assert {(r["id"], r["system"]) for r in rows} == {
        (f"explicit/trips/{i}/N{n}", name) for i in (0, 1) for n in (0, 1) for name in chosen
    }
    for row in rows:
        assert row["measures"]["accuracy"] == (row["picked"] == row["right"])
        assert 0 < row["measures"]["p_right"] < 1


def test_rotated_options_come_once_under_every_letter_and_are_one_tree(folder, tools):
    dialogues = opened(folder, noise=(1,))
    for case in dialogues.cases():
        orders = prefeval.rotations(case, 0)
        assert orders[0] == prefeval_data.shuffled(case, 0)
        for place in range(4):
            assert {options[place] for options, _ in orders} == set(case.item.options)
        for options, right in orders:
            assert options[right] == case.item.options[0]
    chosen = baselines.choose(("zero_shot", "reminder"))
    (chunk,) = dialogues.chunks()
    (rows,) = prefeval.RotatedMcq(dialogues).run(chunk, chosen, tools, {})
    (plain,) = prefeval.Mcq(dialogues, as_text=False).run(chunk, chosen, tools, {})
    alone = {(row["id"], row["system"]): row for row in plain}
    assert {(row["id"], row["system"]) for row in rows} == set(alone)
    for row in rows:
        want = alone[row["id"], row["system"]]
        assert row["measures"]["plain"] == want["measures"]["accuracy"]
        assert row["picked"][0] == want["picked"] and sorted(row["right"]) == list("ABCD")
        hits = [a == b for a, b in zip(row["picked"], row["right"], strict=True)]
        assert row["measures"]["accuracy"] == sum(hits) / 4


def test_a_model_that_always_says_b_is_right_in_a_quarter_of_orders():
    orders = [(tuple("rxyz"[k:] + "rxyz"[:k]), -k % 4) for k in range(4)]
    stuck = [chat_model.Scored(np.log([0.1, 0.7, 0.1, 0.1]), 0)] * 4
    found = prefeval.averaged(stuck, orders)
    assert found["picked"] == "BBBB" and found["measures"]["accuracy"] == 0.25
    assert found["measures"]["p_right"] == pytest.approx(0.25)
    assert found["measures"]["steady"] == 0 == found["measures"]["plain"]
    sure = [chat_model.Scored(np.log(np.where(np.arange(4) == r, 0.7, 0.1)), 0) for _, r in orders]
    found = prefeval.averaged(sure, orders)
    assert found["measures"]["accuracy"] == found["measures"]["steady"] == 1


def scripted(chats) -> list[str | None]:
    """A judge that says yes, no, nothing or nonsense, by what it is asked."""
    said = ["<answer>Yes</answer>", "<answer>No</answer>", None, "hard to say"]
    texts = [" ".join(message.content for message in chat) for chat in chats]
    return [said[hashlib.sha256(text.encode()).digest()[0] % 4] for text in texts]


def test_generation_counts_failed_verdicts_apart(folder, tools, tiny):
    tools = protocol.Tools(tools.model, jury.ByText(scripted), tools.user, tools.cfg)
    task = prefeval.Generation(opened(folder, mcq=False, noise=(0, 1, 2, 3)))
    chosen = baselines.choose(("zero_shot",))
    rows = [
        row
        for chunk in task.chunks()
        for made in task.run(chunk, chosen, tools, {})
        for row in made
    ]
    assert len(rows) == 8
    for row in rows:
        plain = {"<answer>Yes</answer>", "<answer>No</answer>"}
        needed = ["acknowledges", "violates", "helpful"]
        needed += ["hallucinates"] * (row["judge"]["acknowledges"] != "<answer>No</answer>")
        assert row["failed"] == any(row["judge"][name] not in plain for name in needed)
        assert ("accuracy" in row["measures"]) == (not row["failed"])
        assert "accuracy_lenient" in row["measures"]
    assert any(row["failed"] for row in rows)


def public_order(benchmark, form, item, pairs, acknowledged):
    """Roles and texts before the question, put together step by step from the raw files."""
    said = []
    if form == "explicit":
        said += [("user", item["preference"]), ("assistant", acknowledged)]
    elif form == "choice":
        for key, text in item["conversation"].items():
            said.append(("user" if key in ("query", "user_selection") else "assistant", text))
    else:
        for turn in item["conversation"].values():
            said += [("user", turn["user"]), ("assistant", turn["assistant"])]
    noise = []
    for talk in json.loads((benchmark / "filtered_inter_turns.json").read_text()):
        noise += [(m["role"], m["content"]) for m in talk["conversation"]]
    return said + noise[: pairs * 2]


@pytest.mark.parametrize("mcq", [True, False])
@pytest.mark.parametrize("form", ["explicit", "choice", "persona"])
def test_prompts_hold_the_benchmarks_messages_in_its_order(form, mcq, real_data, tools):
    benchmark = real_data / "prefeval" / "benchmark_dataset"
    place = {
        "explicit": "explicit_preference",
        "choice": "implicit_preference/choice-based",
        "persona": "implicit_preference/persona-driven",
    }[form]
    raw = json.loads((benchmark / place / "travel_restaurant.json").read_text())
    choices = json.loads((benchmark / "mcq_options" / "travel_restaurant.json").read_text())
    dialogues = opened(
        real_data / "prefeval", mcq, form=form, noise=(0, 2, 10), topics=("travel_restaurant",)
    )
    task = prefeval.Mcq(dialogues, as_text=False) if mcq else prefeval.Generation(dialogues)
    cases = [case for case in dialogues.cases() if int(case.item.id.split("/")[-1]) < 20]
    assert len(cases) == 60
    requests = task.requests(cases, tools)
    chats = baselines.zero_shot(requests, tools.model, tools.cfg)
    hinted = baselines.reminder(requests, tools.model, tools.cfg)
    for case, chat, other in zip(cases, chats, hinted, strict=True):
        number = int(case.item.id.split("/")[-1])
        item = raw[number] | ({"question": choices[number]["question"]} if mcq else {})
        if mcq and form == "explicit":
            item["preference"] = choices[number]["preference"]
        got = [(m.role, m.content) for m in chat]
        want = public_order(benchmark, form, item, case.noise, prefeval_data.ACKNOWLEDGED)
        assert got[0][0] == "system" and got[1:-1] == want
        assert got[-1][0] == "user" and got[-1][1].startswith(item["question"])
        assert [(m.role, m.content) for m in other[1:-1]] == want
        if mcq:
            lines = got[-1][1].splitlines()
            shown = [line for line in lines if line[:3] in ("A. ", "B. ", "C. ", "D. ")]
            options = choices[number]["classification_task_options"]
            assert sorted(line[3:] for line in shown) == sorted(options)
        else:
            assert "50 words" in got[-1][1]


def test_the_acknowledgement_is_the_models_own(folder, tools):
    dialogues = opened(folder, acknowledge=True)
    (history,) = dialogues.histories(dialogues.cases()[:1], tools)
    asked = (schema.Message("system", baselines.INSTRUCTION), history[0])
    (said,) = tools.model.reply([asked])
    assert history[1].content == (said.text or prefeval_data.ACKNOWLEDGED)


@pytest.mark.parametrize("path", ["", "/no/such/folder"])
def test_a_path_that_is_missing_is_asked_for_by_its_own_key(path):
    cfg = settings(path)
    with quarantine_lib.Quarantine(None) as quarantine:
        with pytest.raises(ValueError, match="^prefeval.path") as caught:
            prefeval_data.read(cfg, quarantine, mcq=False)
        assert "data.path" not in str(caught.value)
        cfg = settings(path, form="explicitly")
        with pytest.raises(ValueError, match="^prefeval.form='explicitly': choose"):
            prefeval_data.read(cfg, quarantine, mcq=False)
