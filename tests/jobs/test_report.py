"""report.html of a run: whole, readable by a parser, from the work directory's files alone."""

import dataclasses
import html.parser
import importlib
import json
import os
import re
import shutil

import numpy as np
import pytest

from pa_jax.core import metrics
from pa_jax.dialogue import schema
from pa_jax.evaluate import heldout
from pa_jax.evaluate.reports import run_page, run_verdict
from pa_jax.jobs import grpo, report, setup, tasks
from pa_jax.rl import learner

HOSTILE = "</p><script>alert('x')</script><img src=http://example.com/x onerror=alert(1)> & \"q\""
VOID = {"meta", "img", "br"}
SCORES = [[0.1, 0.2, 0.3, 0.4], [0.9, 0.8, 0.7, 0.6], [0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0]]


class Page(html.parser.HTMLParser):
    """Tags balanced, ids unique, and what the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.refers, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "action", "data"):
                self.refers.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def record(number, text, f1):
    gold = "The user likes tea."
    return heldout.Record(f"u/{number}", HOSTILE, gold, text, True, f1, (f1,) * 4, number % 4, 0)


def sample(failed, options=()):
    episode = schema.Episode(
        "u/1", "u", ("The user likes tea.",), HOSTILE, HOSTILE, "The user likes cake.",
        options=options, worth=(0.5,) * len(options),
    )  # fmt: skip
    return learner.Sample(
        episode,
        (HOSTILE, "The user likes cake.", "The user", "broken"),
        np.array(SCORES, np.float32),
        np.array([-1.5, 1.25, -0.25, 0.0], np.float32),
        np.array([True, True, False, True]),
        np.array([False, False, False, failed]),
    )


def begun(tmp_path, task="infer", options=()):
    """A GRPO run's folder, written by what training writes it with."""
    config = importlib.import_module("configs.grpo").get_config()
    config.task = task
    config = tasks.resolved(config)
    config.reward.weights, config.reward.truncated = (1.0, 2.0, 0.5, 1.0), -1.0
    config.rollout.prompts = 4
    config.train.steps, config.warm.steps = 3, 0
    setup.open_workdir(config, tmp_path)
    writer = metrics.MetricWriter(tmp_path, tensorboard=False, resume_step=0)
    for step in range(3):
        row = {"loss": 0.5, "reward/mean": 0.25 * step, "judge/failed": 1, "skipped": step == 2}
        row |= {"rollout/truncated": 2, "rollout/masked": 1, "rollout/zero_spread_groups": 0.25}
        row |= {"seconds/rollout": 3.0 - step, "seconds/step": 4.0, "logp_delta_mean": 0.0}
        row |= {"process/compiles": 7, "process/peak_rss_gb": 1.5}
        writer.write(step, row)
        grpo.write_samples(tmp_path, step, [sample(step == 0, options)], row)
    writer.close()
    report.kept(tmp_path, "before", lambda: [record(i, "x", 0.0) for i in range(20)])
    report.kept(tmp_path, "after-3", lambda: [record(i, HOSTILE, 0.5) for i in range(20)])
    return tmp_path


@pytest.fixture
def workdir(tmp_path):
    return begun(tmp_path)


def test_the_page_is_whole_and_refers_to_nothing_outside(workdir):
    path = report.write_page(workdir)
    page = Page(path.read_text())
    assert page.tags[:2] == ["html", "head"] and "script" not in page.tags
    assert all(re.match(r"#|data:image/svg\+xml;base64,", one) for one in page.refers)
    assert [one[1:] for one in page.refers if one.startswith("#")] == page.ids
    assert page.ids == [
        "verdict", "held-out", "curves", "held-out-snippets", "rewards", "sample-trees", "time",
        "failures", "config",
    ]  # fmt: skip
    assert page.text.count("<script>alert('x')</script>") > 6
    assert path == workdir / "report.html" and report.write_page(workdir).read_text() == (
        path.read_text()
    )


def test_figures_of_the_page_are_those_of_the_run(workdir):
    page = Page(report.write_page(workdir).read_text()).text
    assert "token_f1 0.000 [0.000, 0.000] 0.500 [0.500, 0.500] rises" in page
    assert "steps 3 of 3" in page and "programs compiled 7" in page
    assert "rollout 6.0 50 % 3.00 1.50" in page  # 3 + 2 + 1 of 12 seconds
    assert "completions without a verdict of the judge 3" in page
    assert "completions cut at the length limit 6" in page
    assert "groups without a spread (no gradient) 3" in page  # a quarter of 4 rows, 3 steps
    assert "updates skipped (loss or gradient not finite) 1" in page
    assert "reward.truncated -1.0" in page


