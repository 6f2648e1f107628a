"""Alignment curves against ALOE's published figures, and intervals against theory."""

import numpy as np
import pytest

from pa_jax.evaluate import metrics

CURVES = [  # AL(1..10) -> mean, IR, N-IR, R2
    (
        [62.16, 68.92, 70.27, 74.32, 72.97, 74.32, 75.68, 78.38, 77.03, 79.73],
        (73.38, 1.581, 0.090, 0.855),
    ),
    (
        [8.11, 40.54, 82.43, 90.54, 89.19, 91.89, 91.89, 86.49, 85.14, 91.89],
        (75.81, 6.626, 0.079, 0.500),
    ),
    (
        [0.0, 27.03, 41.89, 67.57, 86.49, 89.19, 95.95, 95.95, 94.59, 93.24],
        (69.19, 10.123, 0.105, 0.792),
    ),
    ([0.0, 18.92, 10.81, 9.46, 9.46, 1.35, 9.46, 9.46, 6.76, 4.05], (7.97, -0.385, -0.020, 0.047)),
]


@pytest.mark.parametrize(("scores", "want"), CURVES)
def test_alignment_curves_of_the_benchmark(scores, want):
    got = metrics.alignment_curve(scores)
    np.testing.assert_allclose(got.mean, want[0], atol=0.0051)
    np.testing.assert_allclose([got.ir, got.n_ir, got.r2], want[1:], atol=0.00051)


def test_a_straight_line_is_fitted_exactly():
    got = metrics.alignment_curve([1.0, 3.0, 5.0])
    np.testing.assert_allclose([got.mean, got.ir, got.n_ir, got.r2], [3.0, 2.0, 0.5, 1.0])


def test_a_flat_curve_has_no_slope():
    got = metrics.alignment_curve([4.0] * 10)
    assert (got.mean, got.ir, got.n_ir, got.r2) == (4.0, 0.0, 0.0, 0.0)


def test_one_turn_is_no_curve():
    with pytest.raises(ValueError, match="1 turns.*at least 2"):
        metrics.alignment_curve([3.0])


def test_interval_has_the_width_of_the_normal_approximation():
    x = np.random.default_rng(3).normal(5.0, 2.0, 400)
    got = metrics.interval(x)
    half = 1.96 * x.std() / 20
    assert got.n == 400
    np.testing.assert_allclose(got.mean, x.mean())
    np.testing.assert_allclose([got.mean - got.low, got.high - got.mean], half, rtol=0.12)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        got = metrics.interval(rng.normal(1.0, 1.0, 60), draws=400)
        hits += got.low <= 1.0 <= got.high
    assert 0.88 <= hits / 200 <= 0.99


def test_interval_of_equal_values_is_a_point():
    got = metrics.interval([0.25] * 9)
    assert (got.mean, got.low, got.high) == (0.25, 0.25, 0.25)


def test_interval_is_the_same_every_time():
    assert metrics.interval([1.0, 2.0, 4.0]) == metrics.interval([1.0, 2.0, 4.0])


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_interval_needs_finite_values(values):
    with pytest.raises(ValueError, match="need finite ones"):
        metrics.interval(values)


def test_a_value_said_three_times_by_one_user_counts_as_one():
    x = np.random.default_rng(1).normal(0.0, 1.0, 50)
    once = metrics.interval(x)
    thrice = metrics.interval(np.repeat(x, 3), clusters=np.repeat(np.arange(50), 3).tolist())
    assert thrice.n == 150
    np.testing.assert_allclose(
        [thrice.mean, thrice.low, thrice.high], [once.mean, once.low, once.high]
    )


def test_intervals_by_user_cover_the_truth_where_plain_ones_do_not():
    rng, plain, by_user = np.random.default_rng(2), 0, 0
    for _ in range(100):
        x = np.repeat(rng.normal(0.0, 1.0, 30), 10) + rng.normal(0.0, 0.2, 300)
        users = [f"user {i // 10}" for i in range(300)]
        one, other = metrics.interval(x, draws=300), metrics.interval(x, clusters=users, draws=300)
        plain += one.low <= 0 <= one.high
        by_user += other.low <= 0 <= other.high
    assert by_user >= 85 and plain <= 60


def test_an_interval_needs_a_cluster_a_value():
    with pytest.raises(ValueError, match="2 clusters for 3 values"):
        metrics.interval([1.0, 2.0, 3.0], clusters=["a", "b"])


def test_paired_differences_are_of_shared_items_only():
    ours = {"a": 1.0, "b": 0.0, "c": 1.0, "only ours": 5.0}
    theirs = {"a": 0.5, "b": -0.5, "c": 0.5, "only theirs": -7.0}
    got = metrics.paired(ours, theirs)
    assert (got.mean, got.low, got.high, got.n) == (0.5, 0.5, 0.5, 3)
    assert metrics.paired({"a": 1.0}, {"b": 1.0}) is None


def test_a_curve_over_cases_leaves_missing_verdicts_out():
    scores = np.array([[1.0, 2.0, 3.0], [3.0, np.nan, 5.0], [2.0, 4.0, 4.0]])
    got = metrics.curve_interval(scores)
    assert [x.mean for x in got.turns] == [2.0, 3.0, 4.0]
    assert [x.n for x in got.turns] == [3, 2, 3]
    summary = [got.mean.mean, got.ir.mean, got.n_ir.mean, got.r2.mean]
    np.testing.assert_allclose(summary, [3.0, 1.0, 0.5, 1.0])
    assert got.ir.low <= 1.0 <= got.ir.high


def test_cases_of_one_user_are_drawn_together():
    rising, falling = [[1.0, 2.0]] * 6, [[2.0, 1.0]] * 6
    apart = metrics.curve_interval(np.array(rising + falling)).ir
    together = metrics.curve_interval(
        np.array(rising + falling), clusters=["one"] * 6 + ["other"] * 6
    ).ir
    np.testing.assert_allclose([together.low, together.high], [-1, 1])  # one user drawn twice
    assert together.low < apart.low and apart.high < together.high


@pytest.mark.parametrize("bits", range(16))
def test_the_sixteen_combinations_of_answers_are_counted_as_the_benchmark_does(bits):
    """Against the four conditions of PrefEval's own count, each written out."""
    acknow, violate, hallucinate, helpful = (bool(bits >> k & 1) for k in range(4))
    conditions = {
        "unhelpful": not helpful,
        "inconsistent": acknow and not hallucinate and violate and helpful,
        "hallucinated": acknow and hallucinate and violate and helpful,
        "unaware": not acknow and violate and helpful,
    }
    got = metrics.following_error(metrics.Answers(acknow, violate, hallucinate, helpful))
    assert [name for name, holds in conditions.items() if holds] == ([got] if got else [])
    assert (got == "") == (helpful and not violate)


def test_a_slope_is_the_least_squares_line_with_whole_users_drawn():
    rng = np.random.default_rng(4)
    x, users = np.tile([0.0, 2.0, 10.0], 20), np.repeat(np.arange(20), 3).tolist()
    y = 0.8 - 0.03 * x + rng.normal(0, 0.1, 60)
    got = metrics.slope(x, y, clusters=users)
    np.testing.assert_allclose(got.mean, np.polyfit(x, y, 1)[0])
    assert got.low < -0.03 < got.high and got.high - got.low < 0.02
    assert metrics.slope([1.0, 1.0], [0.0, 1.0], clusters=["a", "b"]) is None
