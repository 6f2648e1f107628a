"""A mesh changes where the numbers are computed, not which tokens come out."""

import jax
import numpy as np
import pytest

from pa_jax import models
from pa_jax.core import mesh as meshes
from pa_jax.infer import engine

PROMPTS = [list(range(3, 3 + n)) for n in (5, 9, 2, 7)]


@pytest.mark.parametrize(("fsdp", "tp"), [(4, 1), (2, 2)])
def test_sampled_tokens_on_a_mesh_equal_those_of_one_device(fsdp, tp):
    devices = jax.devices()[: fsdp * tp]
    mesh = meshes.make(meshes.MeshConfig(fsdp=fsdp, tp=tp, ep=1), devices)
    outs = []
    for where in (None, mesh):
        model = models.load("random:tiny", mesh=where, dtype="float32")
        sampler = engine.Engine(model, mesh=where, rows=4, trunks=(16,))
        out = sampler.generate(PROMPTS, n=2, max_new_tokens=6, temperature=1.0, seed=3)
        outs.append(out)
    np.testing.assert_array_equal(outs[0].ids, outs[1].ids)
    np.testing.assert_allclose(outs[0].logprobs, outs[1].logprobs, atol=1e-4)