def test_each_answer_has_its_scores_reward_and_advantage(workdir):
    page = Page(report.write_page(workdir).read_text()).text
    first, _, third = page.split("Step ")[1:4]
    # 0.1 + 2 x 0.2 + 0.5 x 0.3 + 0.4; the cut one is worth -1 whatever its scores are
    assert "completeness 0.100 0.10 no hallucination 0.200 0.20" in first
    assert "reward 1.050 advantage -1.50" in first
    assert "(cut)" in first and "reward -1.000 advantage -0.25" in first
    assert "broken no verdict , left out" in first and "advantage +0.00" not in first
    assert "broken no verdict" not in third and "advantage +0.00" in third
    assert "noted about me so far? [assistant] - The user likes tea." in first  # the prompt itself


def test_a_run_that_learns_to_ask_is_told_as_one(tmp_path):
    page = Page(report.write_page(begun(tmp_path, "ask", ("tea", HOSTILE))).read_text())
    first = page.text.split("Step ")[1]
    assert "Asking about tea is worth +0.500" in first and "Topics: - tea" in first
    assert "gain 0.100 0.10 reward 1.050" in first and "completeness" not in first
    assert "held-out-decisions" in page.ids and "scored by what each is worth" in page.text
    assert "data requests judge asking" in page.text


def test_a_run_that_is_not_finished_or_has_not_begun_has_a_page_too(workdir):
    (workdir / "heldout-after-3.json").unlink()
    page = Page(report.write_page(workdir).read_text())
    assert 'there is no "after"' in page.text
    for name in ("metrics.jsonl", "samples.jsonl", "heldout-before.json"):
        (workdir / name).unlink()
    assert Page(report.write_page(workdir).read_text()).ids == ["failures", "config"]


def test_the_verdict_comes_first_and_says_what_fell(workdir):
    before = [record(i, "x", 0.5) for i in range(20)]
    after = [
        dataclasses.replace(
            one,
            f1=0.75 if number else 0.25,
            text="The user hates tea." if number == 7 else "w",
            scores=(0.9, 0.25, 0.5, 0.5),
            wrong_stances=int(number == 7),
        )
        for number, one in enumerate(before)
    ]
    for name, rows in (("before", before), ("after-3", after)):
        (workdir / f"heldout-{name}.json").unlink()
        report.kept(workdir, name, lambda rows=rows: rows)
    text = report.write_page(workdir).read_text()
    page = Page(text).text
    first = page[page.index("Verdict Better") : page.index("measure before after")]
    better, worse = first.split("Better ")[1].split("Wrong stances ")[0].split("Worse ")
    assert "token_f1 0.500 \u2192 0.725" in better and "criteria/completeness" in better
    assert "criteria/no_hallucination 0.500 \u2192 0.250" in worse
    assert "wrong_stances 0.000 \u2192 0.050 (within noise)" in worse  # less of it is better
    assert "in 1 of 20 snippets (0 % before, 5 % after)" in first
    worst = first[first.index("The worst snippets") :]
    assert worst.index("The user hates tea. (F1 0.75, wrong stance)") < worst.index("w (F1 0.25)")
    table = page[page.index("measure before after") :]
    assert "criteria/no_hallucination 0.500 [0.500, 0.500] 0.250 [0.250, 0.250] falls" in table
    assert text.count("<details") == text.count("</details")
    assert text.index('id="curves"') < text.index('<details class="fold"')


def test_a_collapse_in_the_last_steps_is_named_and_noise_is_not():
    def rows(values):
        return [{"step": step, "reward/mean": value} for step, value in enumerate(values)]

    risen = [0.1 + 0.02 * step for step in range(30)]
    (told,) = run_verdict.collapse(rows(risen + [0.2, 0.1, 0.1]), [], None)
    assert "falls from 0.660 (steps 27 to 29) to 0.133 in the last 3 steps" in told
    assert run_verdict.collapse(rows(risen), [], None) == []
    noisy = [0.5 + 0.1 * (-1) ** step for step in range(40)]
    assert run_verdict.collapse(rows(noisy), [], None) == []
    assert run_verdict.collapse(rows([0.9, 0.1]), [], None) == []
    evaluations = [{"step": 5, "criteria_mean": 0.6}, {"step": 9, "criteria_mean": 0.3}]
    (told,) = run_verdict.collapse([], evaluations, "criteria_mean")
    assert "falls from 0.600 (step 5) to 0.300 at the end" in told


