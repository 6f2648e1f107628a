"""What the phases of a step need, by hand; and what becomes of it in a row of metrics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pa_jax.core import chips, sharding
from pa_jax.core import mesh as meshes
from pa_jax.models import config, flops
from pa_jax.rl import needed
from pa_jax.train import loop

TINY = dataclasses.replace(config.PRESETS["tiny"], layers=3, kv_heads=2, head_dim=16)


def test_each_update_costs_three_passes_of_its_part_and_the_reference_one_of_all():
    sizes = [flops.Size(10, 20, 5), flops.Size(4, 6, 2)]
    got = needed.training(TINY, sizes, updates=4, frozen=False)
    first, second = (flops.forward(TINY, size) for size in sizes)
    assert got["flops/logprobs"] == first.total + second.total
    trained = [3 * x.blocks + 3.5 * x.attention + 4 * x.head for x in (first, second)]
    assert got["flops/update"] == pytest.approx(2 * sum(trained))


def test_decoding_reads_weights_and_a_prompts_keys_once_a_step():
    state = {"a": jnp.zeros((4, 8), jnp.bfloat16), "b": jnp.zeros(8, jnp.bfloat16)}
    length = np.array([[3, 1], [2, 0]])  # steps behind the first token: 2, 0, 1, 0
    got = needed.decoding(TINY, state, [[1] * 10, [1] * 7], length, chips=2)
    token = 2 * 3 * 2 * 16 * 2  # keys and values, layers, heads, their width, bytes
    seen = 2 * 10 + 1 * 7 + (1 + 2) + 1
    assert got == {"hbm/rollout": 2 * 2 * (4 * 8 + 8) + seen * token / 2}


def test_a_chip_reads_its_part_of_the_weights():
    mesh = meshes.make(meshes.MeshConfig(2, 2, 2))
    where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "tp"))
    state = {"a": jax.device_put(np.zeros((4, 8), np.float32), where)}
    got = needed.decoding(TINY, state, [[1]], np.array([[2]]), chips=sharding.data_shards(mesh))
    assert got["hbm/rollout"] == pytest.approx(4 * 4 * 4 + 2 * (2 * 3 * 2 * 16 * 4) / 4)


@pytest.mark.parametrize("kind", ["cpu", "TPU v5 lite"])
def test_rates_are_shares_of_the_peak_where_that_is_known(monkeypatch, kind):
    class Device:
        device_kind = kind

    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    row = {"flops/update": 8e12, "hbm/rollout": 4e9, "tokens": 5}
    seconds = {"seconds/update": 2.0, "seconds/rollout": 0.5, "seconds/judge": 1.0}
    got = loop._rates(row, seconds)
    assert got["rate/update_tflops"] == pytest.approx(1.0)  # 8 in 2 s on four chips
    assert got["rate/rollout_hbm_gbs"] == pytest.approx(8.0)
    assert "rate/judge_tflops" not in got
    if kind == "cpu":
        assert "rate/update_mfu" not in got and "rate/rollout_mbu" not in got
    else:
        assert got["rate/update_mfu"] == pytest.approx(1e12 / 197e12)
        assert got["rate/rollout_mbu"] == pytest.approx(8e9 / 819e9)


def test_a_kind_that_is_not_known_has_no_peaks():
    assert chips.of("TPU v5p").hbm_rate == 2765e9 and chips.of("NVIDIA H200") is None
