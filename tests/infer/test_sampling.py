"""Draws follow the distribution they are asked for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pa_jax.infer import sampling

DRAWS = 20_000


@pytest.fixture(scope="module")
def draw():
    """Tokens of DRAWS independent keys from one row of logits, and their log-probs."""

    @functools.partial(jax.jit, static_argnames="draws")
    def run(logits_v, how, key, draws):
        keys = jax.random.split(key, draws)
        return sampling.sample(jnp.broadcast_to(logits_v, (draws, logits_v.size)), keys, how)

    def of(logits, *, seed=0, draws=DRAWS, **how):
        how = sampling.settings(**({"temperature": 1.0} | how))
        out = run(jnp.asarray(logits, jnp.float32), how, jax.random.key(seed), draws)
        return tuple(map(np.asarray, out))

    return of


def softmax(x):
    x = np.exp(np.asarray(x, np.float64) - np.max(x))
    return x / x.sum()


def chi_square(tokens, share):
    """Pearson's statistic over tokens expected at least 10 times, the rest pooled, and its dof."""
    count = np.bincount(tokens, minlength=share.size).astype(float)
    want = share * tokens.size
    often = want >= 10
    got = np.append(count[often], count[~often].sum())
    want = np.append(want[often], want[~often].sum())
    got, want = got[want > 0], want[want > 0]
    return float(np.sum((got - want) ** 2 / want)), got.size - 1


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("shape", ["flat", "peaked", "two blocks apart"])
def test_frequencies_match_the_softmax(draw, shape, temperature):
    vocab = 777  # three blocks of 256 and a rest
    logits = {
        "flat": np.zeros(vocab),
        "peaked": np.random.default_rng(0).normal(0, 3, vocab),
        "two blocks apart": np.where(np.isin(np.arange(vocab), [3, 700, 776]), 8.0, -4.0),
    }[shape]
    tokens, logp = draw(logits, temperature=temperature)
    share = softmax(logits / temperature)
    statistic, dof = chi_square(tokens, share)
    assert statistic < dof + 4 * np.sqrt(2 * dof) + 4  # about four standard deviations
    np.testing.assert_allclose(logp, np.log(share[tokens]), atol=1e-4)


def test_impossible_tokens_are_never_drawn(draw):
    logits = np.zeros(600)
    logits[::2] = -np.inf
    logits[256:512] = -np.inf  # a whole block
    logits[590:] = -np.inf
    tokens, _ = draw(logits)
    assert np.isfinite(logits[tokens]).all()
    assert len(set(tokens)) == np.isfinite(logits).sum()


@pytest.mark.parametrize("vocab", [1, 255, 256, 257])
def test_tokens_stay_inside_the_vocabulary(draw, vocab):
    tokens, _ = draw(np.zeros(vocab), draws=4000)
    assert tokens.min() == 0 and tokens.max() == vocab - 1


def test_temperature_zero_and_top_one_take_the_largest(draw):
    logits = np.random.default_rng(1).normal(0, 0.1, 300)
    logits[41] = 0.5
    greedy, logp = draw(logits, temperature=0.0, draws=100)
    first, _ = draw(logits, top_k=1, draws=100)
    assert set(greedy) == set(first) == {41}
    np.testing.assert_allclose(logp, np.log(softmax(logits)[41]), rtol=1e-4)


def test_top_k_keeps_the_k_largest_in_proportion(draw):
    logits = np.random.default_rng(2).normal(0, 1, 300)
    tokens, logp = draw(logits, top_k=5)
    best = np.argsort(-logits)[:5]
    assert set(tokens) == set(best)
    share = np.zeros(300)
    share[best] = softmax(logits[best])
    statistic, dof = chi_square(tokens, share)
    assert statistic < dof + 4 * np.sqrt(2 * dof) + 4
    np.testing.assert_allclose(logp, np.log(softmax(logits)[tokens]), atol=1e-4)  # of the whole


@pytest.mark.parametrize(
    ("top_p", "support"),
    [(0.5, {0}), (0.52, {0, 1}), (0.8, {0, 1}), (0.82, {0, 1, 2}), (1e-9, {0})],
)
def test_top_p_keeps_the_smallest_set_of_that_mass(draw, top_p, support):
    share = np.array([0.505, 0.305, 0.105, 0.085])
    tokens, _ = draw(np.log(share), top_p=top_p, draws=2000)
    assert set(tokens) == support