@pytest.mark.slow
def test_a_page_takes_four_screens_of_a_laptop(workdir):
    """Its height in a browser of 1280 x 800; what is folded is not seen."""
    driver = pytest.importorskip("playwright.sync_api", reason='no playwright; "pa_jax[test]"')
    found = os.environ.get("PA_JAX_CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium; apt-get install chromium, or name one by PA_JAX_CHROMIUM")
    long = [
        dataclasses.replace(record(i, "word " * 200, 0.5), user="said " * 200) for i in range(9)
    ]
    for name in ("before", "after-3"):
        (workdir / f"heldout-{name}.json").unlink()
        report.kept(workdir, name, lambda: long)
    path = report.write_page(workdir)
    with driver.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = running.new_page(viewport={"width": 1280, "height": 800})
        page.goto(path.as_uri())
        height = page.evaluate("document.documentElement.scrollHeight")
        running.close()
    assert 800 < height <= 4 * 800


def test_evaluations_and_the_best_checkpoint_have_their_places(workdir, capsys):
    writer = metrics.MetricWriter(workdir, tensorboard=False, resume_step=3)
    for step, value in ((0, 0.25), (2, 0.75), (3, 0.75)):
        row = dict.fromkeys(run_page.EVALUATED, 0.125) | {"criteria_mean": value}
        writer.evaluated(step, row | {"seconds/evaluation": 2.0}, phase="grpo")
    writer.close()
    best = report.Best("criteria_mean", 2, 0.75, [record(i, "y", 0.75) for i in range(20)])
    report.kept(workdir, "best-2", lambda: list(best.records))
    before, after = (
        report.records(workdir / f"heldout-{name}.json") for name in ("before", "after-3")
    )
    report.write(workdir, before, after, best, skipped=0, seconds=1.0)
    told = re.findall(r"(?m)^(.*) -> ", capsys.readouterr().out)
    assert len(told) == 9 and len(set(map(len, told))) == 1  # one below the other
    page = Page((workdir / "report.html").read_text())
    assert page.ids[1:5:3] == ["held-out", "while-it-trained"]
    assert "2 grpo 0.125 0.750 0.125 0.125 0.125 best 3 grpo 0.125 0.750" in page.text
    assert "token_f1 0.000 [0.000, 0.000] 0.500 [0.500, 0.500] rises 0.750" in page.text
    assert "copies 0.750" in page.text  # of 20 records three in four
    assert "best step 2 by criteria_mean" in page.text
    assert "evaluations, between steps 6.0 - 2.00 2.00" in page.text
    figures = json.loads((workdir / "report.json").read_text())["best"]
    assert (figures["step"], figures["part"]) == (2, 0.75)
    assert figures["heldout"]["token_f1"]["mean"] == 0.75


def test_records_of_another_version_are_named(workdir):
    path = workdir / "heldout-before.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{k: v for k, v in row.items() if k != "copies"} for row in rows]))
    with pytest.raises(ValueError, match="heldout-before.json.*copies.*another version"):
        report.records(path)


def test_bad_folders_are_named(tmp_path):
    config = importlib.import_module("configs.report").get_config()
    with pytest.raises(ValueError, match="config.run is empty"):
        report.run(config, tmp_path)
    config.run = str(tmp_path)
    with pytest.raises(FileNotFoundError, match="work directory of a grpo or sft run"):
        report.run(config, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"job": "eval"}))
    with pytest.raises(ValueError, match="'eval' run"):
        report.run(config, tmp_path)


def test_a_record_survives_its_file(tmp_path):
    made = [record(1, "x", 0.25)]
    report.kept(tmp_path, "x", lambda: made)
    (again,) = report.records(tmp_path / "heldout-x.json")
    assert dataclasses.astuple(again) == dataclasses.astuple(made[0])
