"""Prompts of several dialogues in one call against each prompt alone."""

import numpy as np

from pa_jax import models
from pa_jax.infer import sampler


def asked_along(rng, turns, most):
    """Prompts that leave one dialogue of 500 tokens at the given places, of unlike lengths."""
    dialogue = rng.integers(3, 500, 500).tolist()
    return [[*dialogue[:turn], *rng.integers(3, 500, k % most + 1).tolist()] for k, turn in turns]


def test_rows_of_two_dialogues_in_one_call_equal_prompts_alone():
    rng, model = np.random.default_rng(0), models.load("random:tiny", dtype="float32")
    places = list(enumerate((500, 500, 480, 300, 40)))
    prompts = [*asked_along(rng, places, 20), *asked_along(rng, places[:4], 3)]
    together = sampler.Sampler(model, rows=16, lengths=(64, 640, 1280))
    arrays = [np.array(ids, np.int32) for ids in prompts]
    (call,) = together._calls(arrays, apart=True)
    assert sorted(len(row.chosen) for row in call) == [4, 5]
    alone = sampler.Sampler(model, rows=1, lengths=(64, 640))
    how = {"n": 2, "max_new_tokens": 5, "temperature": 1.0, "seed": 7, "step": 3}
    got, want = together.generate(prompts, **how), alone.generate(prompts, **how)
    np.testing.assert_array_equal(got.ids, want.ids)
    np.testing.assert_allclose(got.logprobs, want.logprobs, atol=1e-4)
    assert together.prefilled == 2 * 640 < 0.3 * alone.prefilled
