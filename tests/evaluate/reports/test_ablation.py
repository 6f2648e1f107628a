"""The tables of arms and criteria: means, paired differences and intervals by hand."""

import pytest

from pa_jax.evaluate import heldout
from pa_jax.evaluate.reports import ablation, plots, tables
from pa_jax.judge import rubric


def records(values):
    """One record a value, which is its F1 and half of each score."""
    return [
        heldout.Record(f"e{i}", "said", "gold", "text", True, f1, (f1 / 2,) * 4, 0, 0)
        for i, f1 in enumerate(values)
    ]


def test_differences_are_paired_with_the_base_by_seed_and_episode():
    found = {
        "all": {0: records([0.5, 0.7, 0.3]), 1: records([0.1, 0.1, 0.4])},
        "inform": {0: records([0.1, 0.9, 0.2]), 1: records([0.4, 0.4, 0.4])},
    }
    untrained, base, other = ablation.rows(records([0.0, 0.2, 0.1]), found, base="all")
    assert [row.name for row in (untrained, base, other)] == ["untrained", "all", "inform"]
    assert [row.n for row in (untrained, base, other)] == [3, 3, 3]
    assert base.differences == {} and base.measures["token_f1"].mean == pytest.approx(0.35)
    assert [of["token_f1"] for of in base.seeds.values()] == pytest.approx([0.5, 0.2])
    assert untrained.seeds == {} and untrained.measures["token_f1"].mean == pytest.approx(0.1)
    assert untrained.differences["token_f1"].mean == pytest.approx(-0.25)
    assert other.differences["token_f1"].mean == pytest.approx(0.05)
    assert other.differences["criteria_mean"].mean == pytest.approx(0.025)


def test_seeds_of_an_episode_are_drawn_together():
    once = {"all": {0: records([0.1, 0.9, 0.4, 0.3])}, "inform": {0: records([0.3, 0.2, 0.5, 0.8])}}
    twice = {name: {0: of[0], 1: of[0]} for name, of in once.items()}
    before = records([0.2, 0.2, 0.1, 0.1])
    for one, two in zip(
        *(ablation.rows(before, f, base="all") for f in (once, twice)), strict=True
    ):
        for ours, theirs in ((one.measures, two.measures), (one.differences, two.differences)):
            assert ours.keys() == theirs.keys()
            for key in ours:  # a copy of a seed tells nothing new: no interval narrows
                got, want = theirs[key], ours[key]
                assert (got.mean, got.low, got.high) == pytest.approx(
                    (want.mean, want.low, want.high)
                )


def test_a_criterion_is_measured_over_the_pairs_that_differ_in_it_alone():
    compl, inform = rubric.CRITERIA[0], rubric.CRITERIA[2]
    subsets = {
        "compl": frozenset({compl}),
        "inform": frozenset({inform}),
        "compl+inform": frozenset({compl, inform}),
    }
    found = {
        "compl": {0: records([0.1, 0.2]), 1: records([0.2, 0.2])},
        "inform": {0: records([0.6, 0.4]), 1: records([0.3, 0.5])},
        "compl+inform": {0: records([0.5, 0.3]), 1: records([0.7, 0.5])},
        "all-per_criterion": {0: records([0.9, 0.9]), 1: records([0.9, 0.9])},
    }
    before = records([0.0, 0.0])
    made = ablation.rows(before, found, base="all")
    one, other = ablation.effects(made, subsets)  # no pair differs in the other two
    assert (one.criterion, one.pairs, one.higher) == (compl, 2, 1)
    of = one.measures["token_f1"]  # drawn by pair: -0.1 and 0.2 twice, each once, or twice
    assert (of.mean, of.low, of.high) == pytest.approx((0.05, -0.1, 0.2))
    assert (other.criterion, other.pairs, other.higher) == (inform, 2, 2)
    assert other.measures["criteria_mean"].mean == pytest.approx((0.4 + 0.1 + 0.5 + 0.3) / 8)
    first = {name: {0: by_seed[0]} for name, by_seed in found.items()}
    made = ablation.rows(before, first, base="all")
    assert ablation.effects(made, subsets) == []  # one pair each: no interval


def test_what_cannot_be_paired_is_said():
    base = {0: records([0.1, 0.2])}
    with pytest.raises(ValueError, match="other seeds or held-out"):
        ablation.rows(
            records([0.0, 0.0]), {"all": base, "inform": {1: records([0.1, 0.2])}}, base="all"
        )
    with pytest.raises(ValueError, match="other seeds or held-out"):
        ablation.rows(records([0.0, 0.0]), {"all": base, "inform": {0: records([0.1])}}, base="all")


def test_the_tables_and_the_plot_show_every_arm_and_seed():
    found = {
        "all": {0: records([0.5, 0.7, 0.3]), 1: records([0.1, 0.1, 0.4])},
        "inform": {0: records([0.1, 0.9, 0.2]), 1: records([0.4, 0.4, 0.4])},
    }
    rows = ablation.rows(records([0.0, 0.2, 0.1]), found, base="all")
    added = [ablation.Effect("consistency", 7, 2, dict(rows[2].differences))]
    arms, criteria = ablation.tabled(rows, added, base="all")
    text = tables.markdown([arms, criteria])
    assert text.count("\n| ") == 5 + 3 and "| 0.500, 0.200 |" in text and "-0.250 [" in text
    assert criteria.lines[0][:3] == ("consistency", "7", "2")
    assert len(list(ablation.tabled(rows, [], base="all"))) == 1
    for axis in plots.ablation(rows).axes:
        assert len(axis.get_yticks()) == 3
        assert len(axis.lines[-1].get_xdata()) == 4  # two arms of two seeds


def test_without_the_base_there_are_no_differences():
    rows = ablation.rows(records([0.1]), {"inform": {0: records([0.2])}}, base="all")
    assert all(row.differences == {} for row in rows)
