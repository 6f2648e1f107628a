"""A root computed once changes nothing: the same tokens and log-probs as without it."""

import jax
import numpy as np
import pytest

from pa_jax import models
from pa_jax.core import mesh as meshes
from pa_jax.infer import forest, sampler, score

RNG = np.random.default_rng(11)
ROOT = RNG.integers(3, 512, 150).tolist()  # more than one block of keys, not a whole number of them
LENGTHS = (32, 64, 128, 256)


def some(*lengths):
    return [RNG.integers(3, 512, n).tolist() for n in lengths]


PROMPTS = [*([*ROOT, *more] for more in some(1, 20, 5, 61, 30)), *some(40, 170), ROOT, ROOT[:100]]


@pytest.fixture(scope="module")
def tiny():
    return models.load("random:tiny", dtype="float32")


def mesh_of(shape):
    if shape is None:
        return None
    fsdp, tp = shape
    return meshes.make(meshes.MeshConfig(fsdp=fsdp, tp=tp, ep=1), jax.devices()[: fsdp * tp])


def completions(tiny, root=(), mesh=None, state=None):
    made = sampler.Sampler(tiny, mesh=mesh, rows=4, lengths=LENGTHS, root=root)
    if state is not None:
        made.generate(PROMPTS[:1], n=1, max_new_tokens=1, temperature=0.0, seed=0)
        made.update(state)
    done = made.generate(PROMPTS, n=2, max_new_tokens=8, temperature=1.0, seed=3)
    return made, done


@pytest.fixture(scope="module")
def plain(tiny):
    return completions(tiny)


@pytest.mark.parametrize("shape", [None, (2, 2), pytest.param((4, 1), marks=pytest.mark.slow)])
def test_completions_behind_a_root_are_those_of_the_whole_prompts(tiny, plain, shape):
    made, done = completions(tiny, ROOT, mesh_of(shape))
    np.testing.assert_array_equal(done.ids, plain[1].ids)
    np.testing.assert_allclose(done.logprobs, plain[1].logprobs, atol=1e-4)
    if shape is None:
        assert made.prefilled < plain[0].prefilled


def other(tiny):
    """The state of a model with other weights."""
    state = sampler.Sampler(tiny).state
    return jax.tree.map(lambda x: x * 1.1, state)


def test_an_update_has_the_root_computed_again(tiny):
    state = other(tiny)
    _, done = completions(tiny, ROOT, state=state)
    _, whole = completions(tiny, state=state)
    np.testing.assert_array_equal(done.ids, whole.ids)
    np.testing.assert_allclose(done.logprobs, whole.logprobs, atol=1e-4)


TREES = [
    [forest.follows([*ROOT, *some(9)[0]], ids) for ids in some(4, 7)],
    [forest.follows(ROOT, ids) for ids in some(3, 1)],  # the first is predicted by the root's end
    [forest.follows(ROOT[:140], [*ROOT[140:], 5, 6])],  # wanted inside the root
    [forest.follows([7, 8], ids) for ids in some(5, 30)],
    [],
]


@pytest.mark.parametrize("shape", [None, (2, 2)])
def test_log_probs_and_labels_behind_a_root_are_those_of_the_whole_paths(tiny, shape):
    plain = score.Scorer(tiny.module, lengths=LENGTHS)
    behind = score.Scorer(tiny.module, mesh=mesh_of(shape), lengths=LENGTHS, root=ROOT)
    for whole, rooted in zip(plain.logprobs(TREES), behind.logprobs(TREES), strict=True):
        assert len(whole) == len(rooted)
        for a, b in zip(whole, rooted, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-4)
    ends = [[forest.state_of(path.ids)] for tree in TREES for path in tree]
    for a, b in zip(plain.labels(ends, [5, 9, 400]), behind.labels(ends, [5, 9, 400]), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-4)


def test_an_update_of_the_scorer_has_the_root_computed_again(tiny):
    behind = score.Scorer(tiny.module, lengths=LENGTHS, root=ROOT)
    before = behind.logprobs(TREES[:1])[0][0]
    plain = score.Scorer(tiny.module, lengths=LENGTHS)
    for each in (plain, behind):
        each.update(other(tiny))
    before_slots = behind.slots
    whole, rooted = plain.logprobs(TREES[:1])[0][0], behind.logprobs(TREES[:1])[0][0]
    assert behind.slots - before_slots < plain.slots
    np.testing.assert_allclose(rooted, whole, atol=1e-4)
    assert np.abs(rooted - before).max() > 1e-2


def test_a_prompt_too_long_behind_its_root_is_named(tiny):
    made = sampler.Sampler(tiny, lengths=(64,), root=ROOT)
    how = {"n": 1, "max_new_tokens": 1, "temperature": 0.0, "seed": 0}
    assert made.generate([[*ROOT, *[5] * 64]], **how).ids.shape == (1, 1, 1)
    with pytest.raises(ValueError, match="prompt 0 .see lengths. of 65 tokens, at most 64"):
        made.generate([[*ROOT, *[5] * 65]], **how)
