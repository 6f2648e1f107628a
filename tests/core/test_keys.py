import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from pa_jax.core import keys, mesh


def words(key):
    return np.asarray(jax.random.key_data(key))


def test_key_is_the_documented_chain_of_fold_ins():
    by_hand = jax.random.fold_in(jax.random.fold_in(jax.random.key(7), 2), 41)
    np.testing.assert_array_equal(words(keys.stream_key(7, keys.Stream.EVAL, 41)), words(by_hand))


def test_seed_purpose_and_step_each_change_the_draw():
    points = [(s, p, t) for s in (0, 1) for p in keys.Stream for t in range(5)]
    assert len({words(keys.stream_key(*p)).tobytes() for p in points}) == len(points)


def test_traced_step_gives_the_same_key_and_one_program():
    traces = []

    @jax.jit
    def traced(step):
        traces.append(step)
        return keys.stream_key(3, keys.Stream.ROLLOUT, step)

    for step in (0, 1, 1000):
        np.testing.assert_array_equal(
            words(traced(jnp.int32(step))), words(keys.stream_key(3, keys.Stream.ROLLOUT, step))
        )
    assert len(traces) == 1


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_traced_seed_gives_the_same_key(seed):
    traced = jax.jit(lambda s: keys.stream_key(s, keys.Stream.GENERATE, 3))
    want = keys.stream_key(seed, keys.Stream.GENERATE, 3)
    np.testing.assert_array_equal(words(traced(np.uint32(seed))), words(want))


def test_draws_follow_the_prompt_not_its_place_or_shard():
    ids = keys.row_ids([f"user{i}/turn" for i in range(16)])
    key = keys.stream_key(0, keys.Stream.ROLLOUT, 5)
    draw = jax.jit(lambda ids: jax.vmap(jax.random.uniform)(keys.row_keys(key, ids)))
    plain = np.asarray(draw(jnp.asarray(ids)))
    assert len(set(plain.tolist())) == 16
    order = np.random.default_rng(0).permutation(16)
    np.testing.assert_array_equal(np.asarray(draw(jnp.asarray(ids[order]))), plain[order])
    over = NamedSharding(mesh.make(mesh.MeshConfig(fsdp=-1, tp=1, ep=1)), PartitionSpec("fsdp"))
    np.testing.assert_array_equal(np.asarray(draw(jax.device_put(ids, over))), plain)
    one = np.asarray(draw(jnp.asarray(ids[3:4])))
    np.testing.assert_array_equal(one, plain[3:4])


def test_repeated_names_draw_apart_and_ids_are_sha256():
    ids = keys.row_ids(["a", "b", "a"])
    assert len(set(ids.tolist())) == 3
    digest = hashlib.sha256(b"0\0b").hexdigest()
    assert int(ids[1]).to_bytes(4, "little").hex() == digest[:8]
    np.testing.assert_array_equal(keys.row_ids(["b", "a"]), ids[[1, 0]])


def test_keys_pass_the_reuse_checker():
    with jax.debug_key_reuse(True):
        key = keys.stream_key(0, keys.Stream.LORA, 0)
        rows = keys.row_keys(key, jnp.arange(3))
        assert rows.shape == (3,)


def test_bad_seed_and_float_ids_are_refused():
    with pytest.raises(ValueError, match=r"seed=-1: allowed are 0"):
        keys.stream_key(-1, keys.Stream.INIT, 0)
    with pytest.raises(TypeError, match="float32"):
        keys.row_keys(keys.stream_key(0, keys.Stream.INIT, 0), jnp.ones(2))
