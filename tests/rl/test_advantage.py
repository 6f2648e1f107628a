"""Advantages against numbers worked out by hand."""

import numpy as np
import pytest

from pa_jax.rl import advantage

FIELDS = {
    "function": "",
    "names": (),
    "weights": (1.0, 1.0, 1.0, 1.0),
    "aggregate": "sum",
    "scale_std": False,
    "eps": 1e-6,
    "truncated": "mask",
}


def run(score, *, failed=None, finished=None, **changes):
    score = np.asarray(score, np.float32)
    shape = score.shape[:2]
    failed = np.zeros(shape, bool) if failed is None else np.asarray(failed)
    finished = np.ones(shape, bool) if finished is None else np.asarray(finished)
    cfg = advantage.RewardConfig(**{**FIELDS, **changes})
    out = advantage.advantages(score, failed, finished, cfg)
    assert np.isfinite(out.values).all()
    return out


def only_first(*values):
    """One group whose first criterion has these scores and whose others are 0."""
    return [[[v, 0.0, 0.0, 0.0] for v in values]]


def test_sum_centres_the_weighted_reward_in_each_group():
    score = [
        [[1.0, 0.5, 0.0, 0.5], [0.0, 0.5, 0.0, 0.5]],
        [[0.2, 0.0, 1.0, 0.0], [0.2, 0.0, 0.0, 0.5]],
    ]
    out = run(score, weights=(2.0, 1.0, 1.0, 4.0))
    np.testing.assert_allclose(out.reward, [[4.5, 2.5], [1.4, 2.4]], rtol=1e-6)
    np.testing.assert_allclose(out.values, [[1.0, -1.0], [-0.5, 0.5]], rtol=1e-6)
    assert not out.spread_zero.any()


def test_scale_std_divides_by_the_population_deviation():
    # 0, 0.5, 1: mean 0.5, variance (0.25 + 0 + 0.25) / 3 = 1/6
    out = run(only_first(0.0, 0.5, 1.0), scale_std=True)
    np.testing.assert_allclose(out.values, [[-(1.5**0.5), 0.0, 1.5**0.5]], rtol=1e-4)


