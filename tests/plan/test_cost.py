"""Costs read off compiled programs against hand counts of the same programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core import mesh as meshes
from pa_jax.infer import forest
from pa_jax.models import config
from pa_jax.plan import cost, kernels

N, D, LAYERS = 16, 32, 5


@pytest.fixture
def mesh():
    return meshes.make(meshes.MeshConfig(4, 2, 1), jax.devices())


def compiled(fn, mesh, *shaped):
    args = [
        jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, PartitionSpec(*part)))
        for shape, part in shaped
    ]
    with jax.set_mesh(mesh):
        return jax.jit(fn).lower(*args).compile()


def stacked(x, w):
    return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, w)[0]


def test_a_loop_counts_as_often_as_it_runs(mesh):
    program = compiled(stacked, mesh, ((N, D), ("fsdp",)), ((LAYERS, D, D), ()))
    got = cost.of_text(program.as_text())
    assert got.flops == LAYERS * 2 * (N // 4) * D * D
    assert got.ici_bytes == 0
    assert program.cost_analysis()["flops"] < got.flops  # the compiler counts the body once


def test_a_loop_and_its_unrolled_self_do_the_same_products(mesh):
    def unrolled(x, w):
        for i in range(LAYERS):
            x = jnp.tanh(x @ w[i])
        return x

    shapes = ((N, D), ("fsdp",)), ((LAYERS, D, D), ())
    one, two = (compiled(f, mesh, *shapes) for f in (stacked, unrolled))
    assert cost.of_text(one.as_text()).flops == cost.of_text(two.as_text()).flops
    assert two.cost_analysis()["flops"] >= cost.of_text(two.as_text()).flops


def test_bytes_sent_in_a_ring(mesh):
    size = N * D * 4

    def gather(x):
        return jax.lax.with_sharding_constraint(x, PartitionSpec())

    got = cost.of_text(compiled(gather, mesh, ((N, D), ("fsdp",))).as_text())
    assert got.sent == {"all-gather": size * 3 / 4}

    def total(x, w):  # contracted over tp: a sum of [N / 4, D] over 2 chips
        return x @ w

    program = compiled(total, mesh, ((N, D), ("fsdp", "tp")), ((D, D), ("tp", None)))
    got = cost.of_text(program.as_text())
    assert got.sent == {"all-reduce": 2 * (N // 4) * D * 4 * 1 / 2}
    assert got.flops == 2 * (N // 4) * D * (D // 2)


def test_reading_one_layer_of_a_stack_is_not_reading_the_stack(mesh):
    many = 50

    def one_by_one(x, w):
        return jax.lax.scan(lambda x, w: (x * w, None), x, w)[0]

    got = cost.of_text(compiled(one_by_one, mesh, ((D, D), ()), ((many, D, D), ())).as_text())
    stack = many * D * D * 4
    assert stack <= got.hbm_bytes < 8 * stack  # each layer a few times, not the stack 50 times


def test_a_layer_sliced_from_a_stack_in_another_layout_is_one_layer():
    # as XLA for TPU writes a product with one of 36 int8 layers, names shortened
    text = """HloModule jit_rollout
