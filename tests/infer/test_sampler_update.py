"""New parameters for sampling: what is given again keeps its copy, what is new gets one."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from pa_jax import models
from pa_jax.core import mesh as meshes
from pa_jax.infer import sampler
from pa_jax.models import lora, quant


@pytest.fixture(scope="module")
def adapted():
    """On eight devices: a sampler, the adapters, and the base that does not train, as int8."""
    mesh = meshes.make(meshes.MeshConfig(fsdp=4, tp=2, ep=1))
    model = models.load("random:tiny", mesh=mesh, dtype="float32")
    with meshes.using(mesh):
        base = quant.quantise(model.module)
        module = lora.add(base, lora.LoraConfig(rank=2, alpha=4.0), jax.random.key(1))
        _, params, frozen = lora.split(module)
    made = sampler.Sampler(dataclasses.replace(model, module=module), mesh=mesh)
    return made, params, frozen


def leaves(made):
    return {"/".join(map(str, p)): x[...] for p, x in nnx.to_flat_state(made.state)}


def test_a_frozen_base_is_laid_out_once(adapted):
    made, params, frozen = adapted
    first = leaves(made)
    made.update(nnx.merge_state(params, frozen))
    base = {name for name in leaves(made) if "lora" not in name}
    assert base and len(base) < len(first)
    assert all(leaves(made)[name] is first[name] for name in base)
    moved = jax.tree.map(lambda x: x + 1.0, params)
    made.update(nnx.merge_state(moved, frozen))
    after = leaves(made)
    for name, x in after.items():
        assert (x is first[name]) == (name in base), name
        want = np.asarray(first[name]) + (name not in base)
        np.testing.assert_array_equal(np.asarray(x), want.astype(x.dtype), err_msg=name)
        assert x.sharding == first[name].sharding
    made.update(nnx.merge_state(moved, frozen))
    assert all(leaves(made)[name] is x for name, x in after.items())


def test_another_base_is_laid_out_anew(adapted):
    made, params, frozen = adapted
    other = jax.tree.map(lambda x: x + 1, frozen)
    made.update(nnx.merge_state(params, other))
    got = leaves(made)
    for path, x in nnx.to_flat_state(other):
        np.testing.assert_array_equal(np.asarray(got["/".join(map(str, path))]), np.asarray(x[...]))
