"""The forest kernel equals dense masked attention, forward and backward, whatever the forest."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding

from pa_jax.core import mesh as meshes
from pa_jax.core import sharding
from pa_jax.models import forest_blocks, forest_kernel
from pa_jax.plan import topology

needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="no libtpu: pip install 'pa_jax[tpu]' to compile for a TPU without one",
)

# rows, queries, keys, query heads, key heads, width; small blocks, so that a row has many of them
SHAPES = {
    "grouped heads": (2, 400, 400, 4, 2, 64, True),
    "a width of 128": (2, 260, 260, 2, 2, 128, False),
    "seven heads a key head, long blocks": (1, 300, 300, 7, 1, 64, False),
    "behind a cached prefix": (2, 150, 500, 3, 1, 64, True),
    "few queries": (2, 5, 130, 2, 1, 64, False),
}


def grow(rng, end, start, stop, depth):
    """A node and the subtrees below it fill the slots from start to stop."""
    own = stop - start if depth == 5 else int(rng.integers(0, stop - start + 1))
    end[start : start + own] = stop
    start += own
    while start < stop:
        cut = int(rng.integers(start + 1, stop + 1))
        grow(rng, end, start, cut, depth + 1)
        start = cut


def forest(rng, slots, filled):
    """`end` of a row of random trees; behind them padding of either kind."""
    end = np.where(rng.random(slots) < 0.5, np.arange(slots) + 1, 0)
    start = 0
    while start < filled:
        cut = int(rng.integers(start + 1, filled + 1))
        grow(rng, end, start, cut, 1)
        start = cut
    return end.astype(np.int32)


def forests(seed, rows, slots):
    """A full row, one with some trees, ..., and with more than two also one without any."""
    rng = np.random.default_rng(seed)
    filled = [slots, int(rng.integers(1, slots)), 0][:rows]
    return np.stack([forest(rng, slots, f) for f in filled])


def visible(end, t):
    """[n, t, s] as the contract has it."""
    s = end.shape[1]
    query, key = np.arange(s - t, s)[:, None], np.arange(s)[None]
    return (key <= query) & (query < end[:, None, :])


def dense(q, k, v, see):
    """Softmax over the visible keys by the book; a query that sees none gets zeros."""
    r = q.shape[2] // k.shape[2]
    k, v = (jnp.repeat(x.astype(jnp.float32), r, axis=2) for x in (k, v))
    score = jnp.einsum("nthz,nshz->nhts", q.astype(jnp.float32), k) / np.sqrt(q.shape[-1])
    see = see[:, None]
    score = jnp.where(see, score, -1e9)
    weight = jnp.where(see, jnp.exp(score - score.max(-1, keepdims=True)), 0.0)
    weight /= jnp.maximum(weight.sum(-1, keepdims=True), 1e-30)
    return jnp.einsum("nhts,nshz->nthz", weight, v)


def inputs(n, t, s, h, kv, z, dtype=jnp.float32):
    """Queries, keys, values and the gradient of the output."""
    keys = jax.random.split(jax.random.key(7), 4)
    shapes = (n, t, h, z), (n, s, kv, z), (n, s, kv, z), (n, t, h, z)
    return [jax.random.normal(key, x, dtype) for key, x in zip(keys, shapes, strict=True)]


def with_gradients(attend):
    """(output, dq, dk, dv) of (q, k, v, gradient, mask or end), compiled."""

    def run(q, k, v, d, how):
        out, pull = jax.vjp(lambda *qkv: attend(*qkv, how), q, k, v)
        return out, *pull(d.astype(out.dtype))

    return jax.jit(run)


def kernel(q, k, v, end):
    return forest_kernel.attend(q, k, v, end, interpret=True)


def check(got, want, forward=1e-5, backward=1e-4):
    np.testing.assert_allclose(got[0], want[0], rtol=forward, atol=forward)
    for a, b in zip(got[1:], want[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=backward, atol=backward * float(jnp.abs(b).max()))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(forest_blocks, "KEY_BLOCK", 128)
    monkeypatch.setattr(forest_blocks, "ROWS", 128)


@pytest.mark.parametrize("shape", SHAPES)
def test_random_forests_equal_the_oracle(shape, request):
    *dims, small = SHAPES[shape]
    if small:
        request.getfixturevalue("small_blocks")
    n, t, s, *_ = dims
    fast, slow, arrays = with_gradients(kernel), with_gradients(dense), inputs(*dims)
    for seed in range(3):
        end = forests(seed, n, s)
        check(fast(*arrays, end), slow(*arrays, visible(end, t)))


def test_keys_in_several_chunks_equal_the_oracle(small_blocks, monkeypatch):
    monkeypatch.setattr(forest_blocks, "CHUNK_BYTES", 256 * 128 * 4)
    t, s = 500, 700
    assert forest_blocks.sizes(t, s, 2, 128 * 4).chunk == 256
    fast, slow, arrays = with_gradients(kernel), with_gradients(dense), inputs(3, t, s, 4, 2, 64)
    for seed in range(3):
        end = forests(seed, 3, s)
        check(fast(*arrays, end), slow(*arrays, visible(end, t)))


def test_bfloat16_is_rounded_only_where_products_need_it():
    arrays, end = inputs(1, 300, 300, 4, 2, 128, jnp.bfloat16), forests(3, 1, 300)
    got = with_gradients(kernel)(*arrays, end)
    assert {x.dtype for x in got} == {jnp.dtype(jnp.bfloat16)}
    want = with_gradients(dense)(*(x.astype(jnp.float32) for x in arrays), visible(end, 300))
    check([x.astype(jnp.float32) for x in got], want, forward=2e-2, backward=2e-2)


def test_one_node_is_causal_attention():
    *arrays, _ = inputs(1, 200, 200, 4, 2, 64)
    want = jax.nn.dot_product_attention(*arrays, is_causal=True)
    got = kernel(*arrays, jnp.full((1, 200), 200))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_rows_without_tokens_give_zeros_and_no_gradient():
    for got in with_gradients(kernel)(*inputs(1, 130, 130, 2, 1, 64), np.zeros((1, 130), np.int32)):
        np.testing.assert_array_equal(got, np.zeros_like(got))


def test_padding_never_matters():
    q, k, v, d = inputs(2, 300, 300, 2, 1, 64)
    end = np.stack([forest(np.random.default_rng(row), 300, 180) for row in range(2)])
    pad = np.arange(300) >= 180
    d = jnp.where(pad[:, None, None], 0.0, d)
    noise = [jnp.where(pad[:, None, None], 100.0 * x[:, ::-1], x) for x in (q, k, v)]
    run = with_gradients(kernel)
    for a, b in zip(run(q, k, v, d, end), run(*noise, d, end), strict=True):
        np.testing.assert_array_equal(a[:, ~pad], b[:, ~pad])


def test_blocks_that_nobody_sees_are_not_computed(small_blocks):
    """NaN in the keys of one tree does not reach the queries of the next, by no arithmetic."""
    q, k, v, d = inputs(1, 512, 512, 2, 1, 64)
    end = np.repeat([128, 384, 384, 0], 128)[None].astype(np.int32)
    bad = (np.arange(512) < 128) | (np.arange(512) >= 384)
    k, v = (jnp.where(bad[:, None, None], jnp.nan, x) for x in (k, v))
    out, dq, dk, dv = with_gradients(kernel)(q, k, v, d, end)
    for got in (out, dq, dk, dv):
        assert np.isfinite(got[:, ~bad]).all()
    assert np.isnan(out[:, :128]).any()
    np.testing.assert_array_equal(dk[:, 384:], np.zeros_like(dk[:, 384:]))


@pytest.mark.parametrize("seed", range(3))
def test_the_schedule_holds_every_visible_pair_and_no_block_without_one(seed):
    t, s = 640, 896
    size = forest_blocks.Sizes(query=128, key=64, chunk=256, offset=s - t)
    end = np.stack([forest(np.random.default_rng(9 + seed), s, f) for f in (s, 500)])
    end = np.pad(end, ((0, 0), (0, -s % 256)))
    see = np.zeros((2, t, end.shape[1]), bool)
    see[:, :, :s] = visible(end[:, :s], t)
    pairs = see.reshape(2, t // 128, 128, -1, 4, 64).transpose(0, 1, 3, 4, 2, 5)  # n i c b q k
    some, every = pairs.any((4, 5)), pairs.all((4, 5))
    steps = forest_blocks.schedule(jnp.asarray(end), t, size)
    block, (part, live, fetch) = (
        np.asarray(steps.block).reshape(some.shape),
        (np.asarray(x).reshape(some.shape[:3]) for x in steps[1:]),
    )
    for at in np.ndindex(some.shape[:3]):
        seen = block[at][: live[at]]
        assert set(np.flatnonzero(some[at])) <= set(seen)
        assert set(block[at][part[at] : live[at]]) == set(np.flatnonzero(every[at]))
        assert len(set(seen)) == len(seen)
        # A largest `end` behind the first query and a start before the last: no finer than that.
        assert len(seen) <= some[at].sum() + (~some[at] & ~every[at]).sum()
        if live[at]:
            assert fetch[at] == at[2]
        elif live[at[:2]].any():
            assert live[(*at[:2], fetch[at])]


@pytest.mark.parametrize("axes", [(2, 2, 2), (4, 1, 2), (1, 4, 2)])
def test_sharded_equals_unsharded(axes):
    """Rows over fsdp and ep; heads over tp=2, whole over tp=4, which does not divide them."""
    arrays, end = (
        inputs(8, 130, 130, 4, 2, 64),
        np.concatenate([forests(x, 2, 130) for x in range(4)]),
    )
    want = with_gradients(kernel)(*arrays, end)
    fsdp, tp, ep = axes
    mesh = meshes.make(meshes.MeshConfig(fsdp=fsdp, tp=tp, ep=ep))
    with jax.set_mesh(mesh):
        placed = [
            jax.device_put(
                x,
                NamedSharding(
                    mesh, sharding.activation_spec(("rows", None, "kv_heads", None), x.shape, mesh)
                ),
            )
            for x in arrays
        ]
        got = with_gradients(kernel)(*placed, end)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_what_does_not_fit_together_is_refused():
    q, k, v, _ = inputs(1, 8, 8, 4, 2, 64)
    end = jnp.full((1, 8), 8)
    with pytest.raises(ValueError, match="float32, bfloat16 and float32; cast"):
        kernel(q, k.astype(jnp.bfloat16), v, end)
    with pytest.raises(ValueError, match="8 queries of 4 heads on 7 keys"):
        kernel(q, k[:, :7], v[:, :7], end[:, :7])
    with pytest.raises(ValueError, match="4 heads on 8 keys of 3 heads"):
        kernel(q, jnp.ones((1, 8, 3, 64)), jnp.ones((1, 8, 3, 64)), end)


def for_v5e(chips, axes, dims, dtype=jnp.bfloat16):
    """The compiled gradient of attention on trees, for v5e without one."""
    mesh = meshes.make(
        meshes.MeshConfig(**axes), devices=topology.devices(topology.named(f"v5e-{chips}"))
    )
    n, t, s, h, kv, z = dims

    def shaped(dtype, *shape):
        names = ("rows", None, "kv_heads", None)[: len(shape)]
        place = NamedSharding(mesh, sharding.activation_spec(names, shape, mesh))
        return jax.ShapeDtypeStruct(shape, dtype, sharding=place)

    query, key = shaped(dtype, n, t, h, z), shaped(dtype, n, s, kv, z)
    with jax.set_mesh(mesh):
        lowered = with_gradients(forest_kernel.attend).lower(
            query, key, key, query, shaped(jnp.int32, n, s)
        )
        return lowered.compile()


@pytest.mark.tpu
@needs_libtpu
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "dims",
    [
        (1, 100, 640, 14, 2, 64),  # Qwen2.5-0.5B behind a prefix
        (1, 1024, 1024, 9, 3, 64),  # SmolLM2-135M
        (1, 512, 512, 32, 4, 128),  # Qwen3-30B-A3B
        (1, 8192, 8192, 16, 8, 128),  # Qwen3-0.6B, two chunks of keys
    ],
)
def test_forward_and_backward_compile_for_v5e(dims):
    assert for_v5e(1, {"fsdp": 1, "tp": 1, "ep": 1}, dims).as_text().count("tpu_custom_call") >= 2


@pytest.mark.tpu
@needs_libtpu
@pytest.mark.timeout(600)
def test_memory_grows_with_the_row_not_with_its_square():
    """Qwen3-4B's heads, rows over fsdp and heads over tp: no chip ever holds [t, s]."""

    def used(t):
        program = for_v5e(4, {"fsdp": 2, "tp": 2, "ep": 1}, (4, t, t, 32, 8, 128))
        return (
            program.memory_analysis().temp_size_in_bytes,
            program.cost_analysis()["bytes accessed"],
        )

    one, two = used(1024), used(2048)
    queries = 2 * 2048 * 16 * 128 * 2  # bytes of one chip's queries
    assert two[0] <= 5 * queries  # q, o, do and their like; [t, s] would be 16 of them a head
    assert two[1] <= 2.2 * one[1]