def test_per_criterion_gives_a_small_criterion_the_weight_of_a_large_one():
    # first criterion 0 against 1, second 0.1 against 0; scaled, each is -1 and +1
    score = [[[0.0, 0.1, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]]
    weights = (1.0, 3.0, 1.0, 1.0)
    apart = run(score, aggregate="per_criterion", scale_std=True, weights=weights)
    np.testing.assert_allclose(apart.values, [[2.0, -2.0]], rtol=1e-3)
    together = run(score, aggregate="sum", scale_std=True, weights=weights)
    np.testing.assert_allclose(together.values, [[-1.0, 1.0]], rtol=1e-3)


def test_without_scaling_both_aggregates_agree():
    score = np.random.default_rng(0).uniform(size=(5, 8, 4))
    weights = (0.5, 2.0, 1.0, 0.25)
    one, two = (run(score, aggregate=a, weights=weights) for a in advantage.AGGREGATES)
    np.testing.assert_allclose(one.values, two.values, atol=1e-5)
    np.testing.assert_allclose(one.values.sum(axis=1), 0.0, atol=1e-5)


def test_truncated_completions_leave_the_group_statistics():
    out = run(only_first(0.0, 1.0, 0.9), finished=[[True, True, False]])
    np.testing.assert_allclose(out.values, [[-0.5, 0.5, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(out.used, [[True, True, False]])


def test_failed_verdicts_leave_the_group_statistics_whatever_their_score():
    for score in (0.9, np.nan):
        out = run(only_first(0.0, 1.0, score), failed=[[False, False, True]])
        np.testing.assert_allclose(out.values, [[-0.5, 0.5, 0.0]], rtol=1e-6)
        np.testing.assert_array_equal(out.used, [[True, True, False]])


@pytest.mark.parametrize("aggregate", advantage.AGGREGATES)
def test_a_number_for_truncated_is_their_total_reward(aggregate):
    out = run(
        only_first(0.0, 1.0, 0.9),
        finished=[[True, True, False]],
        truncated=-1.0,
        aggregate=aggregate,
    )
    np.testing.assert_allclose(out.reward, [[0.0, 1.0, -1.0]], atol=1e-6)
    np.testing.assert_allclose(out.values, [[0.0, 1.0, -1.0]], atol=1e-6)
    assert out.used.all()


@pytest.mark.parametrize("aggregate", advantage.AGGREGATES)
def test_a_cut_completion_keeps_its_reward_whatever_the_judge_said(aggregate):
    """The first is judged; the second was cut and has no verdict, the third was cut and scored."""
    for score in (0.9, np.nan):
        out = run(
            only_first(1.0, score, 0.7),
            failed=[[False, True, False]],
            finished=[[True, False, False]],
            truncated=0.0,
            aggregate=aggregate,
        )
        np.testing.assert_allclose(out.reward, [[1.0, 0.0, 0.0]], atol=1e-6)
        np.testing.assert_allclose(out.values, [[2 / 3, -1 / 3, -1 / 3]], rtol=1e-5)
        assert out.used.all()


@pytest.mark.parametrize("aggregate", advantage.AGGREGATES)
def test_weights_that_sum_to_zero_give_numbers(aggregate):
    score = [[[1.0, 0.5, 0.0, 0.0], [0.25, 0.5, 0.0, 0.0], [0.3, 0.9, 0.0, 0.0]]]
    out = run(
        score,
        weights=(1.0, -1.0, 0.0, 0.0),
        finished=[[True, True, False]],
        truncated=-0.5,
        aggregate=aggregate,
    )
    np.testing.assert_allclose(out.reward, [[0.5, -0.25, -0.5]], rtol=1e-6)
    mean = -0.25 / 3  # without scaling both aggregates centre the same sum
    np.testing.assert_allclose(out.values, [[0.5 - mean, -0.25 - mean, -0.5 - mean]], rtol=1e-5)


@pytest.mark.parametrize("aggregate", advantage.AGGREGATES)
@pytest.mark.parametrize("scale_std", [True, False])
def test_a_criterion_of_weight_zero_carries_no_gradient(aggregate, scale_std):
    """Groups that differ in it alone have no spread; elsewhere it changes nothing."""
    score = np.array([[[0.2, 0.0, 0.4, 0.1], [0.2, 1.0, 0.4, 0.1]]])
    how = {"weights": (1.0, 0.0, 1.0, 2.0), "aggregate": aggregate, "scale_std": scale_std}
    alone = run(score, **how)
    assert alone.spread_zero.all() and (alone.values == 0).all()
    score[0, 0, 0] = 0.9
    other = score.copy()
    other[..., 1] = [[0.7, 0.3]]
    one, two = run(score, **how), run(other, **how)
    assert one.values[0, 0] > 0
    np.testing.assert_array_equal(one.values, two.values)


def test_scores_of_ones_own_are_as_many_as_their_names():
    how = {"function": "mine:score", "names": ("brief",), "weights": (2.0,)}
    out = run([[[0.5], [1.0]]], **how)
    np.testing.assert_allclose(out.values, [[-0.5, 0.5]], rtol=1e-6)


@pytest.mark.parametrize("scale_std", [True, False])
@pytest.mark.parametrize("aggregate", advantage.AGGREGATES)
def test_groups_without_spread_carry_no_gradient_and_are_marked(aggregate, scale_std):
    score = np.concatenate([only_first(0.3, 0.3, 0.3), only_first(0.1, 0.2, 0.6)])
    out = run(score, aggregate=aggregate, scale_std=scale_std)
    np.testing.assert_array_equal(out.values[0], 0.0)
    np.testing.assert_array_equal(out.spread_zero, [True, False])
    assert (out.values[1] != 0).any()


@pytest.mark.parametrize("aggregate", advantage.AGGREGATES)
def test_a_group_with_nobody_left_is_zero_and_marked(aggregate):
    out = run(
        only_first(0.1, 0.7),
        failed=[[True, False]],
        finished=[[True, False]],
        aggregate=aggregate,
        scale_std=True,
    )
    np.testing.assert_array_equal(out.values, 0.0)
    assert not out.used.any() and out.spread_zero.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aggregate": "mean"}, r"aggregate='mean'.*per_criterion"),
        ({"truncated": "drop"}, r"truncated='drop'.*mask"),
        ({"weights": (0.0, 0.0, 0.0, 0.0)}, "not all zero"),
        ({"weights": (1.0, 1.0)}, "4 numbers.*a judge's criteria"),
        ({"weights": (1.0, np.nan, 1.0, 1.0)}, "must be finite"),
        ({"function": "mine:score"}, "give both"),
        ({"names": ("brief",)}, "give both"),
        ({"function": "mine:score", "names": ("brief",)}, r"weights=.*1 numbers.*'brief'"),
        ({"function": "mine:score", "names": ("a", "a"), "weights": (1.0, 1.0)}, "each once"),
        ({"function": "mine:score", "names": ("mean",), "weights": (1.0,)}, "not 'mean'"),
    ],
)
def test_wrong_settings_name_what_is_allowed(change, message):
    with pytest.raises(ValueError, match=message):
        advantage.RewardConfig(**{**FIELDS, **change})
