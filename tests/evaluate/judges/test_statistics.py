import numpy as np
import pytest

from pa_jax.evaluate.judges import statistics


def test_kappa_by_hand():
    # Cohen's example: 20 both yes, 15 both no, 5 and 10 apart of 50: (0.7 - 0.5) / (1 - 0.5)
    one = np.array([1] * 25 + [0] * 25)
    other = np.array([1] * 20 + [0] * 5 + [1] * 10 + [0] * 15)
    assert statistics.kappa(one, other, levels=2, quadratic=False) == pytest.approx(0.4)


def test_quadratic_kappa_is_the_intraclass_form():
    # With equal marginals it is Pearson's correlation (Fleiss and Cohen 1973).
    rng = np.random.default_rng(0)
    one = rng.permutation(np.repeat(np.arange(5), 40))
    order = np.argsort(one + rng.normal(0, 1.5, one.size))
    other = np.empty_like(one)
    other[order] = np.sort(one)
    want = np.corrcoef(one, other)[0, 1]
    assert statistics.kappa(one, other, levels=5, quadratic=True) == pytest.approx(want)


def test_kappa_at_the_edges():
    ups = np.array([0, 1, 2])
    assert statistics.kappa(ups, ups, levels=3, quadratic=False) == 1
    same = np.zeros(4, int)
    assert np.isnan(statistics.kappa(same, same, levels=2, quadratic=False))
    assert np.isnan(statistics.kappa(same[:0], same[:0], levels=2, quadratic=True))
    with pytest.raises(ValueError, match="must be 0 .. 1"):
        statistics.kappa(ups, ups, levels=2, quadratic=False)


def test_calibration_by_hand():
    # bins of 0.5: (0.1, 0.3; none good) and (0.5, 0.9, 1.0; two good of three)
    score = np.array([0.1, 0.3, 0.5, 0.9, 1.0])
    good = np.array([False, False, True, False, True])
    found = statistics.calibration(score, good, bins=2)
    assert [b.count for b in found.bins] == [2, 3]
    assert [b.score for b in found.bins] == pytest.approx([0.2, 0.8])
    assert [b.good for b in found.bins] == pytest.approx([0.0, 2 / 3])
    assert found.ece == pytest.approx((2 * 0.2 + 3 * (0.8 - 2 / 3)) / 5)


def test_scores_that_are_chances_are_calibrated():
    rng = np.random.default_rng(1)
    score = rng.uniform(size=20_000)
    good = rng.uniform(size=score.size) < score
    assert statistics.calibration(score, good).ece < 0.02
    assert statistics.calibration(score**4, good).ece > 0.2
    assert np.isnan(statistics.calibration(score[:0], good[:0]).ece)


def test_rank_correlation_sees_order_alone():
    x = np.array([1.0, 2.0, 3.0, 10.0])
    assert statistics.rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert statistics.rank_correlation(x, -x) == pytest.approx(-1)
    assert np.isnan(statistics.rank_correlation(x, np.ones(4)))
