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


def request(tmp_path, preset, **changes):
    """The update of a preset's plan."""
    config = plan_config.get_config(preset)
    config.update_from_flattened_dict(changes)
    asked = plan.make_request(config, topology.named(config.slice))
    return dataclasses.replace(asked, only=("update",), cache=str(tmp_path / "cache"))


def compiled(tmp_path, asked):
    answer = client.ask(asked, tmp_path / "log", lambda name: None)
    assert not answer.too_large
    return answer.compiled["update"]


def flops_of(found, asked):
    """(as compiled, as the model needs them) on a chip, those of the kernels among them."""
    slice_ = topology.named(asked.slice)
    phase = plan.make_step(asked, slice_).update()
    return found.cost.flops + phase.kernel_flops / slice_.chips, phase.flops.total / slice_.chips


def test_the_update_of_a_small_model_compiles_with_heads_over_tp(tmp_path):
    changes = {"slice": "v5e-4", "mesh.tp": 2, "micro": 4}
    found = compiled(tmp_path, request(tmp_path, "tiny", **changes))
    assert sum(found.cost.kernels.values()) > 0  # Splash


def test_the_update_of_qwen3_4b_compiles_for_sixteen_v5e_chips(tmp_path):
    asked = request(tmp_path, "qwen3-4b")
    found = compiled(tmp_path, asked)
    n = flops.parameters(asked.work.policy)
    assert 4.0e9 < n < 4.1e9
    assert sum(found.cost.kernels.values()) > 0
    assert found.arguments + found.temporaries < 15e9
    # parameters and both moments in float32, cut over all chips, and given back to the next step
    state = 3 * 4 * n / 16
    assert state <= found.arguments < 1.02 * state
    assert found.aliased >= state
    assert found.temporaries <= 4.5e9
    flops_found, needed = flops_of(found, asked)
    assert needed <= flops_found <= 1.15 * needed


@pytest.mark.slow
def test_the_update_on_trees_does_a_fifth_of_the_flat_one(tmp_path):
    asked = request(tmp_path, "qwen3-4b")
    rows = asked.work.prompts * asked.work.group
    flat = dataclasses.replace(asked.work, prompts=rows, group=1, micro=16)  # by the same code
    flat = dataclasses.replace(asked, work=flat)
    tree_flops, _ = flops_of(compiled(tmp_path, asked), asked)
    flat_flops, needed = flops_of(compiled(tmp_path, flat), flat)
    assert needed <= flat_flops <= 1.15 * needed
    assert tree_flops <= flat_flops / 5
