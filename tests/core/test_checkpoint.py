import functools
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core import checkpoint, mesh


@pytest.fixture
def saver(tmp_path):
    made = checkpoint.Checkpointer(tmp_path / "ckpt", keep=2)
    yield made
    made.close()


def reopened(saver):
    """What another process would find."""
    made = checkpoint.Checkpointer(saver.folder, keep=2)
    return made


def abstract(state):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)


def as_bytes(x):
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    return np.asarray(x).tobytes()


def assert_same_bits(got, want):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert isinstance(a, jax.Array)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert as_bytes(a) == as_bytes(b)


def varied_state():
    """Every dtype in use; NaN payloads, -0.0 and denormals included; named tuples of optax."""
    bits = np.random.default_rng(0).integers(0, 2**32, (40, 3), dtype=np.uint32)
    params = {
        "f32": jnp.asarray(bits.view(np.float32)),
        "bf16": jnp.asarray(bits.view(jnp.bfloat16)),
        "zero": jnp.asarray(np.float32(-0.0)),
    }
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, mu_dtype=jnp.bfloat16))
    return {
        "model": params,
        "opt": adam.init(params),
        "counts": [jnp.int32(-7), jnp.arange(5, dtype=jnp.int8), jnp.asarray(True)],
        "keys": (jax.random.key(3), jax.random.split(jax.random.key(4, impl="rbg"), 3)),
        "empty": jnp.zeros((0, 4)),
    }


def test_round_trip_is_bit_exact(saver):
    state = varied_state()
    meta = {"data": {"epoch": 1, "row": 37}, "seed": 5, "best": {"value": 0.5, "step": 8}}
    saver.save(9, state, meta)
    saver.wait()
    other = reopened(saver)
    got = other.restore(abstract(state))
    other.close()
    assert_same_bits(got.state, state)
    assert (got.step, got.meta) == (9, meta)
    assert got.state["keys"][1].dtype == state["keys"][1].dtype


def test_module_and_optimizer_state_come_back(saver):
    def make(seed):
        model = nnx.Linear(4, 6, rngs=nnx.Rngs(seed))
        return nnx.state((model, nnx.Optimizer(model, optax.adamw(1e-3), wrt=nnx.Param)))

    state = make(1)
    saver.save(1, state, {})
    got = saver.restore(nnx.eval_shape(lambda: make(0)))
    assert_same_bits(got.state, state)


def test_buffers_may_be_donated_after_save(saver):
    donate = functools.partial(jax.jit, donate_argnums=0)
    update = donate(lambda tree: jax.tree.map(lambda x: x + 1.0, tree))
    state = {"w": jnp.zeros((512, 512)), "b": jnp.zeros(512)}
    for step in range(1, 5):
        state = update(state)
        saver.save(step, state, {})
    state = update(state)
    got = saver.restore(abstract(state))
    assert got.step == 4
    assert {float(x.min()) for x in got.state.values()} == {4.0}
    assert {float(x.max()) for x in got.state.values()} == {4.0}


def test_restores_onto_another_mesh(saver):
    if len(jax.devices()) < 8:
        pytest.skip("needs 8 devices: XLA_FLAGS=--xla_force_host_platform_device_count=8")
    first = mesh.make(mesh.MeshConfig(fsdp=2, tp=4, ep=1))
    second = mesh.make(mesh.MeshConfig(fsdp=8, tp=1, ep=1))
    want = np.arange(32 * 8, dtype=np.float32).reshape(32, 8)
    placed = jax.device_put(want, NamedSharding(first, PartitionSpec("fsdp", "tp")))
    saver.save(1, {"w": placed, "key": jax.random.key(1)}, {})
    over = NamedSharding(second, PartitionSpec("fsdp"))
    whole = NamedSharding(second, PartitionSpec())
    asked = {
        "w": jax.ShapeDtypeStruct((32, 8), jnp.float32, sharding=over),
        "key": jax.ShapeDtypeStruct((), jax.random.key(0).dtype, sharding=whole),
    }
    got = saver.restore(asked).state
    assert got["w"].sharding == over
    np.testing.assert_array_equal(np.asarray(got["w"]), want)
    assert as_bytes(got["key"]) == as_bytes(jax.random.key(1))
    assert got["key"].sharding.is_equivalent_to(whole, 0)


def test_arrays_larger_than_a_reading_group_come_back(saver, monkeypatch):
    monkeypatch.setattr(checkpoint, "_GROUP_BYTES", 100)
    state = {f"w{i}": jnp.full(i + 20, i, jnp.float32) for i in range(7)}
    saver.save(1, state, {})
    assert_same_bits(saver.restore(abstract(state)).state, state)


