"""A grid that was killed ends like one that was not; tables say what the records hold."""

import dataclasses
import hashlib
import random

import numpy as np
import pytest

from pa_jax.evaluate import chat_model, metrics
from pa_jax.evaluate.benchmarks import aloe, grid, jury, protocol
from pa_jax.evaluate.reports import page, plots, tables
from pa_jax.evaluate.systems import baselines


class Counted:
    """A judge whose verdict hangs on what it is asked; counts its questions."""

    def __init__(self):
        self.questions = []

    def __call__(self, chats):
        texts = [chat[0].content for chat in chats]
        self.questions += texts
        return [str(hashlib.sha256(text.encode()).digest()[0] % 6) for text in texts]  # 0: fails


def start(path, tiny, tools, judge):
    """One start of the grid, as a new process would do it."""
    model = chat_model.ChatModel(tiny, tools.model.cfg, lengths=tools.model.lengths)
    mine = protocol.Tools(model, jury.ByText(judge), model, tools.cfg)
    cases = [aloe.SimulatedUser(str(i), f"user {i // 2}", f"Cook {i}.", "Calm.") for i in range(4)]
    cfg = aloe.AloeConfig("", "", "", 100, 2, 0.0, 0, 2)
    task = aloe.Aloe(cfg, cases, name="aloe")
    records = grid.Records(path, retry_failed=False)
    grid.run(task, "a", baselines.choose(("zero_shot", "no_history")), mine, records)
    return records


