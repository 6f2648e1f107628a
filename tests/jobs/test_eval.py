"""The eval job end to end with tiny random weights: report, resume, refusals."""

import importlib
import json

import pytest

from pa_jax.core import files
from pa_jax.jobs import eval as eval_job


def config(folder):
    made = importlib.import_module("configs.eval").get_config("tiny")
    made.benchmarks = ("prefeval_mcq", "single_turn")
    made.systems = ("zero_shot", "oracle")
    made.speaker.trunks, made.speaker.max_new_tokens = (768,), 4
    made.speaker.tokens, made.speaker.rows = 2048, 2
    made.prefeval.path, made.prefeval.noise = str(folder), (0, 1)
    made.data.heldout_users, made.single_turn.episodes = 1, 2
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One made-up item in PrefEval's format."""
    root = tmp_path_factory.mktemp("prefeval") / "benchmark_dataset"
    item = {"preference": "I dislike crowds.", "question": "Where to go?"}
    options = {"classification_task_options": ["a quiet lake", "a fair", "a rally", "a concert"]}
    talk = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    for place, value in (
        ("explicit_preference/trips.json", [item]),
        ("mcq_options/trips.json", [item | options]),
        ("filtered_inter_turns.json", [{"conversation": talk}]),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(json.dumps(value))
    return root.parent


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("eval")
    eval_job.run(config(folder), workdir)
    return workdir


def test_the_report_has_every_cell_with_its_interval(done, folder):
    report = json.loads((done / "report.json").read_text())
    cells = {(e["benchmark"], e["part"], e["system"]): e for e in report["entries"]}
    assert set(cells) == {
        *(("prefeval_mcq", f"explicit N={n}", s) for n in (0, 1) for s in ("zero_shot", "oracle")),
        ("single_turn", "synthetic", "inferencer"),
    }
    assert cells["single_turn", "synthetic", "inferencer"]["n"] == 2
    for entry in cells.values():
        for of in entry["measures"].values():
            assert of["low"] <= of["mean"] <= of["high"]
    rows = list(files.read_rows(done / "records.jsonl"))
    accuracy = [r["measures"]["accuracy"] for r in rows if r["id"] == "explicit/trips/0/N1"]
    assert len(accuracy) == 2 and report["rows"] == len(rows) == 6
    assert report["config_digest"] == eval_job.digest(config(folder))
    text = (done / "report.md").read_text()
    assert report["config_digest"] in text and "## prefeval_mcq" in text
    assert (done / "eval.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_start_makes_only_what_is_missing(done, folder, tmp_path):
    whole = (done / "records.jsonl").read_bytes().splitlines(keepends=True)
    for name in ("config.json", "records.jsonl"):
        (tmp_path / name).write_bytes((done / name).read_bytes())
    (tmp_path / "records.jsonl").write_bytes(b"".join(whole[:-1]) + whole[-1][:20])  # killed
    eval_job.run(config(folder), tmp_path)
    assert (tmp_path / "records.jsonl").read_bytes() == b"".join(whole)


def test_a_folder_of_another_evaluation_is_refused(done, folder):
    other = config(folder)
    other.prefeval.noise = (0,)
    with pytest.raises(ValueError, match="prefeval.noise"):
        eval_job.run(other, done)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("benchmarks", ("prefevall",), "prefeval_mcq"),
        ("systems", ("zeroshot",), "zero_shot"),
        ("runs", ("x/untrained",), "another name"),
    ],
)
def test_a_wrong_name_is_an_error_that_names_the_choices(key, value, match, folder, tmp_path):
    made = config(folder)
    made[key] = value
    with pytest.raises(ValueError, match=match):
        eval_job.run(made, tmp_path)


def test_data_that_is_not_there_is_named(tmp_path):
    made = config("")
    made.benchmarks = ("aloe",)
    with pytest.raises(ValueError, match="aloe.path is empty"):
        eval_job.run(made, tmp_path)