def test_newest_are_kept_and_the_newest_is_restored(saver):
    for step in (2, 10, 9, 30):
        saver.save(step, {"w": jnp.full(3, step)}, {"at": step})
    saver.wait()
    assert saver.steps() == [9, 30]
    got = saver.restore({"w": jax.ShapeDtypeStruct((3,), jnp.int32)})
    assert (got.step, got.meta, got.state["w"].tolist()) == (30, {"at": 30}, [30] * 3)


def test_saving_a_step_again_leaves_it(saver):
    saver.save(3, {"w": jnp.zeros(3)}, {})
    saver.wait()
    before = (saver.folder / "3" / "MANIFEST.json").stat().st_mtime_ns
    saver.save(3, {"w": jnp.zeros(3)}, {})
    saver.wait()
    assert (saver.folder / "3" / "MANIFEST.json").stat().st_mtime_ns == before


def test_a_step_of_an_abandoned_future_is_saved_again(saver):
    saver.save(7, {"w": jnp.zeros(3)}, {})
    saver.save(5, {"w": jnp.ones(3)}, {})
    saver.wait()
    assert saver.steps() == [5]
    saver.save(7, {"w": jnp.full(3, 2.0)}, {})
    saver.wait()
    assert saver.steps() == [5, 7]


def test_one_of_several_steps_is_restored(saver):
    for step in (2, 4):
        saver.save(step, {"w": jnp.full(3, step)}, {"at": step})
    asked = {"w": jax.ShapeDtypeStruct((3,), jnp.int32)}
    assert saver.restore(asked, step=2).state["w"].tolist() == [2] * 3
    assert saver.restore(asked).meta == {"at": 4}
    assert saver.restore(asked, step=3) is None
    assert saver.restore({}, partial=True).meta == {"at": 4}  # what it holds beside the arrays


def test_empty_folder_is_a_fresh_start(saver):
    assert saver.restore({"w": jax.ShapeDtypeStruct((3,), jnp.int32)}) is None


def test_part_of_a_checkpoint(saver):
    saver.save(1, {"model": {"w": jnp.arange(3.0)}, "opt": {"m": jnp.zeros(3)}}, {})
    asked = {"model": {"w": jax.ShapeDtypeStruct((3,), jnp.float32)}}
    assert saver.restore(asked, partial=True).state["model"]["w"].tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(checkpoint.OtherModelError, match="opt.m: got .*, expected nothing"):
        saver.restore(asked)


def test_another_model_is_refused_by_path(saver):
    saver.save(1, {"w": jnp.zeros((2, 3)), "old": jnp.zeros(1)}, {})
    asked = {
        "w": jax.ShapeDtypeStruct((2, 4), jnp.float32),
        "new": jax.ShapeDtypeStruct((5,), jnp.bfloat16),
    }
    with pytest.raises(checkpoint.OtherModelError) as e:
        saver.restore(asked)
    text = str(e.value)
    assert "w: got float32[2,3], expected float32[2,4]" in text
    assert "old: got float32[1], expected nothing" in text
    assert "new: got nothing, expected bfloat16[5]" in text
    many = {f"x{i}": jax.ShapeDtypeStruct((1,), jnp.float32) for i in range(20)}
    with pytest.raises(checkpoint.OtherModelError, match="and 17 more"):
        saver.restore(many)


def test_leaves_that_are_no_arrays_and_paths_that_clash_are_refused(saver):
    with pytest.raises(TypeError, match="a.b is a float: save jax Arrays"):
        saver.save(1, {"a": {"b": 1.0}}, {})
    with pytest.raises(ValueError, match="different paths"):
        saver.save(1, {"a": {"b": jnp.zeros(1)}, "a.b": jnp.zeros(1)}, {})
    with pytest.raises(ValueError, match="keep=0"):
        checkpoint.Checkpointer(saver.folder, keep=0)


MEMORY = """
import pathlib, sys
import jax, jax.numpy as jnp
from pa_jax.core import checkpoint

def peak_above(start):
    return int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - start

def reset():
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return int(pathlib.Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])

saver = checkpoint.Checkpointer(pathlib.Path(sys.argv[1]), keep=1)
shape = jax.ShapeDtypeStruct((10 * 2**20,), jnp.float32)
state = {f"w{i}": jnp.full(shape.shape, i, jnp.float32) for i in range(10)}
jax.block_until_ready(state)
start = reset(); saver.save(1, state, {}); print(peak_above(start))
del state
start = reset(); saver.restore({f"w{i}": shape for i in range(10)}); print(peak_above(start))
saver.close()
"""


def test_saving_and_restoring_400_mb_needs_little_more_than_the_state(tmp_path, root):
    if not pathlib.Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory is read from /proc")
    run = [sys.executable, "-c", MEMORY, str(tmp_path / "ckpt")]
    out = subprocess.run(run, cwd=root, check=True, capture_output=True, text=True).stdout
    save_kb, restore_kb = map(int, out.split())
    assert save_kb < 100 * 1024
    assert restore_kb < (400 + 250) * 1024