def sorted_cut(logits, top_k, top_p):
    """The slow oracle: what stays of one row, by sorting it."""
    order = np.argsort(-logits)
    before = np.cumsum(softmax(logits)[order]) - softmax(logits)[order]
    count = min(top_k or len(logits), int((before < top_p).sum()))
    return logits >= logits[order[max(count, 1) - 1]]


@pytest.mark.parametrize("vocab", [1, 7, 300, 5000])
def test_what_is_cut_is_what_sorting_cuts(vocab):
    rows = [(0, 0.9), (5, 1.0), (50, 0.5), (1, 0.99), (0, 1e-40), (3, 0.2), (10**6, 0.7), (0, 0.99)]
    logits = np.random.default_rng(vocab).normal(0, 3, (len(rows), vocab)).astype(np.float32)
    logits[3] = np.round(logits[3])  # ties stay together
    logits[5, vocab // 2 + 1 :] = -np.inf
    top_k, top_p = (np.array(column) for column in zip(*rows, strict=True))
    how = sampling.Sampling(jnp.ones(len(rows)), jnp.int32(top_k), jnp.float32(top_p))
    cut = np.isfinite(np.array(jax.jit(sampling._cut)(jnp.array(logits), how)))
    for row, (k, p) in enumerate(rows):
        np.testing.assert_array_equal(cut[row], sorted_cut(logits[row], k, p))


def test_settings_are_traced_numbers():
    traces = []

    @jax.jit
    def run(logits, keys, how):
        traces.append(how)
        return sampling.sample(logits, keys, how)

    for temperature, k, p in ((0.0, 0, 1.0), (0.7, 3, 0.9), (1.3, 0, 0.5)):
        how = sampling.settings(temperature, k, p)
        run(jnp.zeros((2, 8)), jax.random.split(jax.random.key(0), 2), how)
    assert len(traces) == 1


@pytest.mark.parametrize(
    "bad",
    [{"temperature": -0.1}, {"temperature": 1.0, "top_k": -1}, {"temperature": 1.0, "top_p": 0.0}],
)
def test_wrong_settings_are_named(bad):
    with pytest.raises(ValueError, match="allowed are temperature >= 0"):
        sampling.settings(**bad)


def test_a_penalty_makes_what_was_drawn_less_likely_whatever_its_sign():
    logits = jnp.array([[2.0, -1.0, 0.5], [2.0, -1.0, 0.5]])
    drawn = jnp.array([[True, True, False], [True, True, False]])
    got = sampling.discouraged(logits, drawn, jnp.array([2.0, 1.0]))
    np.testing.assert_array_equal(got, [[1.0, -2.0, 0.5], [2.0, -1.0, 0.5]])


def test_what_would_end_a_sequence_is_forbidden_and_nothing_else():
    """Against a loop over rows, sequences and tokens."""
    rng, (b, v, s) = np.random.default_rng(0), (5, 7, sampling.SEQUENCE)
    for _ in range(30):
        said = [rng.integers(0, v, rng.integers(0, 6)).tolist() for _ in range(b)]
        avoid = [
            [rng.integers(0, v, rng.integers(1, 6)).tolist() for _ in range(rng.integers(0, 9))]
            for _ in range(b)
        ]
        logits = rng.normal(size=(b, v)).astype(np.float32)
        want = logits.copy()
        for row in range(b):
            for ids in avoid[row]:
                *begun, last = ids[-s:]
                if (
                    len(said[row]) >= len(begun)
                    and said[row][len(said[row]) - len(begun) :] == begun
                ):
                    want[row, last] = -np.inf
        recent = np.full((b, s), sampling.NONE, np.int32)
        for row, ids in enumerate(said):
            last = ids[-s:]
            recent[row, s - len(last) :] = last
        ruled = np.stack([sampling.sequences(of, 9) for of in avoid])
        got = sampling.forbidden(*map(jnp.asarray, (logits, recent, ruled)))
        np.testing.assert_array_equal(got, want)
