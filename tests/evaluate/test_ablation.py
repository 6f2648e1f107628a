"""The table of runs that differ in one thing: means and paired differences by hand."""

import pytest

from pa_jax.evaluate import ablation, heldout, plots, tables


def records(values):
    """One record a value, which is its F1 and half of each score."""
    return [
        heldout.Record(f"e{i}", "said", "gold", "text", True, f1, (f1 / 2,) * 4)
        for i, f1 in enumerate(values)
    ]


def test_differences_are_paired_with_the_base():
    found = {"all": records([0.5, 0.7, 0.3]), "inform": records([0.1, 0.9, 0.2])}
    rows = ablation.rows(records([0.0, 0.2, 0.1]), found, base="all")
    assert [(row.name, row.n) for row in rows] == [("untrained", 3), ("all", 3), ("inform", 3)]
    untrained, base, other = rows
    assert base.differences == {} and base.measures["token_f1"].mean == pytest.approx(0.5)
    assert untrained.differences["token_f1"].mean == pytest.approx(-0.4)
    assert other.differences["token_f1"].mean == pytest.approx(-0.1)
    assert other.differences["criteria_mean"].mean == pytest.approx(-0.05)
    text = tables.markdown([ablation.table(rows, base="all")])
    assert text.count("\n| ") == 5 and "-0.400 [" in text
    (first, second) = plots.ablation(rows).axes
    assert [len(axis.get_yticks()) for axis in (first, second)] == [3, 3]


def test_without_the_base_there_are_no_differences():
    rows = ablation.rows(records([0.1]), {"inform": records([0.2])}, base="all")
    assert all(row.differences == {} for row in rows)
