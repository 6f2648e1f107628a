"""The sheet out and in: what people see, what they may write, and what judges are told."""

import csv
import dataclasses
import importlib
import io
import json

import numpy as np
import pytest

from pa_jax import judge
from pa_jax.data import dialogues, source
from pa_jax.evaluate.judges import agreement, sheet
from pa_jax.jobs import judge as judge_job
from pa_jax.judge import rubric

HOSTILE = ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "'=1", "＝1", "\r=1", "plain")


@pytest.fixture(scope="module")
def made():
    cfg = dialogues.DataConfig("synthetic", "", "", 8, 4, 3, False, "gold", 0.5)
    episodes = list(source.open_episodes(cfg, split="train", quarantine_path=None))
    return agreement.cases(episodes[:20], episodes, seed=1)


def rows_of(path):
    text = path.read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def filled(path, target, rate, delimiter=","):
    """Fills a sheet in as `rate(row)` says, four cells a row."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, sheet.COLUMNS, delimiter=delimiter)
    writer.writeheader()
    for row in rows_of(path):
        writer.writerow(row | dict(zip(rubric.CRITERIA, rate(row), strict=True)))
    target.write_text(out.getvalue(), encoding="utf-8-sig", newline="")
    return target


def test_raters_see_notes_in_random_order_and_no_gold(made, tmp_path):
    assert sheet.write(tmp_path / "a.csv", made, seed=0) == 40
    rows = rows_of(tmp_path / "a.csv")
    rights = {case.texts["right"] for case in made}
    places = [k for k, row in enumerate(rows) if row["note"] in rights]
    assert 18 <= len(places) <= 25 and places != list(range(0, 40, 2))
    for case in made:
        assert sum(row["user_said"] == case.episode.user for row in rows) == 2
    assert set(rows[0]) == set(sheet.COLUMNS)
    assert not any(row[name] for row in rows for name in rubric.CRITERIA)
    first = (tmp_path / "a.csv").read_bytes()
    sheet.write(tmp_path / "a.csv", made, seed=0)
    assert (tmp_path / "a.csv").read_bytes() == first


def test_no_cell_starts_as_a_formula_and_all_come_back(made, tmp_path):
    evil = []
    for case, text in zip(made, HOSTILE, strict=False):
        episode = dataclasses.replace(case.episode, user=text, context=text, profile=(text,))
        evil.append(agreement.Case(episode, case.texts | {"right": text}))
    sheet.write(tmp_path / "a.csv", evil, seed=0)
    rows = rows_of(tmp_path / "a.csv")
    for row in rows:
        for cell in row.values():
            assert cell.lstrip(" ")[:1] not in ("=", "+", "-", "@", "\t", "\r", "＝")
    assert {sheet._plain(row["user_said"]) for row in rows} == set(HOSTILE)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_filled_sheet_comes_back_whatever_program_saved_it(made, tmp_path, delimiter):
    sheet.write(tmp_path / "a.csv", made, seed=0)
    said = {row["id"]: k for k, row in enumerate(rows_of(tmp_path / "a.csv"))}

    def rate(row):
        k = said[row["id"]]
        return ("", "", "", "") if k == 0 else (1 + k % 5, 5, "" if k == 1 else 3, " 2 ")

    labels = sheet.read(filled(tmp_path / "a.csv", tmp_path / "b.csv", rate, delimiter))
    assert len(labels) == 39
    for name, ratings in labels.items():
        k = said[name]
        np.testing.assert_array_equal(ratings, [k % 5, 4, np.nan if k == 1 else 2, 1])


def test_a_judge_that_agrees_and_one_that_does_not(made, tmp_path):
    sheet.write(tmp_path / "a.csv", made, seed=0)
    one = judge.Judge("reference")
    scores = agreement.judged(one, made, None)
    by_id = {
        sheet.item_id(case, name): scores.values[i, k]
        for i, case in enumerate(made)
        for k, name in enumerate(case.texts)
    }

    def rate(row):
        return [int(np.rint(x * 4)) + 1 for x in by_id[row["id"]]]

    labels = sheet.read(filled(tmp_path / "a.csv", tmp_path / "b.csv", rate))
    found = sheet.against_judge(made, scores, labels)
    for figures in found.values():
        assert figures["n"] == len(labels) and figures["failed"] == 0
        assert figures["kappa_weighted"] == pytest.approx(1)
        assert figures["auc"] == 1
    turned = rubric.Scores(1 - scores.values, scores.failed)
    against = sheet.against_judge(made, turned, labels)
    assert all(f["auc"] == 0 and f["kappa"] < 0 for f in against.values())
    none = rubric.Scores(scores.values, np.ones_like(scores.failed))
    lost = sheet.against_judge(made, none, labels)["completeness"]
    assert lost["failed"] == len(labels) and lost["n"] == 0 and np.isnan(lost["auc"])


def test_raters_are_compared_and_merged():
    nan = np.nan
    anna = {"a": np.array([0, 4, 2, nan]), "b": np.array([4, 0, 2, 1]), "c": np.zeros(4)}
    ben = {"a": np.array([0, 0, 4, 3]), "b": np.array([4, 4, 2, 1])}
    found = sheet.between({"anna": anna, "ben": ben})["anna and ben"]
    assert found["n"] == 2 and found["completeness"] == 1 and found["no_hallucination"] == -1
    both = sheet.merged({"anna": anna, "ben": ben})
    np.testing.assert_array_equal(both["a"], [0, 2, 3, 3])
    np.testing.assert_array_equal(both["c"], np.zeros(4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("completeness", "compl."), r"no column \['completeness'\]"),
        (lambda text: text.replace(",5,5,5,5,", ",5,5,5,6,", 1), "consistency is '6'; a rating"),
        (lambda text: text.replace(",5,5,5,5,", ",,,,"), "holds no rating"),
        (lambda text: text + text.partition("\n")[2], "occurs twice"),
    ],
)
def test_a_damaged_sheet_is_named(made, tmp_path, change, message):
    sheet.write(tmp_path / "a.csv", made[:3], seed=0)
    path = filled(tmp_path / "a.csv", tmp_path / "b.csv", lambda row: (5, 5, 5, 5))
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    with pytest.raises(ValueError, match=message):
        sheet.read(path)


def test_labels_of_other_cases_are_refused(made, tmp_path):
    scores = agreement.judged(judge.Judge("reference"), made, None)
    with pytest.raises(ValueError, match="1 of 1 labelled notes are none of this run's"):
        sheet.against_judge(made, scores, {"nothing": np.zeros(4)})


def test_two_judges_on_the_same_cases(made):
    scores = agreement.judged(judge.Judge("reference"), made, None)
    turned = rubric.Scores(1 - scores.values, scores.failed)
    found = agreement.between(made, {"one": scores, "same": scores, "not": turned})
    assert set(found) == {"one and same", "one and not", "same and not"}
    same, opposite = found["one and same"], found["one and not"]
    for criterion in rubric.CRITERIA:
        assert same[f"kappa/{criterion}"] == pytest.approx(1)
        assert opposite[f"rank/{criterion}"] == pytest.approx(-1)
    assert same["same_winner"] == 1 and opposite["same_winner"] < 0.1
    assert same["rank/within_items"] == pytest.approx(1)
    assert json.dumps(found)


def test_the_judge_job_writes_a_sheet_and_reads_it_back(tmp_path):
    config = importlib.import_module("configs.judge").get_config("tiny")
    config.kinds, config.bias = ("reference",), 0
    config.sheet = str(tmp_path / "out.csv")
    judge_job.run(config, tmp_path / "sheet")
    assert not (tmp_path / "sheet" / "report.json").exists()
    rater = iter(np.random.default_rng(0).integers(1, 6, (100, 4)).tolist())
    paths = [
        str(filled(tmp_path / "out.csv", tmp_path / f"{name}.csv", lambda row: next(rater)))
        for name in ("anna", "ben")
    ]
    config.sheet, config.labels = "", ",".join(paths)
    judge_job.run(config, tmp_path / "labels")
    report = json.loads((tmp_path / "labels" / "report.json").read_text())
    assert report["reference"]["labels"]["completeness"]["n"] == 16
    assert report["between"][f"{paths[0]} and {paths[1]}"]["n"] == 16


def test_a_sheet_that_a_table_program_saved_again_is_read(made, tmp_path):
    """pandas writes 5.0 where some are blank; people tidy the names of columns."""
    sheet.write(tmp_path / "a.csv", made, seed=0)
    plain = filled(tmp_path / "a.csv", tmp_path / "b.csv", lambda row: (5, 4, 3, 2))
    text = plain.read_text(encoding="utf-8")
    (tmp_path / "c.csv").write_text(text.replace("completeness", " Completeness"), encoding="utf-8")
    with (tmp_path / "b.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {name: f"{row[name]}.0" for name in rubric.CRITERIA}
    with (tmp_path / "d.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for name in ("c.csv", "d.csv"):
        for ratings in sheet.read(tmp_path / name).values():
            np.testing.assert_array_equal(ratings, [4, 3, 2, 1])