def test_a_grid_killed_ten_times_has_the_records_of_one_that_was_not(tmp_path, tiny, tools):
    judge = Counted()
    want = start(tmp_path / "whole.jsonl", tiny, tools, judge)
    asked = len(judge.questions)
    assert asked == len(want.rows()) == 16
    data = (tmp_path / "whole.jsonl").read_bytes()
    path, rng, judge = tmp_path / "killed.jsonl", random.Random(0), Counted()
    path.write_bytes(b"")
    for number in range(10):
        size = path.stat().st_size
        grown = min(len(data), size + rng.randrange(len(data) // 6))
        path.write_bytes(data[:grown] if number < 9 else path.read_bytes())  # killed mid-line
        lines = path.read_bytes().count(b"\n")
        kept = grid.Records(path, retry_failed=False)
        assert len(kept.rows()) == lines
    got = start(path, tiny, tools, judge)
    assert got.rows() == want.rows()
    assert len(judge.questions) == 16 - lines
    assert start(path, tiny, tools, judge).rows() == want.rows()
    assert len(judge.questions) == 16 - lines  # nothing was left to ask


def row(system, item, value, *, model="a", part="", failed=False, **more):
    measures = {} if failed else {"accuracy": value}
    return {
        "benchmark": "b",
        "model": model,
        "system": system,
        "id": item,
        "part": part,
        "cluster": item.split("/")[0],
        "measures": measures,
        "failed": failed,
    } | more


def test_failed_verdicts_can_be_asked_for_again(tmp_path):
    path = tmp_path / "records.jsonl"
    records = grid.Records(path, retry_failed=False)
    records.add(row("s", "u/1", 1.0))
    records.add(row("s", "u/2", 0.0, failed=True))
    assert len(grid.Records(path, retry_failed=False).rows()) == 2
    assert [r["id"] for r in grid.Records(path, retry_failed=True).rows()] == ["u/1"]


def test_entries_hold_counts_intervals_and_differences():
    rows = [row("base", f"u{i}/x", float(i % 2)) for i in range(8)]
    rows += [row("other", f"u{i}/x", 1.0, cut=1) for i in range(6)]
    rows += [row("other", f"u{i}/x", 0.0, failed=True) for i in (6, 7)]
    rows += [row("base", f"u{i}/x", 1.0, model="trained") for i in range(8)]
    found = {(e.model, e.system): e for e in tables.entries(rows, baseline="base", against="a")}
    base, other, trained = (found[k] for k in (("a", "base"), ("a", "other"), ("trained", "base")))
    assert (base.n, base.failed, base.cut, base.clusters) == (8, 0, 0, 8)
    assert (other.n, other.failed, other.cut) == (6, 2, 6)
    assert base.measures["accuracy"].mean == 0.5 and base.difference is None
    assert (other.difference.mean, other.difference.n) == (0.5, 6)
    assert trained.gain.mean == 0.5 and trained.difference is None
    text = tables.markdown(tables.tabled(list(found.values()), [], "base", "a"))
    assert "| a | other | 6 | 2 | 6 | 1.000 [1.000, 1.000] | +0.500 [" in text


def test_aloes_entries_carry_the_curve_of_their_turns(tmp_path):
    rows = [
        row("s", f"u{c}/{t}", 0.0, case=f"u{c}", turn=t)
        | {"benchmark": "aloe", "measures": {"alignment": 1.0 + t + c}}
        for c in range(3)
        for t in range(4)
    ]
    (entry,) = tables.entries(rows, baseline="s", against="a")
    want = metrics.alignment_curve([2.0, 3.0, 4.0, 5.0])
    np.testing.assert_allclose(
        [entry.curve.mean.mean, entry.curve.ir.mean, entry.curve.r2.mean],
        [want.mean, want.ir, want.r2],
    )
    noisy = [row("s", f"u/{n}", 0.5, part=f"explicit N={n}") for n in (10, 0, 2)]
    found = tables.entries(rows + noisy, baseline="s", against="a")
    assert [tables.level_of(e.part) for e in found] == [None, 0, 2, 10]
    plots.save(plots.grid(found, {}), tmp_path / "eval.png")
    assert (tmp_path / "eval.png").read_bytes().startswith(b"\x89PNG")


def test_parts_of_two_kinds_are_two_lines(tmp_path):
    told = [
        row("s", f"u/{n}", 0.5, part=f"{kind}T={n}") for kind in ("", "untold ") for n in (0, 4)
    ]
    found = tables.entries(told, baseline="s", against="a")
    picture = plots.grid(found, {})
    (axis,) = picture.axes
    lines = [line for line in axis.get_lines() if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in lines] == [[0, 1], [0, 1]]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a s T", "a s untold T"]


def test_questions_and_rewards_have_panels_of_their_own():
    rows = [row("s", f"u{i}/x", 0.25, part="T=0") for i in range(4)]
    asks = [row("asks", f"u{i}/x", 0.5, part="T=0") for i in range(4)]
    for number, one in enumerate(asks):
        one["measures"]["questions"] = float(number % 2)
    found = tables.entries(rows + asks, baseline="s", against="a")
    _, questions, training = plots.grid(found, {"run": [(0, 0.1), (1, 0.4)]}).axes
    at = [(line.get_xdata()[0], line.get_ydata()[0]) for line in questions.get_lines()]
    assert {(0.0, 0.25), (0.5, 0.5)} <= set(at)
    (line,) = training.get_lines()
    assert list(line.get_ydata()) == [0.1, 0.4]
    without = tables.entries(rows, baseline="s", against="a")
    assert len(plots.grid(without, {}).axes) == 1


def test_accuracy_lost_a_turn_is_the_slope_over_levels():
    rows = [
        row("s", f"u{i}/N{n}", 0.9 - 0.02 * n + 0.1 * (i % 2), part=f"explicit N={n}")
        for n in (0, 5, 10)
        for i in range(6)
    ]
    (change,) = tables.slopes(rows + [row("s", "u/x", 1.0)])
    assert change["part"] == "explicit N" and change["measure"] == "accuracy"
    np.testing.assert_allclose(dataclasses.astuple(change["slope"])[:3], [-0.02] * 3)
    assert tables.slopes(rows[:6]) == []  # one level has no slope


def test_a_page_shows_what_a_model_wrote_as_text(tmp_path):
    rows = [row("s", f"u/{i}", 1.0, text="<script>x</script> | *so*", user="hi") for i in range(9)]
    found = tables.samples(rows)
    assert [sample.id for sample in found] == ["u/0", "u/3", "u/6"]
    made = tables.tabled(tables.entries(rows, baseline="s", against="a"), [], "s", "a")
    figures = {"about": {"seed": "<1>"}, "tables": made, "samples": found, "picture": b"<svg/>"}
    text = page.render("evaluation.html.j2", **figures)
    assert "<script>" not in text and "&lt;script&gt;x" in text and "&lt;1&gt;" in text
    assert "\\<script>" in tables.samples_markdown(found)


@pytest.mark.parametrize("names", [("accuracy", "p_right"), ("p_right", "accuracy")])
def test_the_main_measure_does_not_hang_on_order(names):
    assert tables.main_measure(list(names)) == "accuracy"
