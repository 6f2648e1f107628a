"""The programs of a step compile for TPU slices, by libtpu and without a TPU."""

import dataclasses
import importlib.util

import pytest

from configs import plan as plan_config
from pa_jax.jobs import plan
from pa_jax.models import flops
from pa_jax.plan import client, topology

pytestmark = [
    pytest.mark.tpu,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("libtpu") is None,
        reason="no libtpu: pip install 'pa_jax[tpu]' to compile for a TPU without one",
    ),
]


def update(tmp_path, preset, **changes):
    """The compiled update of a preset's plan, and the request it came from."""
    config = plan_config.get_config(preset)
    config.update_from_flattened_dict(changes)
    asked = plan.make_request(config, topology.named(config.slice))
    asked = dataclasses.replace(asked, only=("update",), cache=str(tmp_path / "cache"))
    answer = client.ask(asked, tmp_path / "log", lambda name: None)
    assert not answer.too_large
    return answer.compiled["update"], asked


def test_the_update_of_a_small_model_compiles_with_heads_over_tp(tmp_path):
    changes = {"slice": "v5e-4", "mesh.tp": 2, "micro": 4}
    found, _ = update(tmp_path, "tiny", **changes)
    assert sum(found.cost.kernels.values()) > 0  # Splash


def test_the_update_of_qwen3_4b_compiles_for_sixteen_v5e_chips(tmp_path):
    found, asked = update(tmp_path, "qwen3-4b")
    n = flops.parameters(asked.work.policy)
    assert 4.0e9 < n < 4.1e9
    assert sum(found.cost.kernels.values()) > 0
    assert found.arguments + found.temporaries < 15e9
    # parameters and both moments in float32, cut over all chips, and given back to the next step
    state = 3 * 4 * n / 16
    assert state <= found.arguments < 1.02 * state
    assert found.aliased >= state
    assert found.temporaries <= 4.5e9
