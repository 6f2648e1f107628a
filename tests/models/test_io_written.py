"""Weights go to disk tensor by tensor, from wherever they lie; the format is the library's own."""

import gc
import weakref

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors
from safetensors import numpy as library

from pa_jax import models
from pa_jax.core import mesh as meshes
from pa_jax.models.io import names
from pa_jax.models.io import safetensors as folders


@pytest.fixture
def alive(monkeypatch):
    """How many tensors that were read for writing are alive, at most."""
    seen, most, export = [], [0], names.export

    def watched(module):
        for name, shape, read in export(module):

            def one(read=read):
                gc.collect(1)
                tensor = read().copy()  # an array of its own, whose end can be seen
                seen.append(weakref.ref(tensor))
                most[0] = max(most[0], sum(x() is not None for x in seen))
                return tensor

            yield name, shape, one

    monkeypatch.setattr(names, "export", watched)
    return most


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_from_eight_devices_one_tensor_at_a_time(tmp_path, alive, dtype):
    mesh = meshes.make(meshes.MeshConfig(fsdp=4, tp=2, ep=1))
    model = models.load("random:tiny", mesh=mesh, dtype=dtype)
    assert len(model.module.embed[...].sharding.device_set) == 8
    models.save_hf(model, tmp_path / "hf")
    assert alive == [1]
    alone = models.load("random:tiny", dtype=dtype)
    want = {name: read() for name, _, read in names.export(alone.module)}
    got = library.load_file(tmp_path / "hf" / folders.SINGLE)
    assert set(got) == set(want) and len(got) > 10
    for name, x in want.items():
        assert got[name].dtype == x.dtype
        np.testing.assert_array_equal(got[name], x, err_msg=name)
    again = models.load(str(tmp_path / "hf"), dtype=dtype)
    assert jax.tree.all(
        jax.tree.map(
            lambda a, b: bool((np.asarray(a) == np.asarray(b)).all()),
            *(jax.tree.leaves(m.module.blocks) for m in (again, alone)),
        )
    )


def test_the_file_is_the_one_that_the_library_would_write(tmp_path):
    model = models.load("random:tiny", dtype="bfloat16")
    folders.write(model.module, tmp_path)
    path = tmp_path / folders.SINGLE
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert file.get_slice("model.embed_tokens.weight").get_dtype() == "BF16"
    tensors = library.load_file(path)
    assert all(x.dtype == ml_dtypes.bfloat16 for x in tensors.values())
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0
    assert len(library.save(tensors, metadata={"format": "pt"})) == pytest.approx(
        path.stat().st_size, abs=64
    )