%relaid (input: s8[36,256,512]) -> s8[36,256,512] {
  %input = s8[36,256,512]{2,1,0:T(32,128)(4,1)} parameter(0)
  ROOT %copy = s8[36,256,512]{2,1,0:T(8,128)(4,1)} copy(%input)
}
%layer (stack: s8[36,256,512], at: s32[]) -> s8[256,512,1] {
  %stack = s8[36,256,512]{2,1,0:T(32,128)(4,1)} parameter(0)
  %same = s8[36,256,512]{2,1,0:T(8,128)(4,1)} fusion(%stack), kind=kLoop, calls=%relaid
  %at = s32[] parameter(1)
  %zero = s32[] constant(0)
  %one = s8[1,256,512]{2,1,0} dynamic-slice(%same, %at, %zero, %zero)
  ROOT %flat = s8[256,512,1]{1,0,2} bitcast(%one)
}
%product (x: bf16[8,256], stack: s8[36,256,512], at: s32[]) -> f32[8,512] {
  %x = bf16[8,256]{1,0} parameter(0)
  %stack = s8[36,256,512]{2,1,0} parameter(1)
  %at = s32[] parameter(2)
  %w = s8[256,512,1]{1,0,2} fusion(%stack, %at), kind=kLoop, calls=%layer
  ROOT %y = f32[8,512]{1,0} convolution(%x, %w), window={size=1}, dim_labels=bf_io0->bf
}
ENTRY %main (x: bf16[8,256], stack: s8[36,256,512], at: s32[]) -> f32[8,512] {
  %x = bf16[8,256]{1,0} parameter(0)
  %stack = s8[36,256,512]{2,1,0} parameter(1)
  %at = s32[] parameter(2)
  ROOT %y = f32[8,512]{1,0} fusion(%x, %stack, %at), kind=kOutput, calls=%product
}
"""
    index = 4
    assert cost.of_text(text).hbm_bytes == 8 * 256 * 2 + 256 * 512 + index + 8 * 512 * 4


def test_a_loop_of_unknown_length_is_told_apart(mesh):
    def until(x, w):
        return jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ w, x)

    got = cost.of_text(compiled(until, mesh, ((N, D), ()), ((D, D), ())).as_text())
    assert got.flops == 0
    assert [loop.flops for loop in got.loops] == [2 * N * D * D]


def test_groups_of_a_collective_in_all_spellings():
    for text in (
        "replica_groups={{0,4,8,12},{1,5,9,13}}, x=1",
        "replica_groups=[4,4]<=[4,4]T(1,0), dimensions={3}",
        "replica_groups=mesh['axis_0'=4,'axis_1'=4], device_ids=([4,4]T(1,0)) {'axis_1'}",
    ):
        assert cost.group_size(text) == 4


def test_a_batched_product_written_as_a_convolution_counts_no_holes():
    # XLA for TPU: 8 batches of [4, 2] x [2, 3] as one convolution over a window of the batch
    text = """ENTRY %main (a: f32[8,4,2], b: f32[8,2,3]) -> f32[8,4,3] {
  %a = f32[8,4,2]{2,1,0} parameter(0)
  %b = f32[8,2,3]{2,1,0} parameter(1)
  ROOT %c = f32[8,4,3]{2,1,0} convolution(%a, %b), window={size=8 stride=7 lhs_dilate=8}, dim_labels=0bf_0io->0bf
}"""  # noqa: E501
    assert cost.of_text(text).flops == 2 * 8 * 4 * 2 * 3


def test_a_cut_text_is_refused():
    with pytest.raises(ValueError, match="no ENTRY"):
        cost.of_text("HloModule nothing")


def test_loops_of_unknown_length_count_as_often_as_one_says(mesh):
    def nested(x, w):
        def inner(x):
            return jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ w, x)

        return jax.lax.while_loop(lambda x: x.sum() < 99, lambda x: inner(x) @ w, x @ w)

    got = cost.of_text(compiled(nested, mesh, ((N, D), ()), ((D, D), ())).as_text())
    one = 2 * N * D * D
    assert got.running(()) == got and got.flops == one
    assert got.running((3,)).flops == (1 + 3) * one
    assert got.running((3, 5)).flops == (1 + 3 * (1 + 5)) * one
    assert [loop.flops for loop in got.running((3,)).loops] == [one]
    assert got.running((3, 5)).hbm_bytes > got.running((3, 4)).hbm_bytes


def test_pairs_that_kernels_visit_are_the_blocks_that_are_seen():
    prompt = list(range(1000))
    trees = [[forest.follows(prompt, [1000 + 64 * k + i for i in range(64)]) for k in range(8)]]
    (row,) = forest.pack(trees, (2048,)).rows
    cfg = config.PRESETS["qwen3-4b"]
    index, side = np.arange(2048), 256
    mask = (index[None, :] <= index[:, None]) & (index[:, None] < row.end[None, :])
    blocks = mask.reshape(8, side, 8, side).any(axis=(1, 3)).sum()
    assert kernels.visited_pairs(cfg, [row.end]) == blocks * side**2
    assert kernels.visited_pairs(cfg, [row.end, row.end]) == 2 * blocks * side**2
    assert mask.sum() <= blocks * side**2 < 36 * side**2  # of a causal row
    pairs = kernels.visited_pairs(cfg, [row.end])
    assert kernels.train(cfg, pairs, remat="none") == 3.5 * kernels.forward(cfg, pairs)
