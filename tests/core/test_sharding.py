import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl import logging
from flax import nnx
from jax.sharding import PartitionSpec as P

from pa_jax.core import mesh, sharding


class Block(nnx.Module):
    """Two layers with three key/value heads."""

    def __init__(self):
        self.up = nnx.Param(jnp.ones((2, 8, 16)), axes=("layers", "embed", "mlp"))
        self.kv = nnx.Param(
            jnp.ones((2, 8, 3, 4)), axes=("layers", "embed", "kv_heads", "head_dim")
        )
        self.out = nnx.Param(jnp.ones((8, 32)), axes=("embed", "vocab"))


def grid(fsdp, tp, ep=1):
    return mesh.make(mesh.MeshConfig(fsdp=fsdp, tp=tp, ep=ep), jax.devices()[: fsdp * tp * ep])


@pytest.fixture(autouse=True)
def eight_devices():
    if len(jax.devices()) < 8:
        pytest.skip("needs 8 devices: XLA_FLAGS=--xla_force_host_platform_device_count=8")


def test_minus_one_takes_what_is_left():
    made = mesh.make(mesh.MeshConfig(fsdp=-1, tp=2, ep=2), jax.devices()[:8])
    assert dict(made.shape) == {"fsdp": 2, "tp": 2, "ep": 2}
    assert len({d.id for d in made.devices.flat}) == 8


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ((-1, 3, 1), r"tp=3 .* does not divide 8 devices; choose .*\[1, 2, 4, 8\]"),
        ((3, 2, 1), r"= 6 devices, but there are 8; set fsdp=-1"),
        ((0, 1, 1), r"fsdp=0.*allowed are"),
    ],
)
def test_sizes_that_do_not_fit_are_named(cfg, words):
    with pytest.raises(ValueError, match=words):
        mesh.make(mesh.MeshConfig(*cfg), jax.devices()[:8])


@pytest.mark.parametrize(("fsdp", "tp"), [(1, 1), (2, 4), (8, 1)])
def test_sharded_state_has_the_pieces_the_table_says(fsdp, tp):
    made = grid(fsdp, tp)
    state = nnx.state(Block())
    placed = jax.device_put(state, sharding.shardings(state, made, sharding.TRAIN_RULES))
    piece = {k: v.get_value().addressable_shards[0].data.shape for k, v in placed.items()}
    assert piece["up"] == (2, 8 // fsdp, 16 // tp)
    assert piece["out"] == (8 // fsdp, 32 // tp)
    assert piece["kv"] == (2, 8 // fsdp, 3, 4)
    assert jax.tree.structure(placed) == jax.tree.structure(state)


def test_inference_keeps_parameters_whole_along_fsdp():
    state = nnx.state(Block())
    made = sharding.shardings(state, grid(2, 4), sharding.INFER_RULES)
    assert made["up"].get_value().spec == P(None, None, "tp")


def test_abstract_state_and_optimizer_are_placed_by_jit():
    made = grid(2, 4)
    abstract = nnx.eval_shape(
        lambda: nnx.state((m := Block(), nnx.Optimizer(m, optax.adamw(1e-3), wrt=nnx.Param)))
    )
    placing = sharding.shardings(abstract, made, sharding.TRAIN_RULES)
    make = lambda: nnx.state((m := Block(), nnx.Optimizer(m, optax.adamw(1e-3), wrt=nnx.Param)))  # noqa: E731
    state = jax.jit(make, out_shardings=placing)()
    leaves = jax.tree.leaves(jax.tree.map(lambda a, s: a.sharding == s, state, placing))
    assert len(leaves) == 3 * 3 + 2
    assert all(leaves)
    mu = state[1]["opt_state"][0]["mu"]["up"].get_value()
    assert mu.sharding.spec == P(None, ("fsdp", "ep"), "tp")


def test_axis_that_does_not_divide_is_logged_once(caplog):
    sharding._log_replicated.cache_clear()
    logging.get_absl_logger().propagate = True
    with caplog.at_level("WARNING"):
        for _ in range(3):
            assert sharding.spec(("kv_heads",), (3,), grid(1, 2), sharding.TRAIN_RULES) == P(None)
    assert [r.message for r in caplog.records] == [
        "axis kv_heads of 3 is not cut: tp=2 does not divide it"
    ]


def test_mistakes_in_names_are_named():
    made = grid(2, 4)
    with pytest.raises(ValueError, match=r"w: unknown logical axis 'embd'; choose one of .*embed"):
        sharding.shardings(
            {"w": nnx.Param(jnp.ones((2,)), axes=("embd",))}, made, sharding.TRAIN_RULES
        )
    with pytest.raises(ValueError, match=r"w: an array of shape \(2,\) without axis names"):
        sharding.shardings({"w": nnx.Param(jnp.ones((2,)))}, made, sharding.TRAIN_RULES)
    with pytest.raises(ValueError, match="name 1 dimensions, its shape .* has 2"):
        sharding.spec(("embed",), (4, 4), made, sharding.TRAIN_RULES)
    with pytest.raises(ValueError, match="use mesh axis 'tp' twice"):
        sharding.spec(("heads", "mlp"), (4, 4), made, sharding.TRAIN_RULES)
    with pytest.raises(ValueError, match="the mesh has"):
        sharding.spec(("embed",), (4,), made, {"embed": "data"})


def test_layout_reads_as_intended():
    assert sharding.layout(nnx.state(Block()), grid(2, 4), sharding.TRAIN_RULES) == {
        "kv": "float32[2,8,3,4] layers:-, embed:fsdp+ep, kv_heads:-, head_dim:-",
        "out": "float32[8,32] embed:fsdp+ep, vocab:tp",
        "up": "float32[2,8,16] layers:-, embed:fsdp+ep, mlp:tp",
    }


def test_experts_lie_on_ep_and_their_width_on_what_is_left():
    spec = sharding.spec(
        ("experts", "embed", "mlp"), (4, 8, 16), grid(2, 2, 2), sharding.TRAIN_RULES
    )
    assert spec == P("ep", "fsdp", "tp")


def test_host_rows_become_a_global_array_and_come_back():
    rows = np.arange(24, dtype=np.int32).reshape(8, 3)
    out = sharding.put(rows, grid(2, 2, 2), "rows")
    assert {s.data.shape for s in out.addressable_shards} == {(2, 3)}
    np.testing.assert_array_equal(sharding.fetch(out), rows)
    whole = sharding.put(rows[:6], grid(4, 2), "rows")  # 4 does not divide 6
    assert {s.data.shape for s in whole.addressable_shards} == {(6, 3)}
